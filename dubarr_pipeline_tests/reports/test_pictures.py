from __future__ import annotations

import base64
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.audio.wav_header import header_bytes
from dubarr_pipeline.reports import pictures
from dubarr_pipeline.reports.pictures import (
    LEFT,
    RIGHT,
    WIDTH,
    clock,
    envelope,
    step_s,
    ticks,
    timeline_picture,
    turns_picture,
    waveform_picture,
)
from dubarr_pipeline.script.model import Diarization, Turn
from dubarr_pipeline.segments.results import LineResult, SegmentsResult
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work

RATE = 8000
COLUMNS = WIDTH - LEFT - RIGHT
BLUE = "#2f6fb2"


def picture(markdown: str) -> Image.Image:
    """The picture of a Markdown image; it must be a small PNG of the agreed width."""
    head, data = markdown.removesuffix(")").split("base64,")
    assert head.startswith("![")
    assert head.endswith("](data:image/png;")
    png = base64.b64decode(data, validate=True)
    assert len(png) < 30_000
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.width == WIDTH
    assert 100 <= image.height <= 400
    return image.convert("RGB")


def near(pixel: object, colour: str) -> bool:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return isinstance(pixel, tuple) and all(
        abs(a - b) < 20 for a, b in zip(pixel, wanted, strict=True)
    )


def shares(image: Image.Image, colour: str) -> list[float]:
    """Where a colour stands: the columns that have it, as shares of the width of the axis."""
    return [
        (x - LEFT) / COLUMNS
        for x in range(LEFT, WIDTH - RIGHT)
        if any(near(image.getpixel((x, y)), colour) for y in range(image.height - 24))
    ]


def sound(folder: Path, seconds: float, channels: int = 2) -> Path:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (channels, round(seconds * RATE)))
    write_wave(folder / "vocals.wav", noise.astype(np.float32), RATE)
    return folder / "vocals.wav"


def placed(index: int, start_s: float, end_s: float, speaker: str = finished_work.A) -> LineResult:
    found = finished_work.segment(index, start_s, end_s, speaker)
    return finished_work.line(found, WorkDir(Path("/nowhere")))


def produced(*lines: LineResult) -> SegmentsResult:
    return SegmentsResult(finished_work.RATE, {"es": lines}, finished_work.STATS)


def test_speech_is_coloured_where_it_is(tmp_path: Path) -> None:
    image = picture(waveform_picture(sound(tmp_path, 8), [Span(2 * RATE, 4 * RATE)]))
    found = shares(image, BLUE)
    assert min(found) == pytest.approx(0.25, abs=0.01)
    assert max(found) == pytest.approx(0.50, abs=0.01)
    assert len(found) == pytest.approx(COLUMNS / 4, rel=0.02)


def test_waveform_follows_the_sound(tmp_path: Path) -> None:
    samples = np.zeros(8 * RATE, np.float32)
    samples[6 * RATE : 7 * RATE] = 0.8
    write_wave(tmp_path / "v.wav", samples, RATE)
    peaks, length, rate = envelope(tmp_path / "v.wav", 80)
    assert (length, rate) == (8 * RATE, RATE)
    assert peaks[:60].max() == peaks[70:].max() == 0
    assert peaks[60:70] == pytest.approx(0.8)


@pytest.mark.parametrize("seconds", [0, 0.1, 0.001, 3])
def test_sounds_of_any_length(tmp_path: Path, seconds: float) -> None:
    path = sound(tmp_path, seconds, channels=1)
    picture(waveform_picture(path, []))
    picture(turns_picture(path, Diarization(RATE, ())))


def test_broken_samples_do_not_break_the_picture(tmp_path: Path) -> None:
    samples = np.full((1, RATE), np.nan, np.float32)
    samples[0, 10:20] = np.inf
    write_wave(tmp_path / "v.wav", samples, RATE)
    picture(waveform_picture(tmp_path / "v.wav", [Span(0, RATE)]))


def test_three_hours_need_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    path, rate, channels = tmp_path / "film.wav", 48000, 6
    samples = 3 * 3600 * rate
    with path.open("wb") as stream:
        head = header_bytes(rate, channels, "5.1", samples)
        stream.write(head)
        stream.truncate(len(head) + 4 * channels * samples)  # 12.4 GB of silence, on no disk
    speech = [Span(n * 5 * rate, n * 5 * rate + 3 * rate) for n in range(2160)]
    tracemalloc.start()
    image = waveform_picture(path, speech)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    picture(image)
    assert peak < 16_000_000


