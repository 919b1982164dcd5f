"""The contract of every separator, on the embedded one, and what it takes out of what."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dubarr_pipeline.engines.interfaces import AudioReader, Samples
from dubarr_pipeline.engines.separation.dialogue import SeparationOptions
from dubarr_pipeline.engines.separation.lite import LiteSeparator
from dubarr_pipeline.spans import Span, intersect, merge, total
from dubarr_pipeline_tests.fixtures.separation_sounds import Hiss, Sound, si_sdr, voice, wide


def vocals_of(source: AudioReader, speech: list[Span], separator: LiteSeparator) -> Samples:
    """All blocks laid on silence, after a look at the contract."""
    blocks = list(separator.separate(source, speech))
    places = [Span(start, start + block.shape[1]) for start, block in blocks]
    assert all(a.end <= b.start for a, b in pairwise(places))
    assert all(b.shape[0] == source.channels and b.dtype == np.float32 for _, b in blocks)
    wanted = intersect(speech, [Span(0, source.samples)])
    assert total(intersect(places, wanted)) == total(wanted)
    assert not places or (places[0].start >= 0 and places[-1].end <= source.samples)
    vocals = np.zeros((source.channels, source.samples), np.float32)
    for start, block in blocks:
        assert np.isfinite(block).all()
        vocals[:, start : start + block.shape[1]] = block
    return vocals


@pytest.mark.parametrize("rate", [8000, 44100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_every_span_is_covered_at_any_rate_and_layout(rate: int, channels: int) -> None:
    lines = [Span(rate // 2 + 7, rate + 1), Span(rate + 500, 2 * rate - 3)]
    sound = wide(channels, 2 * rate + 11, 0.05)
    sound += voice(sound.shape[1], rate, lines)
    vocals_of(Sound(sound, rate), lines, LiteSeparator())


@pytest.mark.parametrize(
    "speech",
    [
        [],
        [Span(0, 1)],
        [Span(5, 5)],
        [Span(0, 16_000)],
        [Span(15_000, 40_000)],
        [Span(20_000, 30_000)],
        [Span(900, 1000), Span(100, 500), Span(400, 950)],
    ],
    ids=["none", "one sample", "empty", "all", "past the end", "beyond the end", "unsorted"],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_odd_spans_are_served(channels: int, speech: list[Span]) -> None:
    vocals_of(Sound(wide(channels, 16_000, 0.1), 16_000), speech, LiteSeparator())


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("samples", [0, 1, 100])
def test_almost_no_sound_is_no_error(channels: int, samples: int) -> None:
    vocals_of(Sound(wide(channels, samples, 0.1), 48_000), [Span(0, 50)], LiteSeparator())


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_silence_has_no_voice(channels: int) -> None:
    silence = Sound(np.zeros((channels, 32_000), np.float32), 16_000)
    assert not vocals_of(silence, [Span(5000, 20_000)], LiteSeparator()).any()


def test_broken_samples_do_not_spread() -> None:
    lines = [Span(16_000, 32_000)]
    sound = wide(2, 48_000, 0.01) + voice(48_000, 16_000, lines)
    sound[:, 20_000], sound[0, 20_001] = np.nan, np.inf
    assert np.abs(vocals_of(Sound(sound, 16_000), lines, LiteSeparator())).max() < 2


RATE = 16_000
LINES = [Span(2 * RATE, 4 * RATE), Span(5 * RATE, 7 * RATE), Span(8 * RATE, 9 * RATE)]
LENGTH = 10 * RATE


def improvement(gains: list[float], bed: Samples, options: SeparationOptions) -> tuple[float, str]:
    """Gain of the accompaniment's SI-SDR in dB over the source, inside the lines, and how."""
    spoken = np.array(gains, np.float32)[:, None] * voice(LENGTH, RATE, LINES)
    sound = spoken + bed
    separator = LiteSeparator(options)
    rest = sound - vocals_of(Sound(sound, RATE), LINES, separator)
    inside = np.r_[tuple(slice(line.start, line.end) for line in LINES)]
    before, after = (si_sdr(s[:, inside], bed[:, inside]) for s in (sound, rest))
    return after - before, separator.method


