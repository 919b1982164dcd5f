"""A production in a process that will be killed: what it speaks is told in a file of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.production.produce import produce
from dubarr_pipeline.production.tasks import ProductionOptions
from dubarr_pipeline_tests.production.making import BudgetTranslator, order, transcript

SLOTS = 2
IN_HAND = 4
"""Lines that are worked at once: of each, the take that is not kept yet is made again."""
LINES = 14


class ToldTone(ToneSynthesizer):
    """Hums slowly, and writes down every request when it begins."""

    def __init__(self, log: Path, delay_s: float) -> None:
        super().__init__(fits_duration=False)
        self._log, self._delay_s = log, delay_s

    def speak(self, request: SpeechRequest) -> Speech:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{request.language}|{request.text}\n".encode())
        os.close(descriptor)
        time.sleep(self._delay_s)
        return super().speak(request)


def child(folder: Path, log: Path, delay_s: float) -> None:
    """Produce a small script; a second start goes on where the first was killed."""
    options = ProductionOptions(tts_concurrency=SLOTS, threads=IN_HAND, batch_lines=4)
    translator = BudgetTranslator(stretch=0.8)
    produce(order(folder, transcript(LINES), translator, ToldTone(log, delay_s), options=options))
