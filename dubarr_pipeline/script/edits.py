"""Corrections of mishearings: the rule by which proposed edits of a script are applied."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import SequenceMatcher

from dubarr_pipeline.script.model import ScriptEdit, Segment, Transcript

LEAST_ALIKE = 0.5
"""A correction leaves at least half of the line's letters where they are, or it is a rewriting."""
_LONGEST_COMPARED = 2000


def judge_edit(segment: Segment, after: str, reason: str, *, sure: bool) -> ScriptEdit:
    """Record a proposed edit, and decide whether the translation uses it.

    Only words that a machine heard are changed, only where the reader is sure, and only where the
    line stays recognisable: words from subtitles were written by people.
    """
    after = " ".join(after.split())
    note = _why_not(segment, after, sure)
    return ScriptEdit(segment.index, segment.text, after, reason, not note, note)


def _why_not(segment: Segment, after: str, sure: bool) -> str:
    if segment.source != "asr":
        return "the line was not heard but written"
    if not sure:
        return "the reader is not sure"
    if not any(sign.isalnum() for sign in after):
        return "nothing would be left to say"
    before = " ".join(segment.text.split())
    if max(len(before), len(after)) > _LONGEST_COMPARED:
        return "the line is too long to compare"
    # Another case is not another word.
    alike = SequenceMatcher(None, before.casefold(), after.casefold(), autojunk=False).ratio()
    return "" if alike >= LEAST_ALIKE else f"only {alike:.0%} of the line would stay"


def edited(
    transcript: Transcript, edits: Iterable[ScriptEdit], by_hand: Mapping[int, str] | None = None
) -> Transcript:
    """Return the script that is translated: applied edits put in, a person's own on top.

    An edit whose `before` is not the text of the script is left out: it was made for another
    transcript. Of several for one line the first counts. `by_hand` has a person's wording of the
    source line by its index.
    """
    texts = {s.index: s.text for s in transcript.segments}
    wanted: dict[int, str] = {}
    for edit in edits:
        if edit.applied and texts.get(edit.index) == edit.before:
            wanted.setdefault(edit.index, edit.after)
    wanted |= {index: text for index, text in (by_hand or {}).items() if index in texts}
    if not wanted:
        return transcript
    segments = (replace(s, text=wanted.get(s.index, s.text)) for s in transcript.segments)
    return replace(transcript, segments=tuple(segments))
