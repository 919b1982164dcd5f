from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from dubarr_pipeline.services.http_client import ChatReply, question
from dubarr_pipeline.services.llm_client import LanguageModelOptions, LLMService, bare_json


class _Answer(BaseModel):
    model_config = ConfigDict(title="answer")
    answer: int


@contextmanager
def plain_server(asked: list[dict[str, Any]]) -> Iterator[str]:
    """A server that refuses a schema and a seed, and answers 7 to all else."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            refused = asked[-1].keys() & {"response_format", "seed"}
            reply = {"message": {"role": "assistant", "content": '{"answer": 7}'}}
            body = json.dumps({"choices": [reply]}).encode()
            self.send_response(400 if refused else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_without_schemas_is_asked_for_one_once() -> None:
    asked: list[dict[str, Any]] = []
    with plain_server(asked) as url:
        service = LLMService(LanguageModelOptions(url=url, attempts=1))
        for _ in range(2):
            assert service.ask(question("Answer.", {}), _Answer, 0).answer == 7
        service.close()
    assert ["response_format" in each for each in asked] == [True, False, False]


@pytest.mark.parametrize(
    ("content", "bare"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('<think>{"b": 2}</think>\nSure: {"a": 1}!', '{"a": 1}'),
        ("nothing", "nothing"),
    ],
)
def test_json_is_freed_of_what_models_put_around_it(content: str, bare: str) -> None:
    assert bare_json(content) == bare


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ('{"completion_tokens": 7}', 7),
        ('{"completion_tokens": null}', 0),
        ('{"completion_tokens": 12.5}', 0),
        ('{"completion_tokens": "many"}', 0),
        ('{"completion_tokens": -5000}', 0),
        ('{"completion_tokens": 1e30}', 0),
        ('{"completion_tokens": true}', 0),
        ("[]", 0),
        ("null", 0),
    ],
)
def test_odd_counts_of_tokens_cost_no_answer(usage: str, tokens: int) -> None:
    choice = '{"message": {"role": "assistant", "content": "{}"}}'
    reply = ChatReply.model_validate_json(f'{{"choices": [{choice}], "usage": {usage}}}')
    assert reply.tokens == tokens