def test_turns_of_two_speakers_stand_in_two_rows(tmp_path: Path) -> None:
    turns = (Turn(Span(0, 2 * RATE), "SPEAKER_00"), Turn(Span(4 * RATE, 8 * RATE), "SPEAKER_01"))
    image = picture(turns_picture(sound(tmp_path, 8), Diarization(RATE, turns)))
    colours = pictures.speaker_colours(("SPEAKER_00", "SPEAKER_01"))
    assert max(shares(image, colours["SPEAKER_00"])) == pytest.approx(0.25, abs=0.01)
    assert min(shares(image, colours["SPEAKER_01"])) == pytest.approx(0.5, abs=0.01)


def test_forty_speakers(tmp_path: Path) -> None:
    turns = tuple(
        Turn(Span(n * RATE, n * RATE + RATE // 2), f"SPEAKER_{n % 40:02}") for n in range(120)
    )
    names = {"SPEAKER_00": "A very long name that no margin can hold", "SPEAKER_01": "Żółć 日本"}
    picture(turns_picture(sound(tmp_path, 120), Diarization(RATE, turns, names)))


def test_timeline_marks_failed_and_kept_lines() -> None:
    lines = (
        placed(0, 0, 2),
        finished_work.replace(placed(1, 4, 5), outcome="failed:too_long", path=None),
        finished_work.replace(placed(2, 6, 8), outcome="kept_original", path=None),
    )
    markdown = timeline_picture(produced(*lines))
    image = picture(markdown)
    assert markdown.startswith("![Original against dub, 3 lines, 1 failed]")
    failed, kept = shares(image, pictures.FAILED_COLOUR), shares(image, pictures.KEPT_COLOUR)
    assert (min(failed), max(failed)) == pytest.approx((0.5, 0.625), abs=0.01)
    assert (min(kept), max(kept)) == pytest.approx((0.75, 1.0), abs=0.01)


def test_one_failure_among_thousands_is_seen() -> None:
    lines = [placed(n, 2 * n, 2 * n + 1.9, f"SPEAKER_{n % 40:02}") for n in range(5000)]
    lines[2500] = finished_work.replace(lines[2500], outcome="failed:silent", path=None)
    assert shares(picture(timeline_picture(produced(*lines))), pictures.FAILED_COLOUR)


def test_timeline_without_lines() -> None:
    picture(timeline_picture(produced()))
    picture(timeline_picture(SegmentsResult(finished_work.RATE, {}, finished_work.STATS)))


def test_people_who_talk_over_each_other_are_both_seen() -> None:
    image = picture(timeline_picture(produced(placed(0, 0, 4), placed(1, 1, 3, finished_work.B))))
    colours = pictures.speaker_colours((finished_work.A, finished_work.B))
    for colour in colours.values():
        assert any(0.3 < share < 0.7 for share in shares(image, colour))


def test_speakers_have_colours_of_their_own_and_none_is_red() -> None:
    colours = pictures.speaker_colours(f"SPEAKER_{n:02}" for n in range(40))
    assert len(set(colours.values())) == 40
    for colour in colours.values():
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        assert not (red > 180 and green < 70 and blue < 70)


def test_a_speaker_keeps_the_colour_whatever_the_order() -> None:
    assert pictures.speaker_colours(["b", "a", "b"]) == pictures.speaker_colours(["a", "b"])


@given(duration=st.floats(0.001, 1e6), most=st.integers(1, 40))
def test_marks_are_never_more_than_there_is_room_for(duration: float, most: int) -> None:
    marks = ticks(duration, most)
    assert 1 <= len(marks) <= most + 1
    assert all(0 <= seconds <= duration * (1 + 1e-6) for seconds, _ in marks)
    assert len({label for _, label in marks}) == len(marks)


@pytest.mark.parametrize(
    ("seconds", "step", "text"),
    [
        (0, 1, "0:00"),
        (59.6, 1, "1:00"),
        (3599, 1, "59:59"),
        (3600, 60, "1:00:00"),
        (0.25, 0.05, "0.25 s"),
        (0.5, 0.5, "0.5 s"),
    ],
)
def test_clock(seconds: float, step: float, text: str) -> None:
    assert clock(seconds, step) == text


@pytest.mark.parametrize(("duration", "step"), [(10, 1), (10.1, 2), (3600, 600), (10800, 1800)])
def test_steps_are_round(duration: float, step: float) -> None:
    assert step_s(duration, 10) == step
