"""Questions of the script analysis (`prompts.toml`), and their size in tokens."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import TypeVar

from dubarr_pipeline.engines.context.replies import Digest
from dubarr_pipeline.script.model import Relation, Segment, SpeakerProfile
from dubarr_pipeline.services.http_client import ChatMessage, question
from dubarr_pipeline.text.tables import read_table

_T = TypeVar("_T")

_LETTERS_PER_TOKEN = 3.0
"""Latin letters without marks; tokenizers of today's models reach 4 to 4.5 on English."""
_TOKENS_PER_LETTER = 1.5
"""All other letters: the worst that a model with a large vocabulary does to CJK or Cyrillic."""


VERSION = 1
"""Raised whenever a prompt or a form changes, so that older answers are not reused."""


def _question(name: str, facts: Mapping[str, object]) -> list[ChatMessage]:
    return question(read_table("dubarr_pipeline.engines.context", "prompts")[name], facts)


def part_messages(lines: Sequence[str], before: Sequence[Segment]) -> list[ChatMessage]:
    """Ask for notes on lines of `script_line`; `before` are segments of the part before."""
    facts = {"just_before": [script_line(s)[:200] for s in before], "lines": list(lines)}
    return _question("part", facts)


def reduce_messages(parts: Sequence[Digest]) -> list[ChatMessage]:
    """Ask for one digest of several, in the order of the film."""
    return _question("reduce", {"parts": [_document(part) for part in parts]})


def _document(part: Digest) -> dict[str, object]:
    return part.model_dump(mode="json", exclude_none=True)


def style_messages(
    languages: tuple[str, str],
    film: Mapping[str, str],
    speakers: Sequence[SpeakerProfile],
    relations: Sequence[Relation],
) -> list[ChatMessage]:
    """Ask for the style guide of (source, target) and the forms of address of the relations."""
    known = {
        s.speaker: {
            "name": s.name,
            "gender": s.gender,
            "age": s.age_group,
            "role": s.role and s.role[:100],
        }
        for s in speakers
    }
    facts = {
        **_languages(languages),
        **film,
        "speakers": {who: {n: v for n, v in k.items() if v} for who, k in known.items()},
        "relations": [
            {"speaker": r.speaker, "to": r.to, "relation": r.relation[:300], "manner": r.manner}
            for r in relations
        ],
    }
    return _question("style", facts)


def terms_messages(
    languages: tuple[str, str], film: Mapping[str, str], terms: Mapping[str, str]
) -> list[ChatMessage]:
    """Ask for the renderings of glossary terms (source -> kind)."""
    listed = [{"source": source, "kind": kind} for source, kind in terms.items()]
    return _question("terms", {**_languages(languages), **film, "terms": listed})


def with_fault(messages: list[ChatMessage], fault: str) -> list[ChatMessage]:
    """Repeat a question, with the fault of the last answer."""
    facts = {**json.loads(messages[-1].content), "fault_of_your_last_answer": fault[:500]}
    return question(messages[0].content, facts)


def _languages(languages: tuple[str, str]) -> dict[str, str]:
    return {"source_language": languages[0], "target_language": languages[1]}


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of a text's tokens in a language model; 0 for an empty one.

    Spaces belong to the words after them; digits and signs count one each.
    """
    plain = sum(1 for sign in text if sign.isascii() and sign.isalpha())
    other = sum(1 for sign in text if not sign.isascii())
    spaces = text.count(" ")
    signs = len(text) - plain - other - spaces
    return ceil(plain / _LETTERS_PER_TOKEN + spaces / 4 + _TOKENS_PER_LETTER * other + signs)


def script_line(segment: Segment) -> str:
    """Return a segment in the model's form: ``12|SPEAKER_00|What did you say?``, on one line."""
    kind = "" if segment.kind == "speech" else f"[{segment.kind}] "
    return f"{segment.index}|{segment.speaker}|{kind}{' '.join(segment.text.split())}"


def cut(items: Sequence[_T], weigh: Callable[[_T], int], most: int) -> Iterator[tuple[_T, ...]]:
    """Cut a sequence into runs of limited weight; a heavier item makes a run of its own."""
    part: list[_T] = []
    weight = 0
    for item in items:
        heavy = weigh(item)
        if part and weight + heavy > most:
            yield tuple(part)
            part, weight = [], 0
        part.append(item)
        weight += heavy
    if part:
        yield tuple(part)


def script_parts(segments: Sequence[Segment], most_tokens: int) -> tuple[tuple[Segment, ...], ...]:
    """Cut a script into parts of limited tokens, in order and complete."""
    return tuple(cut(segments, segment_tokens, most_tokens))


def segment_tokens(segment: Segment) -> int:
    """Return the tokens of a segment's line in quotes, with a comma and a line break."""
    return estimate_tokens(script_line(segment)) + 4


def digest_tokens(digest: Digest) -> int:
    """Return the tokens of a digest in the model's form."""
    return estimate_tokens(str(_document(digest))) + 8


def clip_tokens(text: str, most: int) -> str:
    """Return the longest beginning of a text that surely has no more than so many tokens."""
    return text if estimate_tokens(text) <= most else text[: max(0, int(most / 1.5))]
