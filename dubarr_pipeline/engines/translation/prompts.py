"""What a language model is told, and in which form it must answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dubarr_pipeline.engines.interfaces import DraftBatch, LineToDraft, RewriteRequest
from dubarr_pipeline.services.wire import ChatMessage

_DRAFT = """You translate film dialogue from {source} to {target} for dubbing.
Each line must sound like natural speech of its speaker and take about as long as the original.
For every line write three versions of the same meaning: "short" (about 15 % quicker to say than
"seconds"), "normal" (as long as "seconds") and "long" (about 15 % longer). Write only what is to
be said: no names of speakers, no notes, no stage directions. Use the glossary's words exactly. Do
not merge or split lines. Answer with JSON only:
{{"lines": [{{"id": 0, "short": "...", "normal": "...", "long": "..."}}]}}, each id exactly once."""

_REWRITE = """You fit dubbed film dialogue in {target} to the time that it has.
Reword the line so that it takes the wanted time, keeping its meaning, its tone and the glossary's
words. Never repeat a wording that was tried. Write only what is to be said. Answer with JSON only:
{{"text": "..."}}"""


def draft_messages(
    batch: DraftBatch, lines: Sequence[LineToDraft], faults: Mapping[int, str]
) -> list[ChatMessage]:
    """The request for the translation of some lines of a batch.

    Args:
        batch: where they come from.
        lines: those that are still to be translated.
        faults: index -> what was wrong with the last answer.
    """
    told = {
        **_background(batch),
        "earlier": [{"source": source, "translation": text} for source, text in batch.earlier],
        "lines": [_line(line, batch, faults.get(line.segment.index)) for line in lines],
    }
    return _messages(_DRAFT.format(source=batch.source, target=batch.target), told)


def rewrite_messages(request: RewriteRequest, fault: str | None) -> list[ChatMessage]:
    """The request for another wording of one line."""
    gain = request.syllables > 0
    told = {
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
        told["fault_of_your_last_answer"] = fault
    return _messages(_REWRITE.format(target=request.batch.target), told)


def _messages(system: str, told: Mapping[str, object]) -> list[ChatMessage]:
    return [
        ChatMessage(role="system", content=system),
        ChatMessage(role="user", content=json.dumps(told, ensure_ascii=False)),
    ]


def _background(batch: DraftBatch) -> dict[str, object]:
    """What the film is about, as far as it is known; short, since it goes with every call."""
    context = batch.context
    told: dict[str, object] = {
        "source_language": batch.source,
        "target_language": batch.target,
        "synopsis": context.synopsis,
        "tone": context.tone,
        "relationships": list(context.relationships),
        "style_guide": context.style_guides.get(batch.target, ""),
        "glossary": {
            t.source: t.translations.get(batch.target, t.source) for t in context.glossary
        },
        "speakers": {s: _speaker(batch, s) for s in _present(batch)},
        "forms_of_address": _addresses(batch),
    }
    return {name: value for name, value in told.items() if value}


def _addresses(batch: DraftBatch) -> dict[str, str]:
    """How those who speak here address others in the target language."""
    told, present = batch.context.addresses.get(batch.target, ()), _present(batch)
    return {f"{a.speaker} to {a.to}": a.form for a in told if a.speaker in present}


def _present(batch: DraftBatch) -> list[str]:
    return sorted({line.segment.speaker for line in batch.lines})


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
    told: dict[str, object] = {
        "id": line.segment.index,
        "speaker": line.segment.speaker,
        "text": line.segment.text,
        "seconds": round(line.budget_s, 2),
    }
    if line is batch.lines[0] or len(batch.lines) == 1:
        told["previous"] = list(line.previous)
    if line is batch.lines[-1]:
        told["next"] = list(line.following)
    if line.existing:
        told["existing_subtitle"] = line.existing
    if fault:
        told["fault_of_your_last_answer"] = fault
    return told
