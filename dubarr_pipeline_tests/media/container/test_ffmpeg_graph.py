"""Graphs compile into commands that ffmpeg takes literally, whatever a name holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.ffmpeg import CLOSED_READING
from dubarr_pipeline_tests.fixtures.tones import snr_db

RATE = 48_000
BARE: graph.Options = {"f": "f32le", "ar": RATE, "ac": 2}


def through(link: graph.Link, sound: np.ndarray) -> np.ndarray:
    command = graph.command(graph.output([link], "pipe:1", graph.FLOATS))
    return np.frombuffer(ffmpeg.run(command, stdin=sound.T.tobytes()).stdout, "<f4")


def test_a_chain_of_filters_does_what_each_says():
    sound = np.stack([np.full(RATE, 0.5), np.full(RATE, 0.25)]).astype("<f4")
    given = graph.open_input("pipe:0", BARE).stream("a:0")
    mixed = given.filter("pan", {"args": "mono|c0=0.5*c0+2*c1"})
    found = through(mixed.filter("atrim", {"start_sample": 100}), sound)
    assert found.size == RATE - 100
    np.testing.assert_allclose(found, 0.75, atol=1e-6)


def test_two_outputs_of_a_split_hold_the_same_sound(tmp_path: Path):
    sound = np.random.default_rng(1).uniform(-1, 1, (2, RATE)).astype("<f4")
    left, right = graph.open_input("pipe:0", BARE).stream(0).split()
    one = graph.output([left], tmp_path / "one", graph.FLOATS)
    two = graph.output([right], "pipe:1", graph.FLOATS)
    heard = ffmpeg.run(graph.command(one, two, flags=["-y"]), stdin=sound.T.tobytes()).stdout
    assert heard == (tmp_path / "one").read_bytes() == sound.T.tobytes()


@pytest.mark.parametrize(
    "name", ["it's [1], (2); 50%.wav", "-i", "a:b=c\\d.wav", "é\nline.wav", "bad\udcff.wav"]
)
def test_any_name_is_taken_literally(tmp_path: Path, name: str):
    sound = np.random.default_rng(2).uniform(-1, 1, (2, 1_000)).astype("<f4")
    given = graph.open_input("pipe:0", BARE).stream(0)
    written = graph.output([given], tmp_path / name, {"c:a": "pcm_f32le", "f": "wav"})
    ffmpeg.run(graph.command(written), stdin=sound.T.tobytes())
    again = graph.open_source(tmp_path / name).stream("a:0")
    command = graph.command(graph.output([again], "pipe:1", graph.FLOATS))
    assert ffmpeg.run(command).stdout == sound.T.tobytes()


def test_a_source_that_may_be_hostile_is_read_closed(tmp_path: Path):
    link = graph.open_source(tmp_path / "film.mkv", {"vn": None}).stream(1)
    command = graph.command(graph.output([link], "pipe:1", graph.FLOATS), flags=["-nostats"])
    before_input = command[: command.index("-i")]
    assert command[0] == "-nostats"
    assert "-vn" in before_input
    for name, value in zip(CLOSED_READING[::2], CLOSED_READING[1::2], strict=True):
        assert before_input[before_input.index(name) + 1] == value
    assert command[command.index("-map") + 1] == "0:1"


def test_inputs_are_numbered_as_the_outputs_name_them(tmp_path: Path):
    film, dub = (graph.open_source(tmp_path / name) for name in ("film.mkv", "dub.mka"))
    both = graph.output([film.stream(3), dub.stream(0), film.stream(1)], "-", {"c": "copy"})
    command = graph.command(both)
    inputs = [command[n + 1] for n, part in enumerate(command) if part == "-i"]
    assert [Path(name).name for name in inputs] == ["film.mkv", "dub.mka"]
    maps = [command[n + 1] for n, part in enumerate(command) if part == "-map"]
    assert maps == ["0:3", "1:0", "0:1"]


@pytest.mark.parametrize("hz", [1_000, 9_000, 10_800])
def test_sound_that_ffmpeg_resamples_has_no_images_either(hz: int):
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(24_000) / 24_000)
    given = graph.open_input("pipe:0", {"f": "f32le", "ar": 24_000, "ac": 1}).stream(0)
    found = through(graph.resampled(given, RATE), tone.astype("<f4")[None])
    assert found.size == RATE
    assert snr_db(found, hz, RATE) > 100
