"""Questions of the translator (`prompts.toml`), and the forms of their replies."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict

from dubarr_pipeline.engines.interfaces import DraftBatch, LineToDraft, RewriteRequest
from dubarr_pipeline.services.http_client import ChatMessage, Schema, question
from dubarr_pipeline.services.llm_client import reply_schema
from dubarr_pipeline.text.tables import read_table


class DraftedLine(Schema):
    """Three versions of one line, of different length."""

    id: int
    short: str
    normal: str
    long: str


class DraftedLines(Schema):
    """Reply to a request for drafts."""

    model_config = ConfigDict(title="DraftedLines")
    lines: list[DraftedLine]


class Rewording(Schema):
    """Reply to a request for another wording."""

    model_config = ConfigDict(title="Rewording")
    text: str


def draft_schema(ids: Sequence[int]) -> dict[str, Any]:
    """Return the schema of a reply that has each of these lines once."""
    schema = reply_schema(DraftedLines)
    lines = schema["properties"]["lines"]
    lines |= {"minItems": len(ids), "maxItems": len(ids)}
    lines["items"]["properties"]["id"]["enum"] = list(ids)
    return schema


def draft_messages(
    batch: DraftBatch, lines: Sequence[LineToDraft], faults: Mapping[int, str]
) -> list[ChatMessage]:
    """Ask for the translation of some lines of a batch; `faults` of the last answers by index."""
    facts = {
        **_background(batch),
        "earlier": [{"source": source, "translation": text} for source, text in batch.earlier],
        "lines": [_line(line, batch, faults.get(line.segment.index)) for line in lines],
    }
    return _question("draft", batch, facts)


def rewrite_messages(request: RewriteRequest, fault: str | None) -> list[ChatMessage]:
    """Ask for another wording of one line."""
    gain = request.syllables > 0
    facts = {
        **_background(request.batch),
        "id": request.line.segment.index,
        "source": request.line.segment.text,
        "previous": list(request.line.previous),
        "next": list(request.line.following),
        "translation": request.text,
        "measured_seconds": request.measured_s,
        "wanted_seconds": request.wanted_s,
        "change": f"{'gain' if gain else 'lose'} about {abs(request.syllables)} syllables",
        "tried": list(request.tried),
    }
    if fault:
        facts["fault_of_your_last_answer"] = fault
    return _question("rewrite", request.batch, facts)


def _question(name: str, batch: DraftBatch, facts: Mapping[str, object]) -> list[ChatMessage]:
    prompt: str = read_table("dubarr_pipeline.engines.translation", "prompts")[name]
    return question(prompt.format(source=batch.source, target=batch.target), facts)


def _background(batch: DraftBatch) -> dict[str, object]:
    """Return the known facts on the film, in short, since they go with every call."""
    context = batch.context
    present = sorted({line.segment.speaker for line in batch.lines})
    addresses = context.addresses.get(batch.target, ())
    facts: dict[str, object] = {
        "source_language": batch.source,
        "target_language": batch.target,
        "synopsis": context.synopsis,
        "tone": context.tone,
        "relationships": list(context.relationships),
        "style_guide": context.style_guides.get(batch.target, ""),
        "glossary": {
            t.source: t.translations.get(batch.target, t.source) for t in context.glossary
        },
        "speakers": {s: _speaker(batch, s) for s in present},
        "forms_of_address": {
            f"{a.speaker} to {a.to}": a.form for a in addresses if a.speaker in present
        },
    }
    return {name: value for name, value in facts.items() if value}


def _speaker(batch: DraftBatch, speaker: str) -> dict[str, str]:
    profile = batch.speakers.get(speaker)
    if profile is None:
        return {}
    known = {
        "name": profile.name,
        "gender": profile.gender,
        "age": profile.age_group,
        "role": profile.role,
        "style": profile.style,
    }
    return {name: value for name, value in known.items() if value}


def _line(line: LineToDraft, batch: DraftBatch, fault: str | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "id": line.segment.index,
        "speaker": line.segment.speaker,
        "text": line.segment.text,
        "seconds": round(line.budget_s, 2),
    }
    if line is batch.lines[0] or len(batch.lines) == 1:
        facts["previous"] = list(line.previous)
    if line is batch.lines[-1]:
        facts["next"] = list(line.following)
    if line.existing:
        facts["existing_subtitle"] = line.existing
    if fault:
        facts["fault_of_your_last_answer"] = fault
    return facts
