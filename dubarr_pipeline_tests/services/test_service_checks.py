from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fixtures.bench import Bench, write_config


class Scripted(BaseHTTPRequestHandler):
    """An LLM that is set up wrong in one way or another."""

    protocol_version = "HTTP/1.1"
    models: Any = {"data": [{"id": "qwen", "max_model_len": 8192}]}  # noqa: RUF012
    status, content = 200, '{"answer": 7}'
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        status = 401 if self.status == 401 else 200
        self.answer(status, json.dumps(self.models))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(json.loads(body))
        if self.status != 200:
            self.answer(self.status, self.content)
            return
        message = {"role": "assistant", "content": self.content}
        self.answer(200, json.dumps({"choices": [{"message": message}]}))

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def llm() -> Iterator[Callable[..., str]]:
    """Starts a server that is set up wrong; returns its address."""
    running: list[ThreadingHTTPServer] = []

    def start(**facts: Any) -> str:
        handler = type("Told", (Scripted,), {"asked": [], **facts})
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=running[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}/v1"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def ask(url: str, **options: Any) -> None:
    facts: dict[str, Any] = {"model": "qwen", "attempts": 2, "backoff_s": 0.001, **options}
    with OpenAITranslator(OpenAIOptions(url=url, **facts)) as engine:
        engine.try_out(("es",))


def test_a_good_server_passes(llm: Callable[..., str]):
    ask(llm())
    ask(llm(models={"object": "error"}), model="anything")
    ask(llm(content='<think>7?</think>```json\n{"answer": 7}\n```'))


@pytest.mark.parametrize(
    ("facts", "options", "words"),
    [
        ({"status": 401, "content": "no"}, {}, r"refuses our key.*llm\.key_variable"),
        ({}, {"model": "llama"}, r"does not serve 'llama'; it serves: qwen: set llm\.model"),
        ({}, {"context_tokens": 8193}, r"window of 8192 tokens, but llm\.context_tokens is 8193"),
        ({"content": "A week has seven days."}, {}, r"not return the requested JSON.*llm\.model"),
        ({"content": '{"days": 7}'}, {}, r"does not return the requested JSON"),
        ({"status": 404, "content": "no such path"}, {}, r"does not answer.*404.*llm\.url"),
        ({"status": 500, "content": "out of order"}, {}, r"500: out of order.*start it"),
        (
            {"status": 422, "content": "Unexpected fields: priority"},
            {"server_priority": True},
            r"set llm\.server_priority = false",
        ),
        (
            {"status": 400, "content": "This model's maximum context length is 2048 tokens"},
            {},
            r"llm\.context_tokens and llm\.max_tokens",
        ),
    ],
)
def test_an_llm_that_will_not_do_is_named_with_the_cure(
    llm: Callable[..., str], facts: dict[str, Any], options: dict[str, Any], words: str
):
    with pytest.raises(MissingRequirement, match=f"(?s)the LLM at http.*{words}"):
        ask(llm(**facts), **options)


def test_a_wrong_address_is_named():
    with pytest.raises(MissingRequirement, match=r"cannot be reached.*set llm\.url"):
        ask("http://127.0.0.1:9/v1")


def voice(url: str, **options: Any) -> OpenAISynthesizer:
    facts: dict[str, Any] = {"attempts": 1, **options}
    return OpenAISynthesizer(OpenAISpeechOptions(url=url, **facts))


def test_a_voice_is_asked_for_a_word_in_every_language():
    with SimulatedServer() as server, voice(server.url) as engine:
        engine.try_out(("es", "zh"))
        assert [text.partition(" ")[0] for text in server.record.spoken] == ["es", "zh"]
        server.misbehave("tts", "silence")
        with pytest.raises(MissingRequirement, match="only silence"):
            engine.try_out(("es",))
        server.misbehave("tts", "garbage")
        with pytest.raises(MissingRequirement, match=r"does not speak es.*not audio"):
            engine.try_out(("es",))
    with voice("http://127.0.0.1:9/v1") as engine, pytest.raises(MissingRequirement, match="start"):
        engine.try_out(("es",))


def test_a_language_that_is_not_served_is_told_at_once():
    with (
        voice("http://127.0.0.1:9/v1", languages=("es",)) as engine,
        pytest.raises(MissingRequirement, match="does not speak zh"),
    ):
        engine.try_out(("es", "zh"))


def test_a_run_ends_before_it_begins_where_a_service_will_not_do(
    llm: Callable[..., str], film: Path, tmp_path: Path
):
    with SimulatedServer() as server:
        config = write_config(
            tmp_path / "dubarr.toml",
            {
                "llm": {"url": llm(), "model": "llama", "attempts": 1},
                "translation": {"engine": "openai"},
                "synthesis": {"engine": "openai", "url": server.url, "languages": ["ca"]},
            },
        )
        bench = Bench(tmp_path / "work", config)
        answer = bench.dub(film)
    assert answer.code == 3
    assert "does not serve 'llama'; it serves: qwen" in answer.err
    assert "does not speak es" in answer.err
    assert not bench.works()
