from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.checkpoints import Record, Wanted
from dubarr_pipeline.workdir.layout import WorkDir

FACTS = {"source": "abc", "options": {"level": 0.5}}
INPUTS = {"vocals": "p1"}


@pytest.fixture
def made(tmp_path: Path) -> tuple[WorkDir, Record]:
    work = WorkDir(tmp_path / "film-0a1b2c3d")
    work.root.mkdir()
    for name in ("one.wav", "two.json"):
        (work.root / name).write_bytes(name.encode() * 100)
    files = [work.root / "one.wav", work.root / "two.json"]
    wanted = checkpoints.wanted("mix", "1", FACTS)
    return work, checkpoints.write_record(work, "mix", wanted, INPUTS, files)


def decide(work: WorkDir, record: Record | None, **changed: object) -> tuple[bool, str]:
    facts = {**FACTS, **changed}
    wanted = checkpoints.wanted("mix", "1", facts)
    found = checkpoints.decide(work, "mix", wanted, INPUTS, record)
    return found.keep, found.reason


def test_an_untouched_result_is_kept(made: tuple[WorkDir, Record]) -> None:
    assert decide(*made)[0]


def test_a_stage_that_was_never_made_is_made(made: tuple[WorkDir, Record]) -> None:
    assert decide(made[0], None) == (False, "not made yet")


def test_a_changed_option_redoes(made: tuple[WorkDir, Record]) -> None:
    assert decide(*made, options={"level": 0.6}) == (False, "changed: options.level: 0.5 → 0.6")


def test_what_has_changed_is_named_by_three_facts_at_most(made: tuple[WorkDir, Record]) -> None:
    _, reason = decide(*made, source="x" * 90, a=1, b=[2], c=None, options={})
    assert reason == "changed: a: nothing → 1; b: nothing → [2]; c: nothing → null and 2 more"
    empty(made[0].checkpoints / "mix.json")
    assert "an option" in decide(*made, source="other")[1]


def test_another_production_of_an_input_redoes(made: tuple[WorkDir, Record]) -> None:
    work, record = made
    found = checkpoints.decide(work, "mix", Wanted(record.fingerprint), {"vocals": "p2"}, record)
    assert not found.keep
    assert "vocals" in found.reason


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_in_secret(path: Path) -> None:
    """Change one byte and set the times back."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (Path.unlink, "missing"),
        (cut, "damaged"),
        (empty, "damaged"),
        (flip_in_secret, "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["one.wav", "two.json"])
def test_damage_redoes_and_names_the_file(
    made: tuple[WorkDir, Record], name: str, damage: Callable[[Path], None], word: str
) -> None:
    damage(made[0].root / name)
    keep, reason = decide(*made)
    assert not keep
    assert name in reason
    assert word in reason


def test_a_changed_manifest_redoes(made: tuple[WorkDir, Record]) -> None:
    work, _ = made
    cut(work.checkpoints / "mix.json")
    assert not decide(*made)[0]


def test_a_touched_file_of_the_same_content_is_kept(made: tuple[WorkDir, Record]) -> None:
    (made[0].root / "one.wav").touch()
    assert decide(*made)[0]


def test_a_copied_work_folder_is_kept(made: tuple[WorkDir, Record], tmp_path: Path) -> None:
    work, record = made
    shutil.copytree(work.root, tmp_path / "copy")
    assert decide(WorkDir(tmp_path / "copy"), record)[0]


def test_sealing_what_is_not_there_is_an_error(made: tuple[WorkDir, Record]) -> None:
    work, _ = made
    with pytest.raises(ArtifactError, match="did not leave"):
        checkpoints.write_record(work, "mix", Wanted("f"), {}, [work.root / "absent.wav"])


def test_every_production_has_a_name_of_its_own(made: tuple[WorkDir, Record]) -> None:
    work, record = made
    again = checkpoints.write_record(
        work, "mix", Wanted(record.fingerprint), INPUTS, [work.root / "one.wav"]
    )
    assert again.production != record.production


def test_what_an_earlier_result_left_and_this_one_does_not_is_removed(
    made: tuple[WorkDir, Record],
) -> None:
    work, record = made
    (work.root / "other.wav").write_bytes(b"not of this stage")
    checkpoints.write_record(
        work, "mix", Wanted(record.fingerprint), INPUTS, [work.root / "one.wav"]
    )
    assert sorted(p.name for p in work.root.iterdir() if p.is_file()) == ["one.wav", "other.wav"]


def test_a_damaged_manifest_removes_nothing(made: tuple[WorkDir, Record]) -> None:
    work, record = made
    empty(work.checkpoints / "mix.json")
    checkpoints.write_record(
        work, "mix", Wanted(record.fingerprint), INPUTS, [work.root / "one.wav"]
    )
    assert (work.root / "two.json").is_file()


def test_forgetting_removes_the_files_and_nothing_else(made: tuple[WorkDir, Record]) -> None:
    work, _ = made
    (work.root / "other.wav").write_bytes(b"x")
    removed = checkpoints.forget(work, "mix")
    assert sorted(path.name for path in removed) == ["one.wav", "two.json"]
    assert [p.name for p in work.root.iterdir() if p.is_file()] == ["other.wav"]
    assert checkpoints.forget(work, "mix") == []


values = st.dictionaries(
    st.text(max_size=5), st.one_of(st.integers(), st.booleans(), st.text(max_size=5))
)


@given(values)
def test_the_order_of_facts_does_not_matter(facts: dict[str, object]) -> None:
    turned = dict(reversed(list(facts.items())))
    assert checkpoints.fingerprint("s", "1", facts) == checkpoints.fingerprint("s", "1", turned)


@given(values, values)
def test_different_facts_have_different_fingerprints(
    one: dict[str, object], other: dict[str, object]
) -> None:
    same = checkpoints.fingerprint("s", "1", one) == checkpoints.fingerprint("s", "1", other)
    assert same == (repr(sorted(one.items())) == repr(sorted(other.items())))


@pytest.mark.parametrize(("stage", "version"), [("t", "1"), ("s", "2")])
def test_stage_and_code_version_count(stage: str, version: str) -> None:
    assert checkpoints.fingerprint(stage, version, {}) != checkpoints.fingerprint("s", "1", {})
