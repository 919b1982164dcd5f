"""2,000 wounded films, headers, subtitles, documents, settings and webhooks (`fuzzing`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.fuzzing import fuzz

COUNT = int(os.environ.get("DUBARR_FUZZ", "2000"))


def test_wounded_files_end_in_named_errors_and_touch_nothing_outside(tmp_path: Path):
    around = tmp_path / "around"
    around.mkdir()
    (around / "kept.txt").write_text("kept")
    found = fuzz(around / "fuzz", COUNT)
    assert sum(found.files.values()) == pytest.approx(COUNT, abs=10)
    assert found.faults == []
    assert found.outside == []
    assert sorted(path.name for path in around.iterdir()) == ["fuzz", "kept.txt"]
    assert (around / "kept.txt").read_text() == "kept"
    assert [path.name for path in (around / "fuzz").iterdir()] == ["work"]
    kinds = {name.partition(":")[0] for name in found.refused}
    assert kinds == set(found.files), "of every kind, some were refused"
