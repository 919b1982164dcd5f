"""The JSON schemas that models are asked to hold their replies to, pinned as they are sent.

A schema shapes a model's answer: a change here changes what a film is told, and needs a raised
`VERSION` of the prompts. Names of classes and docstrings do not enter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from dubarr_pipeline.engines.context.asking import Answers
from dubarr_pipeline.engines.context.replies import Digest, PartNotes, RenderedTerms, StyleNotes
from dubarr_pipeline.engines.translation.prompts import DraftedLines, Rewording
from dubarr_pipeline.services.http_client import ChatMessage
from dubarr_pipeline.services.llm_client import _Answer, form_name, reply_schema

FORMS = (PartNotes, Digest, StyleNotes, RenderedTerms, DraftedLines, Rewording, _Answer)

SCHEMAS: dict[str, dict[str, Any]] = {
    "PartNotes": {
        "properties": {
            "synopsis": {"maxLength": 4000, "minLength": 1, "type": "string"},
            "tone": {"maxLength": 500, "minLength": 1, "type": "string"},
            "people": {
                "default": [],
                "items": {
                    "properties": {
                        "speaker": {"maxLength": 120, "type": "string"},
                        "name": {
                            "anyOf": [{"maxLength": 120, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                        "gender": {
                            "default": "unknown",
                            "enum": ["male", "female", "unknown"],
                            "type": "string",
                        },
                        "age_group": {
                            "default": "unknown",
                            "enum": ["child", "teenager", "adult", "elderly", "unknown"],
                            "type": "string",
                        },
                        "role": {
                            "anyOf": [{"maxLength": 500, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                        "style": {
                            "anyOf": [{"maxLength": 500, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                    },
                    "required": ["speaker"],
                    "type": "object",
                },
                "type": "array",
            },
            "relations": {
                "default": [],
                "items": {
                    "properties": {
                        "speaker": {"maxLength": 120, "type": "string"},
                        "to": {"maxLength": 120, "type": "string"},
                        "relation": {"maxLength": 500, "type": "string"},
                        "manner": {
                            "default": "unclear",
                            "enum": ["familiar", "polite", "unclear"],
                            "type": "string",
                        },
                    },
                    "required": ["speaker", "to", "relation"],
                    "type": "object",
                },
                "type": "array",
            },
            "terms": {
                "default": [],
                "items": {
                    "properties": {
                        "source": {"maxLength": 120, "minLength": 1, "type": "string"},
                        "kind": {
                            "default": "term",
                            "enum": ["name", "place", "organisation", "term"],
                            "type": "string",
                        },
                    },
                    "required": ["source"],
                    "type": "object",
                },
                "type": "array",
            },
            "edits": {
                "default": [],
                "items": {
                    "properties": {
                        "id": {"type": "integer"},
                        "text": {"maxLength": 4000, "type": "string"},
                        "reason": {"default": "", "maxLength": 500, "type": "string"},
                        "confidence": {"default": "low", "enum": ["high", "low"], "type": "string"},
                    },
                    "required": ["id", "text"],
                    "type": "object",
                },
                "type": "array",
            },
        },
        "required": ["synopsis", "tone"],
        "type": "object",
    },
    "Digest": {
        "properties": {
            "synopsis": {"maxLength": 4000, "minLength": 1, "type": "string"},
            "tone": {"maxLength": 500, "minLength": 1, "type": "string"},
            "people": {
                "default": [],
                "items": {
                    "properties": {
                        "speaker": {"maxLength": 120, "type": "string"},
                        "name": {
                            "anyOf": [{"maxLength": 120, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                        "gender": {
                            "default": "unknown",
                            "enum": ["male", "female", "unknown"],
                            "type": "string",
                        },
                        "age_group": {
                            "default": "unknown",
                            "enum": ["child", "teenager", "adult", "elderly", "unknown"],
                            "type": "string",
                        },
                        "role": {
                            "anyOf": [{"maxLength": 500, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                        "style": {
                            "anyOf": [{"maxLength": 500, "type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                    },
                    "required": ["speaker"],
                    "type": "object",
                },
                "type": "array",
            },
        },
        "required": ["synopsis", "tone"],
        "type": "object",
    },
    "StyleNotes": {
        "properties": {
            "style_guide": {"maxLength": 2000, "minLength": 1, "type": "string"},
            "addresses": {
                "default": [],
                "items": {
                    "properties": {
                        "speaker": {"maxLength": 120, "type": "string"},
                        "to": {"maxLength": 120, "type": "string"},
                        "form": {"maxLength": 60, "minLength": 1, "type": "string"},
                    },
                    "required": ["speaker", "to", "form"],
                    "type": "object",
                },
                "type": "array",
            },
        },
        "required": ["style_guide"],
        "type": "object",
    },
    "RenderedTerms": {
        "properties": {
            "terms": {
                "items": {
                    "properties": {
                        "source": {"maxLength": 120, "minLength": 1, "type": "string"},
                        "rendering": {"maxLength": 120, "minLength": 1, "type": "string"},
                        "say": {"default": "", "maxLength": 120, "type": "string"},
                    },
                    "required": ["source", "rendering"],
                    "type": "object",
                },
                "type": "array",
            }
        },
        "required": ["terms"],
        "type": "object",
    },
    "DraftedLines": {
        "properties": {
            "lines": {
                "items": {
                    "properties": {
                        "id": {"type": "integer"},
                        "short": {"type": "string"},
                        "normal": {"type": "string"},
                        "long": {"type": "string"},
                    },
                    "required": ["id", "short", "normal", "long"],
                    "type": "object",
                },
                "type": "array",
            }
        },
        "required": ["lines"],
        "type": "object",
    },
    "Rewording": {
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "type": "object",
    },
    "_Answer": {
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "type": "object",
    },
}


def test_every_form_sends_the_schema_that_is_pinned() -> None:
    assert {form_name(form): reply_schema(form) for form in FORMS} == SCHEMAS


def test_all_forms_of_a_reply_are_pinned() -> None:
    """Each is asked for by its title; one that is only a part of another has none."""
    titled = {form for form in _below(BaseModel) if form.model_config.get("title")}
    ours = {form for form in titled if form.__module__.startswith("dubarr_pipeline.")}
    assert ours == set(FORMS)


def _below(form: type[BaseModel]) -> set[type[BaseModel]]:
    found = set(form.__subclasses__())
    return found.union(*(_below(each) for each in found))


class Inner(BaseModel):
    """A part."""

    title: str
    description: str = "d"


class One(BaseModel):
    """One docstring."""

    model_config = ConfigDict(title="Reply")
    properties: list[Inner]


class RenamedInner(BaseModel):
    title: str
    description: str = "d"


class Renamed(BaseModel):
    """Another docstring."""

    model_config = ConfigDict(title="Reply")
    properties: list[RenamedInner]


def test_names_of_classes_and_docstrings_do_not_enter(tmp_path: Path) -> None:
    assert reply_schema(One) == reply_schema(Renamed)
    fields = reply_schema(One)["properties"]["properties"]["items"]["properties"]
    assert fields == {
        "title": {"type": "string"},
        "description": {"default": "d", "type": "string"},
    }
    answers = Answers(tmp_path, "model")
    messages = [ChatMessage(role="user", content="Well?")]
    assert answers.path(messages, One) == answers.path(messages, Renamed)


def test_answers_that_were_kept_before_are_still_found(tmp_path: Path) -> None:
    path = Answers(tmp_path, "model t=0.0").path(
        [ChatMessage(role="user", content="Well?")], Digest
    )
    assert path == tmp_path / "Digest-0012621b8194e49a05af6742a7588e92.json"


def test_a_form_without_a_title_is_refused() -> None:
    with pytest.raises(TypeError, match="Inner has no title"):
        form_name(Inner)