AUTO = SeparationOptions()


@pytest.mark.parametrize(
    ("gains", "bed", "least_db", "method"),
    [
        ([1], wide(1, LENGTH, 0.05), 9, "wiener 3"),
        ([1, 1], wide(2, LENGTH, 0.05), 12, "centre 3"),
        ([1.4, 0.6], wide(2, LENGTH, 0.05), 12, "centre 3"),
        ([1, 1], np.repeat(wide(1, LENGTH, 0.05), 2, axis=0), 9, "wiener 3"),
        ([0, 0, 1, 0, 0, 0], wide(6, LENGTH, 0.05), 9, "wiener 3"),
    ],
    ids=["mono", "middle", "panned", "left is right", "5.1"],
)
def test_the_voice_leaves_the_accompaniment(
    gains: list[float], bed: Samples, least_db: float, method: str
) -> None:
    gained, used = improvement(gains, bed, AUTO)
    assert used == method
    assert gained > least_db


def test_the_stereo_picture_tells_music_that_swells_with_the_voice() -> None:
    swell = 1 + 2 * np.sin(np.pi * np.arange(LENGTH) / RATE) ** 2
    bed = wide(2, LENGTH, 0.04) * swell.astype(np.float32)
    centre, _ = improvement([1, 1], bed, SeparationOptions(method="centre"))
    wiener, _ = improvement([1, 1], bed, SeparationOptions(method="wiener"))
    assert centre > wiener + 2


LEFT, RIGHT = np.array([[1], [0]], np.float32), np.array([[0], [1]], np.float32)
TONE = 0.01 * np.sin(2 * np.pi * 220 * np.arange(LENGTH) / RATE).astype(np.float32)[None]
BEDS = {
    "hiss": wide(2, LENGTH, 0.001),
    "chord": TONE * (LEFT + RIGHT),
    "chord beside the voice": TONE * RIGHT,
    "chord under the voice": TONE * LEFT,
    "nothing": np.zeros((2, LENGTH), np.float32),
}


def left_over_db(voices: Samples, bed: Samples, speech: list[Span]) -> list[float]:
    """How much of each channel's voice is left in the accompaniment, in dB, inside `speech`."""
    vocals = vocals_of(Sound(voices + bed, RATE), speech, LiteSeparator())
    inside = np.r_[tuple(slice(line.start, line.end) for line in speech)]
    said, left = voices[:, inside], (voices - vocals)[:, inside]
    assert not vocals[~(voices + bed).any(axis=1)].any()
    return [
        20 * float(np.log10(abs(channel @ rest) / (channel @ channel) + 1e-6))
        for channel, rest in zip(said, left, strict=True)
        if (channel @ channel) > 1e-6
    ]


@pytest.mark.parametrize("bed", list(BEDS.values()), ids=list(BEDS))
@pytest.mark.parametrize("leak_db", [-20, -26, -200])
def test_a_hard_panned_voice_is_taken_out_of_its_channel(leak_db: float, bed: Samples) -> None:
    spoken = voice(LENGTH, RATE, LINES)[None]
    for near, far in ((LEFT, RIGHT), (RIGHT, LEFT)):
        gains = np.asarray(near + far * 10 ** (leak_db / 20), np.float32)
        assert max(left_over_db(spoken * gains, bed, LINES)) < -30


