"""Whether a take says its line: its words are written down by a listener and compared."""

from __future__ import annotations

import logging
from dataclasses import replace

from dubarr_pipeline.engines.interfaces import TakeListener
from dubarr_pipeline.errors import EngineError, ServiceError
from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.journal import digest
from dubarr_pipeline.production.memory import Rendering
from dubarr_pipeline.production.speech_text import speakable
from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.services.queueing import Priority
from dubarr_pipeline.timeline.verdicts import MISSPOKEN
from dubarr_pipeline.timeline.word_error import word_error

_log = logging.getLogger(__name__)


def listened(
    rendering: Rendering, said: str, task: LineTask, desk: Desk, priority: Priority
) -> Rendering:
    """The rendering with its words, and with a fault if too many of them are others.

    A listener that fails leaves the take unheard: its sound was measured, and a voice is not to
    blame for the ear.

    Args:
        rendering: a take; one with a fault is not listened to.
        said: its text as it was given to the voice.
        task: its line.
        desk: whose listener and limit count.
        priority: the take's own.
    """
    listener = desk.listener
    if listener is None or rendering.faults or not listener.hears(task.language):
        return rendering
    try:
        heard = _heard(rendering, task, desk, priority, listener)
    except (EngineError, ServiceError) as error:
        _log.warning("%s: its take could not be listened to: %s", task.name, error)
        return rendering
    error_share = word_error(speakable(heard, task.language), said)
    wrong = error_share is not None and error_share > desk.options.word_error
    return replace(rendering, heard=heard, faults=(MISSPOKEN,) if wrong else ())


def _heard(
    rendering: Rendering, task: LineTask, desk: Desk, priority: Priority, listener: TakeListener
) -> str:
    def ask() -> str:
        samples, rate = desk.memory.sound_of(rendering.file)
        return desk.asr.call(priority, lambda: listener.hear(samples, rate, task.language))

    return desk.memory.hearing(task, digest(listener.identity(), rendering.sound), ask)
