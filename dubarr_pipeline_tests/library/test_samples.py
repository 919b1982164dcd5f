"""Samples: the minute is where most people speak, and its cut is in step to the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.samples.cut import TimedSubtitle, cut_minute, cut_path
from dubarr_pipeline.library.samples.minute import (
    CUES_RATE,
    Minute,
    choose_minute,
    clock,
    minute_at,
    voices_in,
)
from dubarr_pipeline.library.source import Source
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import read_cues
from dubarr_pipeline.media.subtitles.sources import SubtitleSource, find_subtitles
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SyntheticVoice, speak

RATE, FPS, SECONDS = 48_000, 25, 24


def cue(start_s: float, text: str, length_s: float = 2.0, sign: bool = False) -> Cue:
    return Cue(
        Span(round(start_s * CUES_RATE), round((start_s + length_s) * CUES_RATE)), text, sign=sign
    )


AUDIO = Stream(1, "audio", "aac", "en", None, frozenset(), 0.0, 3600.0, 48_000, 2, "stereo", {})


def info_of(duration_s: float) -> MediaInfo:
    return MediaInfo(Path("/nowhere/film.mkv"), "matroska,webm", duration_s, 0.0, (AUDIO,))


TWO = [
    cue(4.0 * n, f"{('ANNA', 'BRUNO')[n % 2]}: We have to go there, and now.") for n in range(800)
]


def test_the_minute_with_most_names_is_chosen_and_the_reason_names_them():
    crowd = [
        cue(1802 + 6 * n, f"{name}: I was there as well.")
        for n, name in enumerate(("CARLA", "DAVID", "ELENA", "FRANK"))
    ]
    cues = sorted([*TWO, *crowd], key=lambda each: each.span.start)
    found = choose_minute(info_of(3600), AUDIO, cues, 60.0)
    assert found.start_s <= 1802
    assert found.end_s >= 1822
    assert "6 speakers are named (anna, bruno, carla, david, elena, frank)" in found.reason


def test_the_chosen_minute_lies_within_the_film():
    names = ("CARLA", "DAVID", "ELENA", "FRANK", "GRACE", "HENRY")
    cues = [*TWO, *(cue(3585 + 2 * n, f"{who}: The end?") for n, who in enumerate(names))]
    found = choose_minute(info_of(3600), AUDIO, cues, 60.0)
    assert found.end_s == 3600
    assert found.start_s == 3540


def test_a_film_that_is_shorter_is_taken_whole():
    found = choose_minute(info_of(31.5), AUDIO, [cue(3, "Hello.")], 60.0)
    assert (found.start_s, found.length_s) == (0.0, 31.5)
    assert "no longer" in found.reason


@pytest.mark.parametrize(
    ("at_s", "length_s"), [(0.0, 60.0), (60.0, 40.0), (95.0, 5.0)], ids=["start", "cut", "last"]
)
def test_a_time_that_was_asked_for_is_kept(at_s: float, length_s: float):
    assert minute_at(info_of(100.0), at_s, 60.0) == Minute(at_s, length_s, "as asked")


@pytest.mark.parametrize("at_s", [95.1, 100.0, 7200.0])
def test_a_time_beyond_the_film_is_refused(at_s: float):
    with pytest.raises(SettingsError, match=r"lasts 0:01:40.*--at"):
        minute_at(info_of(100.0), at_s, 60.0)


def test_times_are_written_as_people_write_them():
    assert [clock(0), clock(61.9), clock(3723)] == ["0:00:00", "0:01:01", "1:02:03"]


def test_two_films_of_one_name_have_samples_of_their_own(tmp_path: Path):
    minute = minute_at(info_of(3600), 600.0, 60.0)
    first, second = (
        cut_path(tmp_path, Path(f"/films/{year}/Heat [1].mkv"), minute) for year in (1986, 1995)
    )
    assert first.name == second.name == "Heat [1] 0-10-00.mkv"
    first.parent.mkdir()
    first.touch()
    other = cut_path(tmp_path, Path("/films/1995/Heat [1].mkv"), minute)
    assert other.name != first.name
    other.parent.mkdir()
    other.touch()
    assert cut_path(tmp_path, Path("/films/1986/Heat [1].mkv"), minute) == first
    assert cut_path(tmp_path, Path("/films/1995/Heat [1].mkv"), minute) == other


def test_voices_are_told_apart_by_their_pitch():
    turns = [SyntheticVoice(hz) for hz in (100.0, 150.0, 230.0)]
    silence = np.zeros(4000, np.float32)
    sound = [
        part
        for number, voice in enumerate(turns * 2)
        for part in (speak(voice, 1.5, 8000, number).astype(np.float32), silence)
    ]
    assert voices_in(np.concatenate(sound), 8000)[0] == 3
    assert voices_in(np.concatenate([sound[0], silence, sound[6]]), 8000)[0] == 1
    tone = np.sin(2 * np.pi * 220 * np.arange(40_000) / 8000).astype(np.float32)
    assert voices_in(tone, 8000) == (0, 0.0)


@pytest.fixture(scope="module")
def clicking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At each full second a white frame and a click, which is the louder the later it is."""
    folder = tmp_path_factory.mktemp("clicking")
    sound = np.zeros((2, SECONDS * RATE), np.float32)
    for second in range(1, SECONDS):
        sound[:, second * RATE : second * RATE + 240] = second / 40
    write_wave(folder / "sound.wav", sound, RATE)
    flash = f"color=black:size=64x48:rate={FPS}:duration={SECONDS},"
    flash += f"drawbox=c=white:t=fill:enable='eq(mod(n,{FPS}),0)'"
    ffmpeg.run(
        [
            *("-f", "lavfi", "-i", flash, "-i", ffmpeg.file_url(folder / "sound.wav")),
            *(
                "-c:v",
                "libx264",
                "-g",
                "75",
                "-bf",
                "2",
                "-preset",
                "fast",
                "-x264opts",
                "no-scenecut",
            ),
            *("-c:a", "flac", "-metadata:s:a:0", "language=eng"),
            ffmpeg.file_url(folder / "film.mkv"),
        ]
    )
    cues = "".join(
        f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},600\nSecond {n}\n\n" for n in range(1, SECONDS)
    )
    (folder / "film.en.srt").write_text(cues, encoding="utf-8")
    return folder / "film.mkv"


