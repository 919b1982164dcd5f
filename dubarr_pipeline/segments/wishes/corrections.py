"""A person's edits of lines, checked against what there is: one that cannot be had is named.

The line keeps the machine's own where an edit is refused: no edit ends a run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.spans import to_samples, to_seconds
from dubarr_pipeline.text.normalize import speakable
from dubarr_pipeline.timing.placement import PinnedPlace
from dubarr_pipeline.timing.windows import Window


def said_fields(edits: LineEdits) -> dict[str, Any]:
    """Return the fields that a person has set, with their values."""
    return {name: value for name, value in asdict(edits).items() if value not in (None, False)}


def checked(
    edits: LineEdits, language: str, window: Window, rate: int, voices: Collection[str]
) -> tuple[LineEdits, tuple[str, ...]]:
    """Return the edits of a line that can be had, and the others in words.

    `window` is in samples at `rate` Hz; `voices` are those of the language, by name.
    """
    refused: list[str] = []
    text, voice, start_s = edits.text, edits.voice, edits.start_s
    if text is not None and not any(sign.isalnum() for sign in speakable(text, language)):
        refused.append(f"text: nothing to say in {text!r}")
        text = None
    if voice is not None and voice not in voices:
        choices = ", ".join(sorted(voices)) or "none"
        refused.append(f"voice: there is no {voice!r} in {language}: choose one of {choices}")
        voice = None
    if start_s is not None and not (
        window.reach.start <= to_samples(start_s, rate) < window.reach.end
    ):
        first, last = (to_seconds(at, rate) for at in (window.reach.start, window.reach.end))
        refused.append(f"start_s: {start_s:g} s is outside the window ({first:g} to {last:g} s)")
        start_s = None
    return replace(edits, text=text, voice=voice, start_s=start_s), tuple(refused)


def pin(edits: LineEdits, natural: int, rate: int) -> PinnedPlace:
    """Return where a take of so many samples at `rate` Hz must lie for a person."""
    start = None if edits.start_s is None else to_samples(edits.start_s, rate)
    length = None if edits.tempo is None else max(1, round(natural / edits.tempo))
    return PinnedPlace(start, length)
