"""The proof itself: what it accepts, and each thing that it must refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import VerificationError
from dubarr_pipeline.media.mux.packet_log import RECORD, UNTIMED, PacketTrack
from dubarr_pipeline.media.mux.proof import Expected, moved_us, prove_streams

PICTURE = Expected("stream 0 (video, h264)", 0, "video", "h264")
SOUND = Expected("stream 1 (audio, ac3)", 1, "audio", "ac3")


def track(path: Path, times: list[int], digests: list[bytes] | None = None) -> PacketTrack:
    records = np.empty(len(times), RECORD)
    records["time_us"] = times
    records["digest"] = digests or [f"{n:016x}".encode() for n in range(len(times))]
    path.write_bytes(records.tobytes())
    return PacketTrack(path, len(times))


@pytest.mark.parametrize("moved", [0, 999, 1000, -1000])
def test_times_within_a_millisecond_of_the_picture_pass(tmp_path: Path, moved: int) -> None:
    source = {n: track(tmp_path / f"s{n}", [0, 40_000]) for n in (0, 1)}
    result = {0: track(tmp_path / "r0", [21_000, 61_000])}
    result[1] = track(tmp_path / "r1", [21_000, 61_000 + moved])
    rows = prove_streams([PICTURE, SOUND], source, result)
    assert [row.offset_us for row in rows] == [0, moved]
    assert rows[1].shift_us == tuple(sorted((21_000, 21_000 + moved)))


@pytest.mark.parametrize("moved", [1001, -1001, 60_000_000])
def test_times_farther_off_are_refused_by_name(tmp_path: Path, moved: int) -> None:
    source = {n: track(tmp_path / f"s{n}", [0, 40_000]) for n in (0, 1)}
    result = {
        0: track(tmp_path / "r0", [0, 40_000]),
        1: track(tmp_path / "r1", [0, 40_000 + moved]),
    }
    with pytest.raises(VerificationError, match=r"stream 1 .audio, ac3. lies .* ms off"):
        prove_streams([PICTURE, SOUND], source, result)


def test_sound_alone_is_its_own_reference(tmp_path: Path) -> None:
    source, result = (track(tmp_path / n, [t, 32_000 + t]) for n, t in (("s", 0), ("r", 400_000)))
    (row,) = prove_streams([SOUND], {0: source}, {0: result})
    assert (row.shift_us, row.offset_us) == ((400_000, 400_000), 0)


def test_a_changed_packet_is_named_with_its_time(tmp_path: Path) -> None:
    times = [40_000 * n for n in range(70_000)]
    digests = [f"{n:016x}".encode() for n in range(70_000)]
    source = track(tmp_path / "s", times, digests)
    digests[65_432] = b"0" * 16
    result = track(tmp_path / "r", times, digests)
    with pytest.raises(VerificationError, match=r"from packet 65432 at 2617.280 s on"):
        prove_streams([PICTURE], {0: source}, {0: result})


def test_swapped_packets_are_a_difference(tmp_path: Path) -> None:
    source = track(tmp_path / "s", [0, 1], [b"a" * 16, b"b" * 16])
    result = track(tmp_path / "r", [0, 1], [b"b" * 16, b"a" * 16])
    with pytest.raises(VerificationError, match="from packet 0 "):
        prove_streams([PICTURE], {0: source}, {0: result})


def test_missing_and_short_streams_are_refused(tmp_path: Path) -> None:
    source, short = track(tmp_path / "s", [0, 1]), track(tmp_path / "r", [0])
    with pytest.raises(VerificationError, match="2 packets, but 1"):
        prove_streams([PICTURE], {0: source}, {0: short})
    with pytest.raises(VerificationError, match="is missing"):
        prove_streams([PICTURE], {0: source}, {})


def test_packets_without_a_time_are_compared_by_content_alone(tmp_path: Path) -> None:
    source = track(tmp_path / "s", [UNTIMED, 40_000])
    result = track(tmp_path / "r", [7, 40_100])
    assert moved_us(source, result) == (100, 100)
    assert moved_us(track(tmp_path / "t", [UNTIMED]), track(tmp_path / "u", [0])) is None


def test_empty_streams_and_stills_have_no_offset(tmp_path: Path) -> None:
    still = Expected("stream 2 (video, png)", 2, "video", "png", "attachment", timed=False)
    source = {0: track(tmp_path / "a", [0]), 1: track(tmp_path / "b", [])}
    source[2] = track(tmp_path / "c", [0])
    result = {**source, 0: track(tmp_path / "d", [80_000])}
    rows = prove_streams([PICTURE, SOUND, still], source, result)
    assert [(row.packets, row.offset_us) for row in rows] == [(1, 0), (0, 0), (1, 0)]
