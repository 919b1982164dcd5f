from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import DiskFull, NotWritable
from dubarr_pipeline.files import ResumeCache, resume_key
from dubarr_pipeline_tests.fixtures.bench import flip_byte, ordinary_permissions, small_disk

RESULT = bytes(range(80))


def test_what_was_put_is_found(tmp_path: Path):
    cache = ResumeCache(tmp_path / "windows")
    assert cache.find("a") is None
    cache.put("a", RESULT)
    assert ResumeCache(tmp_path / "windows").find("a") == RESULT


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty"])
def test_a_damaged_result_counts_as_missing(tmp_path: Path, harm: str):
    cache = ResumeCache(tmp_path)
    cache.put("a", RESULT)
    file = tmp_path / "a"
    if harm == "flipped":
        flip_byte(file)
    else:
        file.write_bytes(file.read_bytes()[: 40 if harm == "cut" else 0])
    assert cache.find("a") is None


def test_without_a_folder_nothing_is_kept():
    cache = ResumeCache(None)
    cache.put("a", RESULT)
    assert cache.find("a") is None


def test_a_key_holds_every_fact_in_its_order():
    sound = np.arange(20, dtype=np.float32)

    def key(maker: str, samples: np.ndarray) -> str:
        return resume_key(maker, samples.data.cast("B"))

    keys = {key("demucs/1", sound), key("demucs/2", sound), key("demucs/1", sound + 1e-3)}
    keys |= {resume_key("a", "b"), resume_key("b", "a"), resume_key("ab", "")}
    assert len(keys) == 6
    assert key("demucs/1", sound.copy()) in keys


def test_a_disk_that_refuses_is_named(tmp_path: Path):
    (tmp_path / "shut").mkdir(mode=0o500)
    with ordinary_permissions(), pytest.raises(NotWritable, match="shut"):
        ResumeCache(tmp_path / "shut" / "windows").put("a", RESULT)
    with small_disk(tmp_path / "disk", "4k") as mounted:
        if mounted:
            with pytest.raises(DiskFull, match="no room left"):
                ResumeCache(tmp_path / "disk").put("a", bytes(80_000))