SURROUND = "pan=5.1|FC=c0|FL=c0|FR=c1"
FORMS = {
    "mkv": (("-c:v", "copy", "-c:a", "copy"), "film.mkv"),
    "mp4": (("-c:v", "copy", "-c:a", "aac", "-b:a", "192k"), "film.mp4"),
    "ts": (("-c:v", "copy", "-c:a", "ac3", "-muxrate", "3M"), "film.ts"),
    "avi": (("-c:v", "mpeg4", "-q:v", "2", "-bf", "0", "-c:a", "pcm_s16le"), "film.avi"),
    "late": (("-c:v", "copy", "-af", f"atrim=start=14.3,{SURROUND}", "-c:a", "flac"), "film.mkv"),
    "sparse": (("-c:v", "libx264", "-g", "900", "-x264opts", "no-scenecut"), "film.mkv"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_cut_is_in_step_with_its_sound_and_subtitles(clicking: Path, form: str, tmp_path: Path):
    arguments, name = FORMS[form]
    film = tmp_path / name
    embedded = ("-i", ffmpeg.file_url(clicking.with_name("film.en.srt")), "-c:s", "ass")
    inputs = ("-i", ffmpeg.file_url(clicking), *(embedded if form == "mkv" else ()))
    maps = ("-map", "0:v", "-map", "0:a", *(("-map", "1") if form == "mkv" else ()))
    ffmpeg.run([*inputs, *maps, *arguments, ffmpeg.file_url(film)])
    if form != "mkv":
        film.with_suffix(".en.srt").write_bytes(clicking.with_name("film.en.srt").read_bytes())
    info = probe_video(film)
    (script,) = find_subtitles(info, "en")
    source = Source(info, info.audio[0], script, "en")
    subtitle = TimedSubtitle(script, read_cues(script, info, CUES_RATE, 0.0))
    made = cut_minute(source, Minute(13.4, 8.0, ""), [subtitle], tmp_path / "cut.mkv")

    cut = probe_video(tmp_path / "cut.mkv")
    assert (len(cut.video), len(cut.audio), len(cut.subtitles)) == (1, 1, 1)
    assert cut.audio[0].channels == info.audio[0].channels
    assert 11.9 <= made.start_s <= 13.4
    assert abs(made.end_s - 21.4) < 0.01
    flashes, clicks = _flashes(cut.path), _clicks(cut.path)
    told = read_cues(find_subtitles(cut, "en")[0], cut, CUES_RATE, 0.0)
    seconds = [int(each.text.split()[-1]) for each in told]
    assert seconds == list(range(seconds[0], 22))
    assert seconds[0] in (12, 13, 14)
    for second, each in zip(seconds, told, strict=True):
        at_s = each.span.start / CUES_RATE
        if at_s < 0.1 or (form == "late" and second == 14):
            continue
        flash_s = min(flashes, key=lambda found: abs(found - at_s))
        click_s = min(clicks, key=lambda found: abs(found - at_s))
        assert abs(clicks[click_s] - second / 40) < 0.012
        # AC-3 of ffmpeg begins 256 samples late, in the film as well.
        assert abs(click_s - at_s) < 0.0065, form
        assert abs(click_s - flash_s) <= 1 / FPS, form


def _flashes(path: Path) -> list[float]:
    shown = f"fps={FPS}:start_time=0,scale=1:1:flags=area,format=gray"
    arguments = ["-copyts", "-i", ffmpeg.file_url(path), "-map", "0:v", "-vf", shown]
    frames = ffmpeg.run([*arguments, "-f", "rawvideo", "-"]).stdout
    return [number / FPS for number, light in enumerate(frames) if light > 128]


def _clicks(path: Path) -> dict[float, float]:
    """Times of the clicks and how loud each is."""
    whole = [
        "-map",
        "0:a",
        "-af",
        "aresample=async=1:first_pts=0,pan=mono|c0=c0",
        "-f",
        "f32le",
        "-",
    ]
    raw = ffmpeg.run(["-copyts", "-i", ffmpeg.file_url(path), *whole]).stdout
    sound = np.abs(np.frombuffer(raw, np.float32))
    loud = np.flatnonzero(sound > 0.1)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 2)]
    return {float(at) / RATE: float(np.median(sound[at : at + 200])) for at in starts}


def test_signs_stay_behind_and_names_of_a_field_are_written_out():
    source = SubtitleSource("full", "sidecar", Path("film.ass"), "ass")
    named = Cue(Span(10_500, 12_000), "Come here.", name="Anna")
    sign = cue(11, "HOSPITAL", sign=True)
    before, across = cue(7, "Before.", 2.5), cue(9.5, "Across.")
    found = TimedSubtitle(source, [before, across, named, sign]).within(Minute(10.0, 5.0, ""))
    assert [(each.span.start, each.text) for each in found] == [
        (0, "Across."),
        (500, "ANNA: Come here."),
    ]
