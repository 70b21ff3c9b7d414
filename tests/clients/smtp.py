#!/usr/bin/env python
"""Sends e-mails to a real SMTP server, by TLS and by STARTTLS, and reads them by Python's own parser."""

import email
import email.policy
import os
import pathlib
import queue
import ssl
import time
import urllib.parse

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from service import Orqit, check, free_port

ARRIVED = queue.Queue()
SUBJECT = "Größe ✓ 日本語" + " lang" * 40
USER, PASSWORD = "desk", "p@ss/word:ü"


class Handler:
    async def handle_DATA(self, server, session, envelope):
        ARRIVED.put((session.ssl is not None, envelope))
        return "250 2.0.0 queued as 4711"


def authenticate(server, session, envelope, mechanism, data):
    expected = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=data == expected, handled=False)


class Starttls(Controller):
    """A server that takes nothing before STARTTLS."""

    def factory(self):
        return SMTP(
            self.handler,
            tls_context=self.tls,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
            enable_SMTPUTF8=True,
        )


class Wrapped(Controller):
    """A server that speaks TLS from the start."""

    def factory(self):
        return SMTP(
            self.handler,
            authenticator=authenticate,
            auth_required=True,
            # It is encrypted already, which only the controller knows.
            auth_require_tls=False,
            enable_SMTPUTF8=True,
        )


def serve(name, smtp_url):
    """A service that sends by the SMTP server at a URL."""
    return Orqit(
        name,
        ORQIT_SMTP_URL=smtp_url,
        ORQIT_SMTP_FROM="Kundendienst Süd <desk@example.com>",
        ORQIT_SMTP_CA_FILE=str(pathlib.Path("ca.pem").resolve()),
    )


def sent(orqit, number, status="SENT"):
    for _ in range(200):
        shown = orqit.call("GET", f"/api/public/v1/emails/{number}")
        if shown["status"] == status and shown["attemptCount"]:
            return shown
        time.sleep(0.05)
    raise TimeoutError(shown)


def arrived():
    encrypted, envelope = ARRIVED.get(timeout=20)
    # By RFC 6532 headers are UTF-8, which the parser for bytes does not expect.
    text = envelope.content.decode()
    return encrypted, envelope, email.message_from_string(text, policy=email.policy.SMTPUTF8)


def send_and_read(name, orqit):
    text = "Grüße!\n\n.\n..\n" + "Lange Zeile " * 200 + "\n日本語\n"
    html = "<p>Grüße &amp; ✓</p>\n" * 100
    orqit.call(
        "POST",
        "/api/public/v1/emails",
        {
            "to": ["ana@example.com", "josé@bücher.example"],
            "cc": ["bob@example.com"],
            "subject": SUBJECT,
            "text": text,
            "html": html,
            "replyTo": "answers@example.com",
        },
    )
    shown = sent(orqit, 1)
    encrypted, envelope, message = arrived()
    check(f"{name}: the server took it", shown["serverResponse"] == "250 2.0.0 queued as 4711")
    check(f"{name}: encrypted", encrypted or name == "tls")
    check(
        f"{name}: to whom it goes",
        envelope.mail_from == "desk@example.com"
        and envelope.rcpt_tos == ["ana@example.com", "josé@xn--bcher-kva.example", "bob@example.com"],
    )
    check(f"{name}: subject", message["subject"] == SUBJECT)
    check(f"{name}: from", message["from"].addresses[0].display_name == "Kundendienst Süd")
    check(f"{name}: to", [it.addr_spec for it in message["to"].addresses] == shown["to"][:1] + ["josé@xn--bcher-kva.example"])
    check(f"{name}: cc and reply-to", (message["cc"], message["reply-to"]) == ("bob@example.com", "answers@example.com"))
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    check(f"{name}: text", plain.get_content().replace("\r\n", "\n").strip() == text.strip())
    check(f"{name}: html", rich.get_content().replace("\r\n", "\n").strip() == html.strip())
    check(f"{name}: date and id", message["date"].datetime is not None and message["message-id"].startswith("<email.1."))
    check(f"{name}: no line is too long", all(len(line) <= 998 for line in envelope.content.split(b"\r\n")))


