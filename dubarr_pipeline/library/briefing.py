"""What the translators of a video are told: the context with a brief for each of its languages.

Briefs are written here and not with the context, so that another language redoes nothing before the
lines: its own brief is asked for, the others are taken from their kept answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from dubarr_pipeline.artifacts import read_context, read_speakers
from dubarr_pipeline.engines.interfaces import Reading
from dubarr_pipeline.library import crew
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.timeline.script import Context
from dubarr_pipeline.workdir import WorkDir, write_json


def briefed_context(
    settings: Settings, work: WorkDir, source: str, targets: Sequence[str]
) -> Context:
    """Return the context with what its reader has to say of each target language.

    Writes ``briefs/{lang}.json`` for people to look at.

    Raises:
        ServiceError: if the reader's server does not answer.
    """
    context = read_context(work.context)
    reader = crew.script_reader(settings, work.logs)
    if not reader.briefs:
        return context
    reading = Reading(context, tuple(read_speakers(work.speakers).values()))
    with reader:
        for target in targets:
            brief = reader.brief(reading, source, target, work.answers(target))
            write_json(work.brief(target), {**asdict(brief), "engine": reader.identity()})
            context = context.with_brief(brief)
    return context
