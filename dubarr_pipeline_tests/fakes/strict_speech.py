"""A speech server as strict as OpenAI's: unknown fields are refused; speed may be honoured."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
import soundfile

KNOWN = frozenset(("model", "input", "voice", "response_format"))
RATE = 8000


class StrictSpeechServer:
    """Hums `letter_s` for each letter, over the speed; a context manager.

    Attributes:
        known: fields of an order that it takes; others are refused with `refusal`.
        honours_speed: whether `speed` makes a difference.
        listed: answer of ``GET /v1/audio/voices``, None: 404.
        orders: all orders that it took.
    """

    def __init__(
        self,
        known: frozenset[str] = KNOWN,
        refusal: int = 400,
        honours_speed: bool = True,
        listed: object = None,
        letter_s: float = 0.1,
    ) -> None:
        self.known, self.refusal, self.listed = known, refusal, listed
        self.honours_speed, self.letter_s = honours_speed, letter_s
        self.orders: list[dict[str, Any]] = []
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/v1/audio/voices" and outer.listed is not None
                body = outer.listed if isinstance(outer.listed, bytes) else json.dumps(outer.listed)
                body = body if isinstance(body, bytes) else body.encode()
                self.answer(200 if found else 404, "application/json", body if found else b"{}")

            def do_POST(self) -> None:
                order = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if strange := order.keys() - outer.known:
                    outer.refused += 1
                    words = f"unknown: {sorted(strange)}".encode()
                    self.answer(outer.refusal, "text/plain", words)
                else:
                    outer.orders.append(order)
                    self.answer(200, "audio/wav", outer.sound(order))

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def sound(self, order: Mapping[str, Any]) -> bytes:
        speed = order.get("speed", 1.0) if self.honours_speed else 1.0
        # The pace drifts a little with the speed, as it does with real voices.
        length_s = self.letter_s * len(order["input"]) / speed**0.9
        time_s = np.arange(round(length_s * RATE)) / RATE
        stream = io.BytesIO()
        soundfile.write(stream, 0.3 * np.sin(2 * np.pi * 150 * time_s), RATE, format="WAV")
        return stream.getvalue()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
