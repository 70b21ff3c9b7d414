"""A service of a client's own, for the clients in Python that need other settings than all have."""

import json
import os
import pathlib
import socket
import subprocess
import urllib.request


def check(name, holds):
    print(("ok " if holds else "FAILED ") + name, flush=True)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Orqit:
    """A service with these settings, in a folder of this name."""

    def __init__(self, name, **settings):
        self.directory = pathlib.Path(name)
        self.directory.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "ORQIT_LISTEN": f"127.0.0.1:{self.port}",
            "ORQIT_DATABASE_URL": "sqlite://orqit.db",
            "ORQIT_LOG": "warn",
            **settings,
        }
        self.process = self.start("serve", stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("Orqit listens on ")
        create = ("key", "create", "--name", "Test", "--scope", "admin")
        limits = ("--limit-per-minute", "unlimited", "--group-limit-per-minute", "unlimited")
        made = self.start(*create, *limits, stdout=subprocess.PIPE, text=True)
        self.key = made.communicate()[0].strip()

    def start(self, *arguments, **options):
        program = [os.environ["ORQIT_PROGRAM"], *arguments]
        return subprocess.Popen(program, cwd=self.directory, env=self.environment, **options)

    def call(self, method, path, body=None, **headers):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": "Bearer " + self.key,
                "content-type": "application/json",
                **headers,
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