def converse(orqit):
    """A contact form, the agent's answer, the customer's mail, and what the customer answers."""
    orqit.call("PATCH", "/api/public/v1/workspace", {"notifyByEmail": True})
    ticket = {
        "originator_email_address": "Customer@example.com",
        "subject": "Drucker",
        "content": "Er druckt nicht.",
    }
    once = {"Idempotency-Key": "form-1"}
    made = orqit.call("POST", "/api/create_ticket", ticket, **once)
    check("form: once", orqit.call("POST", "/api/create_ticket", ticket, **once) == made)
    _, _, received = arrived()
    number = made["ticketNumber"]
    check("form: the customer is told", received["subject"] == f"[{number}] Drucker")
    path = f"/api/public/v1/tickets/{number}"
    orqit.call("POST", path + "/comments", {"body": "Bitte neu starten."})
    orqit.call("PATCH", path, {"status": "IN_PROGRESS"})
    orqit.call("PATCH", path, {"status": "RESOLVED"})
    _, envelope, answer = arrived()
    check("form: the answer reaches the customer", envelope.rcpt_tos == ["Customer@example.com"])
    check("form: it says what was said", "Bitte neu starten." in answer.get_content())
    check("form: both are one thread", answer["references"] == received["references"] == answer["in-reply-to"])
    check("form: no machine answers it", answer["auto-submitted"] == "auto-generated")
    respond = {"ticket_number": number, "from_email": "customer@EXAMPLE.com", "content": "Nein."}
    responded = orqit.call("POST", "/api/ticket_respond", respond, **{"Idempotency-Key": "mail-1"})
    check("form: the customer's answer opens it again", responded["reopened"] is True)
    check("form: it is open", orqit.call("GET", path)["status"] == "OPEN")
    time.sleep(0.5)
    check("form: nobody hears what they said themselves", ARRIVED.empty())


def main():
    authority = trustme.CA()
    authority.cert_pem.write_to_path("ca.pem")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    login = f"{USER}:{urllib.parse.quote(PASSWORD, safe='')}"

    wrapped = Wrapped(Handler(), hostname="localhost", port=free_port(), ssl_context=server)
    wrapped.start()
    with serve("tls", f"smtps://{login}@localhost:{wrapped.port}") as orqit:
        send_and_read("tls", orqit)
        converse(orqit)
    with serve("wrong", f"smtps://{USER}:wrong@localhost:{wrapped.port}") as orqit:
        orqit.call("POST", "/api/public/v1/emails", {"to": ["ana@example.com"], "subject": "x", "text": "x"})
        shown = sent(orqit, 1, "QUEUED")
        check("login: a wrong password is tried again", "535" in shown["lastError"] and "wrong" not in shown["lastError"])
    wrapped.stop()

    starttls = Starttls(Handler(), hostname="localhost", port=free_port())
    starttls.tls = server
    starttls.start()
    with serve("starttls", f"smtp://{login}@localhost:{starttls.port}?tls=required") as orqit:
        send_and_read("starttls", orqit)
    starttls.stop()

    os.rename("ca.pem", "other.pem")
    trustme.CA().cert_pem.write_to_path("ca.pem")
    starttls = Starttls(Handler(), hostname="localhost", port=free_port())
    starttls.tls = server
    starttls.start()
    with serve("untrusted", f"smtp://{login}@localhost:{starttls.port}?tls=required") as orqit:
        orqit.call("POST", "/api/public/v1/emails", {"to": ["ana@example.com"], "subject": "x", "text": "x"})
        shown = sent(orqit, 1, "QUEUED")
        check("tls: an unknown certificate is not trusted", "certificate" in shown["lastError"].lower() and ARRIVED.empty())
    starttls.stop()


main()
