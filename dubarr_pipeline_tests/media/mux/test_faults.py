"""A disk that fills up while a film is muxed: the old file stays, nothing half lies about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dubarr_pipeline.errors import DiskFull
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.mux import packet_log
from dubarr_pipeline.media.mux.copy_pass import MuxPass, write_and_log
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline.media.mux.stream_plan import plan_streams
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg, odd_units

SCRIPT = """
import resource, sys, pathlib
from dubarr_pipeline.errors import WorkspaceError
from dubarr_pipeline.media.mux.mux import DubTrack, mux
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
source, track, result = map(pathlib.Path, sys.argv[1:4])
try:
    mux(source, [DubTrack(track, "es")], [], result)
except WorkspaceError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("limit", [1, 2_000, 60_000, 100_000])
def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path: Path, limit: int) -> None:
    source, track, result = odd_units(tmp_path), dub(tmp_path), tmp_path / "out.mkv"
    result.write_bytes(b"the old one")
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-c", SCRIPT, source, track, result, str(limit)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "larger than" in told
    assert "ulimit -f" in told
    assert result.read_bytes() == b"the old one"
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_under_the_log_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packets' fingerprints are written by us, not by ffmpeg."""
    plain = packet_log._Log._path

    def full(log: packet_log._Log, stream: int) -> Path:
        return Path("/dev/full") if stream == 1 else plain(log, stream)

    monkeypatch.setattr(packet_log._Log, "_path", full)
    source, track = odd_units(tmp_path), dub(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DiskFull, match="free some, then run again"):
        mux(source, [DubTrack(track, "es")], [], tmp_path / "out.mkv")
    assert sorted(tmp_path.iterdir()) == before


def test_ffmpegs_own_word_of_a_full_disk_is_ours(tmp_path: Path) -> None:
    """The finished file itself on a device without room."""

    film = tmp_path / "film.mkv"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=3", "-c:a", "pcm_s16le", film)
    facts = read_facts(film)
    work = MuxPass(facts, plan_streams(facts), ())
    with pytest.raises(DiskFull):
        write_and_log(work, Path("/dev/full"), tmp_path / "log", lambda _: None)
