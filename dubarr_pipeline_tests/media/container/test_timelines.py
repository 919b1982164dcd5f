"""Broadcasts whose clock jumps: closed once for picture and sound, and told with the times."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dubarr_pipeline.media.container import ffmpeg as tools
from dubarr_pipeline.media.container.clock import Clock
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.container.packet_times import read_timelines
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.timelines import Packet
from dubarr_pipeline.media.container.transport_streams import played_about_s
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline_tests.fixtures.odd_sources import dub
from dubarr_pipeline_tests.media.container.test_odd_films import joined, silent_for_15_s


def times(path: Path, stream: int) -> list[float]:
    shown = [
        "-fflags",
        "+genpts",
        "-select_streams",
        str(stream),
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ]
    found = tools.run([*shown, *tools.source_arguments(path)], tool="ffprobe").stdout.decode()
    return [float(line.strip(",")) for line in found.splitlines() if line not in ("", "N/A")]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (joined(100, 124), "the clock jumps from 106.0 to 124.0 s: closed at 6.0 s"),
        (joined(5000, 300, "vob"), "the clock jumps from 5006.0 to 300.0 s: closed at 6.0 s"),
        (joined(5000, 5002), "the clock jumps from 5006.0 to 5002.0 s: closed at 6.0 s"),
    ],
)
def test_picture_and_sound_stay_together_behind_a_jump(tmp_path: Path, make, told) -> None:
    source, result = make(tmp_path), tmp_path / "out.mkv"
    info = probe(source)
    sound, picture = info.audio[0].index, info.video[0].index
    heard = extract_audio(info, info.audio[0], tmp_path / "x.wav")
    assert heard.notes == (told,)
    assert heard.offset_s + heard.samples / heard.rate == pytest.approx(12.0, abs=0.06)
    mux(source, [DubTrack(dub(tmp_path), "es")], [], result)
    film = probe(result)
    assert film.duration_s == pytest.approx(12.0, abs=0.1)
    before = [times(source, n)[-20] for n in (sound, picture)]
    after = [times(result, film.audio[0].index)[-20], times(result, film.video[0].index)[-20]]
    assert after[0] - after[1] == pytest.approx(before[0] - before[1], abs=0.002)
    for stream in (*film.video, film.audio[0]):
        ordered = sorted(times(result, stream.index))
        # The second part's sound begins 0.3 s late.
        steps = sorted(b - a for a, b in pairwise(ordered))
        assert steps[0] > 0.02
        assert steps[-1] < (0.4 if stream.kind == "audio" else 0.09)


def test_a_hole_in_the_sound_alone_stays_where_it_is(tmp_path: Path) -> None:
    source = silent_for_15_s(tmp_path)
    info = probe(source)
    heard = extract_audio(info, info.audio[0], tmp_path / "x.wav")
    assert heard.notes == ("no audio in the file from 4.0 to 19.0 s",)
    mux(source, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
    found = times(tmp_path / "out.mkv", 1)
    assert max(b - a for a, b in pairwise(found)) == pytest.approx(15, abs=0.1)


def test_what_cannot_be_decoded_to_the_end_is_told(tmp_path: Path) -> None:
    source = joined(100, 106)(tmp_path)
    data = source.read_bytes()
    packets = [data[n : n + 188] for n in range(0, len(data), 188)]
    cut = len(packets) * 2 // 3
    kept = packets[:cut] + [p for p in packets[cut:] if (p[1] & 31) << 8 | p[2] != 0x101]
    source.write_bytes(b"".join(kept))
    info = probe(source)
    (note,) = extract_audio(info, info.audio[0], tmp_path / "x.wav").notes
    assert note.startswith("no sound could be decoded from 8.")
    assert note.endswith("to 12.0 s")


def test_the_pace_of_a_broadcast_tells_its_length(tmp_path: Path) -> None:
    for number, make in enumerate([joined(5000, 300), joined(5000, 300, "mpeg")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = make(folder)
        assert played_about_s(source) == pytest.approx(12, abs=1)
        assert probe(source).duration_s == pytest.approx(12, abs=1)
    silence = tmp_path / "none.ts"
    silence.write_bytes(b"G" + bytes(187))
    assert played_about_s(silence) == 0.0


def facts(*kinds: str) -> ContainerFacts:
    streams = tuple(StreamFacts(n, kind, "", frozenset(), {}) for n, kind in enumerate(kinds))
    return ContainerFacts(Path("x.ts"), "mpegts", 0, 0.0, streams, (), {})


def played(kinds: tuple[str, ...], packets: list[tuple[int, float]]) -> list[float]:
    """Give a clock packets of 40 ms; return when each is played."""
    clock, numbers, counts = Clock(facts(*kinds)), [], [0] * len(kinds)
    for stream, at_s in packets:
        clock.add(Packet(stream, None, round(at_s * 90_000), 3600))
        numbers.append(counts[stream])
        counts[stream] += 1
    lines = clock.timelines().streams
    return [
        at_s + sum(s.add for s in [s for s in lines[stream].steps if s.packet <= number][-1:]) / 9e4
        for (stream, at_s), number in zip(packets, numbers, strict=True)
    ]


def ticking(start_s: float, seconds: float, stream: int) -> list[tuple[int, float]]:
    return [(stream, start_s + 0.04 * n) for n in range(round(seconds * 25))]


def test_the_end_of_a_sound_may_lie_behind_the_jump() -> None:
    """A packet is complete only where the next one begins, perhaps after the jump."""
    sound = ticking(100, 4, 1)
    together = sorted([*ticking(100, 4, 0), *sound[:90]], key=lambda packet: packet[1])
    later = sorted([*ticking(500, 4, 0), *ticking(500.2, 3, 1)], key=lambda packet: packet[1])
    packets = [*together, *later[:5], *sound[90:], *later[5:]]
    found = played(("video", "audio"), packets)
    times: dict[int, list[float]] = {0: [], 1: []}
    for at_s, (stream, _) in zip(found, packets, strict=True):
        times[stream].append(at_s)
    assert times[0] == pytest.approx([100 + 0.04 * n for n in range(200)])
    assert times[1][:100] == pytest.approx([at_s for _, at_s in sound])
    assert times[1][100] == pytest.approx(104.2, abs=0.001)


def test_a_sound_that_pauses_comes_back_on_the_clock_of_the_picture() -> None:
    packets = sorted(ticking(0, 60, 0) + ticking(0, 10, 1) + ticking(50, 10, 1), key=lambda p: p[1])
    assert played(("video", "audio"), packets) == [at_s for _, at_s in packets]
    joined = packets + [(s, t + 1000) for s, t in packets]
    found = played(("video", "audio"), joined)
    assert found == pytest.approx([t for _, t in packets] + [t + 60 for _, t in packets])


def test_a_new_sound_and_subtitles_follow_the_latest_clock() -> None:
    first = sorted(ticking(100, 4, 0) + ticking(100, 4, 1), key=lambda p: p[1])
    second = sorted(ticking(20, 4, 0) + ticking(20, 4, 2), key=lambda p: p[1])
    packets = [*first, *second, (3, 22.0)]
    found = played(("video", "audio", "audio", "subtitle"), packets)
    assert found == pytest.approx([t for _, t in first] + [t + 84 for _, t in [*second, (3, 22.0)]])


def test_a_film_on_one_clock_is_left_alone(tmp_path: Path) -> None:
    source = joined(100, 106)(tmp_path)
    lines = read_timelines(source)
    assert not lines.uneven
    assert lines.end_s == pytest.approx(12.0, abs=0.06)
    assert not any(line.steps for line in lines.streams.values())
