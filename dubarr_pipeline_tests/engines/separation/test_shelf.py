from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.engines.separation.shelf import Shelf, key_of
from dubarr_pipeline.errors import DiskFull, NotWritable
from dubarr_pipeline_tests.dubbing import flip_byte, ordinary_permissions, small_disk

SOUND = np.arange(20, dtype=np.float32).reshape(2, 10)


def test_what_was_put_is_found(tmp_path: Path):
    shelf = Shelf(tmp_path / "windows")
    assert shelf.find("a", SOUND.shape) is None
    shelf.put("a", SOUND)
    found = Shelf(tmp_path / "windows").find("a", SOUND.shape)
    assert found is not None
    np.testing.assert_array_equal(found, SOUND)


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty", "other shape"])
def test_a_damaged_result_counts_as_missing(tmp_path: Path, harm: str):
    shelf = Shelf(tmp_path)
    shelf.put("a", SOUND)
    file = tmp_path / "a"
    if harm == "flipped":
        flip_byte(file)
    elif harm in ("cut", "empty"):
        file.write_bytes(file.read_bytes()[: 40 if harm == "cut" else 0])
    shape = (2, 9) if harm == "other shape" else SOUND.shape
    assert shelf.find("a", shape) is None


def test_without_a_folder_nothing_is_kept():
    shelf = Shelf(None)
    shelf.put("a", SOUND)
    assert shelf.find("a", SOUND.shape) is None


def test_a_key_tells_every_sample_and_the_maker():
    keys = {key_of("demucs/1", SOUND), key_of("demucs/2", SOUND), key_of("demucs/1", SOUND + 1e-3)}
    assert len(keys) == 3
    assert key_of("demucs/1", SOUND.copy()) in keys


def test_a_disk_that_refuses_is_named(tmp_path: Path):
    (tmp_path / "shut").mkdir(mode=0o500)
    with ordinary_permissions(), pytest.raises(NotWritable, match="shut"):
        Shelf(tmp_path / "shut" / "windows").put("a", SOUND)
    with small_disk(tmp_path / "disk", "4k") as mounted:
        if mounted:
            with pytest.raises(DiskFull, match="no room left"):
                Shelf(tmp_path / "disk").put("a", np.zeros((2, 10_000), np.float32))
