from __future__ import annotations

import pytest

from dubarr_pipeline.services.http_client import ChatReply
from dubarr_pipeline.services.llm_client import bare_json


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
