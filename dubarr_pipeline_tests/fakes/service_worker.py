"""A service for tests: answers on its port, with a token; it may be told to misbehave.

Run as a script: ``worker.py PORT FOLDER [MODE...]``. It notes its process and those that it started
in FOLDER. Modes: ``mute`` never answers, ``crash`` ends at once, ``slow-once`` hangs in its first
life, ``killed-once`` is killed in it as it starts, ``stubborn`` ignores TERM, ``family`` starts a
child and a grandchild of a session of its own. All can sleep: asleep they hang, as vLLM does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLEEPER = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
PARENT = (
    "import subprocess,sys; p=subprocess.Popen([sys.executable,'-c',sys.argv[1]],"
    "start_new_session=True,stdout=subprocess.DEVNULL); print(p.pid,flush=True)"
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200 if self.known() else 401, b"well")

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith(("/sleep", "/wake_up")):
            self.server.asleep = self.path.startswith("/sleep")  # type: ignore[attr-defined]
        elif getattr(self.server, "asleep", False):
            time.sleep(600)  # as vLLM does
        if b"die" in said and life() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"hang" in said and life() == 1:
            Handler.do_GET = lambda _: time.sleep(600)  # type: ignore[method-assign]
            time.sleep(600)
        self.answer(200 if self.known() else 401, str(os.getpid()).encode())

    def known(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {os.environ['TOKEN']}"

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def life() -> int:
    """Which of its lives this is, from 1 on."""
    return len(list(FOLDER.glob("life-*")))


def start_family() -> None:
    """A child that ends at once, and leaves a grandchild that ignores TERM behind."""
    found = subprocess.run(
        [sys.executable, "-c", PARENT, SLEEPER], stdout=subprocess.PIPE, text=True, check=True
    )
    (FOLDER / f"grandchild-{found.stdout.strip()}").touch()


if __name__ == "__main__":
    FOLDER, MODES = Path(sys.argv[2]), sys.argv[3:]
    (FOLDER / f"life-{os.getpid()}").touch()
    sys.stderr.write("the worker begins\n")
    if "crash" in MODES or ("crash-later" in MODES and life() > 1):
        sys.stderr.write("no such device\n")
        sys.exit(7)
    if "killed-once" in MODES and life() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if "stubborn" in MODES:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "family" in MODES:
        start_family()
    if "mute" in MODES:
        time.sleep(600)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
