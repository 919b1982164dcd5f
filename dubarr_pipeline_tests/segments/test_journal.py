from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.segments.journal import Journal, digest
from dubarr_pipeline.services.call_queue import Cancelled


def take(index: int, key: str = "k", **facts: object) -> dict[str, object]:
    return {"kind": "take", "language": "es", "index": index, "key": key, **facts}


def test_what_was_written_is_found_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "segments.journal"
    with Journal(path) as journal:
        journal.write(take(1, text="uno"))
        journal.write(
            {
                "kind": "draft",
                "language": "es",
                "lines": [{"index": 1, "key": "a"}, {"index": 2, "key": "b"}],
            }
        )
    with Journal(path) as journal:
        assert journal.find("take", "es", 1, "k") == take(1, text="uno")
        assert journal.find("draft", "es", 2, "b")
        assert journal.find("take", "es", 1, "other") is None
        assert journal.find("take", "ca", 1, "k") is None


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_entry_is_dropped_and_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "segments.journal"
    with Journal(path) as journal:
        journal.write(take(1))
        journal.write(take(2))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path) as journal:
        assert journal.find("take", "es", 1, "k")
        assert journal.find("take", "es", 2, "k") is None
        journal.write(take(3))
    with Journal(path) as journal:
        assert journal.find("take", "es", 3, "k")


def test_half_of_a_call_is_never_kept(tmp_path: Path) -> None:
    path = tmp_path / "segments.journal"
    with Journal(path) as journal:
        lines = [{"index": n, "key": "a"} for n in range(50)]
        journal.write({"kind": "draft", "language": "es", "lines": lines})
    path.write_bytes(path.read_bytes()[:-30])
    with Journal(path) as journal:
        assert not any(journal.find("draft", "es", n, "a") for n in range(50))


def test_a_damaged_entry_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "segments.journal"
    with Journal(path) as journal:
        for index in range(3):
            journal.write(take(index))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + b'{"kind": \xff\n' + lines[3])
    with Journal(path) as journal:
        found = [journal.find("take", "es", n, "k") is not None for n in range(3)]
    assert found == [True, False, True]


def test_another_schema_is_refused_and_a_fresh_journal_forgets(tmp_path: Path) -> None:
    path = tmp_path / "segments.journal"
    path.write_text('{"kind":"journal","schema":99}\n')
    with pytest.raises(ArtifactError, match="schema 99"):
        Journal(path)
    with Journal(path, fresh=True) as journal:
        assert journal.find("take", "es", 1, "k") is None


def test_many_threads_write_whole_entries(tmp_path: Path) -> None:
    path = tmp_path / "segments.journal"
    with Journal(path) as journal:

        def write(first: int) -> None:
            for index in range(first, first + 25):
                journal.write(take(index, text="x" * index))

        threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Journal(path) as journal:
        for number in range(8):
            for index in range(100 * number, 100 * number + 25):
                assert journal.find("take", "es", index, "k")


def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "segments.journal")
    journal.close()
    journal.close()
    with pytest.raises(Cancelled):
        journal.write(take(1))


def test_digests_tell_facts_apart_but_not_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len({digest("a", "b"), digest("ab"), digest("b", "a"), digest(["a", "b"])}) == 4
