"""How often a translator is asked for other wordings that it does not have."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from dubarr_pipeline.engines.interfaces import RewriteRequest
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.segments.deps import RewordingGain
from dubarr_pipeline.segments.run import run
from dubarr_pipeline_tests.fixtures.small_scripts import BudgetTranslator, order, transcript


class Parrot(BudgetTranslator):
    """Knows one wording of each line, and three times in a film another that fits."""

    def __init__(self) -> None:
        super().__init__(stretch=2.0)
        self.asked = 0
        self._lock = threading.Lock()

    def rewrite(self, request: RewriteRequest) -> str:
        # Long enough for every worker to wait for its turn here.
        time.sleep(0.01)
        with self._lock:
            self.asked += 1
            asked = self.asked
        if asked in (5, 20, 30):
            return super().rewrite(request)
        raise LineError("repeated", "said it before")


def test_a_translator_that_repeats_itself_is_hardly_asked(tmp_path: Path) -> None:
    parrot = Parrot()
    run(order(tmp_path, transcript(80), parrot, targets=("es",)))
    # Without an end it would be asked for every line; what is being asked by then is answered.
    assert 12 <= parrot.asked < 12 * 4 + parrot.concurrency


@pytest.mark.parametrize(
    ("tries", "gains", "is_none"),
    [
        (11, 0, False),
        (12, 0, True),
        (23, 1, False),
        (24, 1, True),
        (200, 60, False),
    ],
)
def test_a_gain_pays_for_twelve_tries(tries: int, gains: int, is_none: bool) -> None:
    gain = RewordingGain()
    for number in range(tries):
        gain.note("es", is_gain=number < gains)
    assert gain.is_none("es") is is_none
    assert not gain.is_none("fr")
