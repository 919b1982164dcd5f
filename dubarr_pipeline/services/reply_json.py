"""The JSON in what a language model says: found, read in its form, and refused by name."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from dubarr_pipeline.errors import BadReply

_Form = TypeVar("_Form", bound=BaseModel)

LONGEST_REPLY = 4_000_000
"""Characters; no window holds an answer of that length: the server has lost its thread."""
_FENCE = re.compile(r"```(?:json)?[ \t\r\n]*", re.IGNORECASE)


def read_reply(content: str, form: type[_Form]) -> _Form:
    """Return the JSON object of a model's reply in its form.

    Thoughts, a Markdown fence and words around the object are passed over. Nothing is mended.

    Raises:
        BadReply: naming the first fault: too long, no JSON, cut off, a key twice, a wrong type.
    """
    if len(content) > LONGEST_REPLY:
        raise BadReply(f"the reply is {len(content)} characters long; at most {LONGEST_REPLY}")
    document = bare_json(content)
    try:
        found = form.model_validate_json(document)
        _refuse_oddities(document)
    except ValidationError as error:
        raise BadReply(f"the reply is not the JSON asked for: {first_fault(error)}") from error
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is not the JSON asked for: {error}") from error
    return found


def bare_json(content: str) -> str:
    """The JSON object in a model's reply, freed of its thoughts and of a Markdown fence."""
    content = content.strip()
    if not content.startswith("{"):
        content = content.rpartition("</think>")[2]
        fence = _FENCE.search(content)
        content = content[fence.end() :].partition("```")[0] if fence else content
    first, last = content.find("{"), content.rfind("}")
    return content[first : last + 1] if 0 <= first < last else content.strip()


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a document, and where."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])[:200]
    return f"{where}: {found['msg']}" if where else found["msg"]


def _refuse_oddities(document: str) -> None:
    """Refuse what readers of JSON pass over in silence: keys twice, and numbers that are none."""
    json.loads(document, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:80]!r} stands there twice")
        found[name] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
