from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.defs.runtime.tick_state import TickState


def test_the_cursor_stays_small_whatever_the_state(tmp_path: Path):
    memory, state = TickState(tmp_path, "media_folder"), {"films": ["x" * 800_000, ""]}
    cursor = memory.save(state, None)
    assert len(cursor) == 16
    assert memory.load(cursor) == state
    assert memory.save(state, cursor) == cursor


def test_a_tick_that_was_not_recorded_is_repeated_with_the_state_before_it(tmp_path: Path):
    memory = TickState(tmp_path, "media_folder")
    first = memory.save({"tick": 1}, None)
    lost = memory.save({"tick": 2}, first)
    assert memory.load(first) == {"tick": 1}
    again = memory.save({"tick": 3}, first)
    assert memory.load(lost) is None
    memory.save({"tick": 4}, again)
    files = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
    assert sorted(state["tick"] for state in files) == [3, 4], "only the last two are kept"


@pytest.mark.parametrize("cursor", [None, "", "0123456789abcdef", "../../etc/passwd", "{", "\0"])
def test_a_cursor_that_names_no_state_begins_anew(tmp_path: Path, cursor: str | None):
    assert TickState(tmp_path, "media_folder").load(cursor) is None


def test_cursors_of_earlier_versions_hold_the_state_itself(tmp_path: Path):
    assert TickState(tmp_path, "x").load('{"films": ["a", ""]}') == {"films": ["a", ""]}
    assert TickState(tmp_path, "x").load('["1-a.json"]') == ["1-a.json"]
