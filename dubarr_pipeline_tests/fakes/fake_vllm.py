"""A stand-in for the program `vllm`, which cannot be installed here: same arguments, same protocol.

Run as ``pretended_vllm.py serve MODEL --port N ...``; beside itself it writes what it was told.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"")

    def do_POST(self) -> None:
        if self.headers.get("authorization") != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.answer(401, b'{"error": "Unauthorized"}')
            return
        asked = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith(("/sleep", "/wake_up")):
            awake = "VLLM_SERVER_DEV_MODE" in os.environ and "--enable-sleep-mode" in sys.argv
            self.answer(200 if awake else 404, b"")
            return
        document = json.loads(asked)
        with Path(f"{__file__}.asked").open("a") as log:
            log.write(json.dumps(document) + "\n")
        message = {"role": "assistant", "content": '{"answer": 7}'}
        usage = {"completion_tokens": 5}
        reply = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        self.answer(200, json.dumps(reply).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Path(f"{__file__}.told").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
    port = int(sys.argv[sys.argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