@pytest.mark.parametrize("bed", ["hiss", "chord beside the voice"])
@pytest.mark.parametrize("bleed", [0.0, 0.05])
@pytest.mark.parametrize(
    "kind", ["interview", "one stretch", "quiet", "dual", "ping-pong", "centre"]
)
def test_voices_in_several_places_are_taken_out(kind: str, bleed: float, bed: str) -> None:
    turns = [Span(start * RATE // 2, (start + 1) * RATE // 2) for start in range(2, 14)]
    speech = turns if kind in ("interview", "dual") else merge(turns)
    if kind == "ping-pong":
        one = voice(LENGTH, RATE, turns)[None]
        side = np.arange(LENGTH) // (RATE // 8) % 2
        voices = (one * np.where(side, LEFT, RIGHT)).astype(np.float32)
    else:
        other = turns if kind == "dual" else turns[1::2]
        first = voice(LENGTH, RATE, turns if kind == "dual" else turns[::2], seed=1)
        second = voice(LENGTH, RATE, other, seed=2) * (0.25 if kind == "quiet" else 1)
        voices = first * LEFT + second * (LEFT + RIGHT if kind == "centre" else RIGHT)
    heard = np.asarray(voices + bleed * voices[::-1], np.float32)
    assert max(left_over_db(heard, BEDS[bed], speech)) < -20


def test_channels_without_dialogue_have_exactly_no_voice() -> None:
    sound = wide(6, LENGTH, 0.05)
    sound[2] += voice(LENGTH, RATE, LINES)
    vocals = vocals_of(Sound(sound, RATE), LINES, LiteSeparator())
    assert vocals[2].any()
    assert not vocals[[0, 1, 3, 4, 5]].any()


def test_a_centre_of_pure_voice_is_taken_whole() -> None:
    sound = np.zeros((6, LENGTH), np.float32)
    sound[2] = voice(LENGTH, RATE, LINES)
    vocals = vocals_of(Sound(sound, RATE), LINES, LiteSeparator())
    assert np.abs(sound - vocals).max() < 1e-3 * np.abs(sound).max()


@pytest.mark.parametrize("channels", [1, 2])
def test_where_one_block_ends_and_the_next_begins_nothing_is_heard(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = wide(channels, LENGTH, 0.05) + voice(LENGTH, RATE, LINES)
    whole = vocals_of(Sound(sound, RATE), LINES, LiteSeparator())
    monkeypatch.setattr("dubarr_pipeline.engines.separation.lite._BLOCK_VALUES", 5000)
    parts = vocals_of(Sound(sound, RATE), LINES, LiteSeparator())
    assert np.abs(whole - parts).max() < 1e-5


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_a_line_of_twenty_minutes_takes_no_more_memory_than_one_of_one(channels: int) -> None:
    peaks, reads = [], []
    for minutes in (1, 20):
        source = Hiss(channels, minutes * 60 * 8000, 8000)
        blocks = LiteSeparator().separate(source, [Span(0, source.samples)])
        tracemalloc.start()
        covered = sum(block.shape[1] for _, block in blocks if block.shape[0] == channels)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        reads.append(source.longest)
        assert covered == source.samples
    assert peaks[1] < 1.2 * peaks[0]
    assert reads[1] == reads[0]


def test_the_same_sound_gives_the_same_voice() -> None:
    sound = Sound(wide(2, LENGTH, 0.05) + voice(LENGTH, RATE, LINES), RATE)
    with LiteSeparator() as one, LiteSeparator() as two:
        first = vocals_of(sound, LINES, one)
        assert_array_equal(first, vocals_of(sound, LINES, two))
        assert_array_equal(first, vocals_of(sound, LINES, one))
        assert one.method == two.method == "centre 3"


def test_overlapping_spans_count_once() -> None:
    speech = [*LINES, LINES[0].shift(100)]
    sound = Sound(wide(1, LENGTH, 0.1), RATE)
    assert_array_equal(
        vocals_of(sound, speech, LiteSeparator()), vocals_of(sound, merge(speech), LiteSeparator())
    )


def test_what_a_result_depends_on_is_in_the_identity() -> None:
    assert LiteSeparator().identity() == LiteSeparator(SeparationOptions()).identity()
    assert (
        LiteSeparator().identity() != LiteSeparator(SeparationOptions(wiener_caution=3)).identity()
    )
    assert LiteSeparator().needs() == ()
