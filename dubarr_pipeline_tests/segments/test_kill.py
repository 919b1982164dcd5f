"""kill -9 at random moments: nothing is lost, hardly anything done twice, the result the same."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from dubarr_pipeline_tests.fixtures.forked_command import forking
from dubarr_pipeline_tests.fixtures.killed_segments import IN_HAND, child

ROUNDS = 50
DELAY_S = 0.02
MOST_REQUESTS = 12
"""A production speaks up to this many lines before its kill, however fast the machine is."""


def outcome(folder: Path) -> dict[str, Any]:
    """What a finished production leaves: its sounds, and its report but for the time it took."""
    report = json.loads((folder / "segments.json").read_text())
    del report["stats"]
    for lines in report["languages"].values():
        for line in lines:
            del line["timings"]
    sounds = {path.name: path.read_bytes() for path in (folder / "segments").rglob("*.wav")}
    return {"report": report, "sounds": sounds}


def await_requests(process: ForkServerProcess, log: Path, more: int) -> None:
    """Wait until a production has asked for so many more takes, or has ended."""
    wanted = _requests(log) + more
    while process.exitcode is None and _requests(log) < wanted:
        time.sleep(0.001)


def _requests(log: Path) -> int:
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def test_fifty_kills_change_nothing(tmp_path: Path) -> None:
    context = forking()
    choose = random.Random(11)
    child(tmp_path / "whole", tmp_path / "whole.log", 0.0)
    wanted = outcome(tmp_path / "whole")
    asked = Counter((tmp_path / "whole.log").read_text().splitlines())
    assert max(asked.values()) == 1
    kills = films = repeated = 0
    while kills < ROUNDS:
        folder, log = tmp_path / f"film{films}", tmp_path / f"film{films}.log"
        killed = 0
        while True:
            process = context.Process(target=child, args=(folder, log, DELAY_S))
            process.start()
            if kills + killed < ROUNDS:
                await_requests(process, log, choose.randint(0, MOST_REQUESTS))
                process.join(choose.uniform(0.0, 2 * DELAY_S))
            else:
                process.join()
            if process.exitcode is None:
                process.kill()
                process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            killed += 1
        assert outcome(folder) == wanted
        spoken = Counter(log.read_text().splitlines())
        assert spoken.keys() == asked.keys()
        again = sum(spoken.values()) - len(asked)
        assert again <= IN_HAND * killed
        assert max(spoken.values()) <= 1 + killed
        kills += killed
        films += 1
        repeated += again
    assert repeated > 0
