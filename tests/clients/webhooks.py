"""Receives webhooks and verifies them with the stock libraries; writes them down for webhooks.mjs."""

import hashlib
import hmac
import http.server
import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode

import jsonschema_rs
import standardwebhooks
import svix.webhooks

ARRIVED = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ARRIVED.put((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["ORQIT_URL"] + "/api/public/v1" + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "authorization": "Bearer " + os.environ["ORQIT_API_KEY"],
            "content-type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def check(name, holds):
    print(("ok " if holds else "FAILED ") + name, flush=True)


def refuses(library, secret, body, headers):
    try:
        library(secret).verify(body, headers)
    except Exception:  # each library has errors of its own
        return True
    return False


def orqit_signature(secret, headers, body):
    """Whether X-Orqit-Signature has a v1 by this secret."""
    parts = [part.split("=", 1) for part in headers["x-orqit-signature"].split(",")]
    seconds = dict(parts)["t"]
    key = b64decode(secret.removeprefix("whsec_"))
    right = hmac.new(key, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value, right) for name, value in parts)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hooks"
made = call("POST", "/webhooks", {"url": url, "events": ["ticket.*", "webhook.*"]})["data"]
secrets = [made["secret"]]
ticket = {"title": "Größe 😀", "description": "d", "type": "INCIDENT", "category": "NETWORK"}

kept = []
for rotated in (False, True):
    if rotated:
        secrets.append(call("POST", f"/webhooks/{made['id']}/rotate-secret", {})["data"]["secret"])
        ARRIVED.get(timeout=20)  # what tells of it
    call("POST", "/tickets", ticket)
    headers, body = ARRIVED.get(timeout=20)
    headers = {name.lower(): value for name, value in headers.items()}
    for library in (standardwebhooks.Webhook, svix.webhooks.Webhook):
        name = f"{library.__module__.split('.')[0]} of Python {'after a rotation ' if rotated else ''}"
        for secret in secrets:
            check(name + "verifies a delivery", not refuses(library, secret, body, headers))
            check(name + "refuses another body", refuses(library, secret, body + b" ", headers))
            other = headers | {"webhook-id": "evt_other"}
            check(name + "refuses another id", refuses(library, secret, body, other))
    check("X-Orqit-Signature is as documented", all(orqit_signature(s, headers, body) for s in secrets))
    kept.append({"secrets": list(secrets), "headers": headers, "body": body.decode()})
json.dump(kept, open("deliveries.json", "w"))

call("POST", f"/webhooks/{made['id']}/test", {})
headers, body = ARRIVED.get(timeout=20)
check("a test is sent", json.loads(body)["type"] == "webhook.test")
for _ in range(100):
    attempts = call("GET", f"/webhooks/{made['id']}/deliveries?status=SUCCEEDED")["data"]
    if len(attempts) >= 4:
        break
    time.sleep(0.05)
check("deliveries are written down", len(attempts) >= 4)

schemas = {it["type"]: it["schema"] for it in call("GET", "/event-types")["data"]}
validators = {name: jsonschema_rs.Draft202012Validator(schema) for name, schema in schemas.items()}
wrong, seen, after = [], set(), 0
while True:
    page = call("GET", f"/events?after={after}&perPage=100")
    for event in page["data"]:
        seen.add(event["type"])
        errors = validators[event["type"]].iter_errors(event)
        wrong += [f"{event['type']}: {error.instance_path} {error.message}" for error in errors]
    after = page["meta"]["nextAfter"]
    if page["meta"]["endOfFeed"]:
        break
check(f"payloads fit their schemas, of {len(seen)} types {wrong[:3] if wrong else ''}", not wrong and seen)
call("DELETE", f"/webhooks/{made['id']}")
