"""The stream of events in a real browser: read by fetch, and by EventSource through a small proxy, which
adds the key that EventSource cannot send."""

import http.client
import http.server
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import urllib.parse

from service import Orqit, check, free_port

RESULTS = queue.Queue()
# What the browser asked the proxy for, one after the other.
RESUMED = []
STREAM = "/api/public/v1/events/stream"
# After so many events the proxy lets the connection break off.
EVENTS_A_CONNECTION = 2


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page and the proxy, and takes the results."""

    orqit = None
    before = 0

    def do_GET(self):
        if self.path.startswith("/stream"):
            return self.proxy()
        page = pathlib.Path(os.environ["REPOSITORY"], "tests/clients/browser.html").read_text()
        page = page.replace("{URL}", self.orqit.url).replace("{KEY}", self.orqit.key)
        page = page.replace("{BEFORE}", str(self.before))
        self.answer(200, "text/html; charset=utf-8", page.encode())

    def do_POST(self):
        RESULTS.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(204, "text/plain", b"")

    def proxy(self):
        headers = {"authorization": "Bearer " + self.orqit.key, "accept": "text/event-stream"}
        last = self.headers["last-event-id"]
        RESUMED.append(last)
        if last:
            headers["last-event-id"] = last
        upstream = http.client.HTTPConnection("127.0.0.1", self.orqit.port, timeout=30)
        upstream.request("GET", STREAM + "?" + urllib.parse.urlsplit(self.path).query, headers=headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("connection", "close")
        self.end_headers()
        # Reconnecting at once makes the test short.
        self.wfile.write(b"retry: 50\n\n")
        told = 0
        while told < EVENTS_A_CONNECTION and (line := answer.readline()):
            self.wfile.write(line)
            # A frame ends with an empty line.
            told += line == b"\n" and self.is_event
            self.is_event = line.startswith(b"data:") or (self.is_event and line != b"\n")
        upstream.close()
        self.close_connection = True

    is_event = False

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with Orqit("service", ORQIT_CORS_ORIGINS=origin) as orqit:
        Page.orqit = orqit
        Page.before = orqit.call("GET", "/api/public/v1/events?after=0&perPage=100")[-1]["sequence"]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [
                os.environ["CHROMIUM"],
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
                "--user-data-dir=" + str(pathlib.Path("profile").resolve()),
                origin + "/",
            ],
            # Debian's program is a script around it: both are ended by their group.
            start_new_session=True,
        )
        try:
            results = RESULTS.get(timeout=90)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait(20)
        for name, told in results.items():
            check(name if told == "ok" else f"{name}: {told}", told == "ok")
        resumed = len(RESUMED) > 1 and RESUMED[0] is None and all(RESUMED[1:])
        check("EventSource resumes after its last event", resumed)
        server.shutdown()


main()
