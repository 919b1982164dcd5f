"""What every separator promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute.memory import descendants, read_memory
from dubarr_pipeline.engines.interfaces import Samples, Separator
from dubarr_pipeline.engines.separation.demucs import DemucsOptions, DemucsSeparator
from dubarr_pipeline.engines.separation.lite import LiteSeparator
from dubarr_pipeline.engines.separation.stems import write_stems
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.spans import Span, total
from dubarr_pipeline_tests.fixtures.separation_sounds import Hiss, Sound, voice

RATE = 48_000
SPEECH = [Span(9_000, 60_001), Span(100_000, 100_400), Span(150_000, 239_990)]
SAMPLES = 240_000

ENGINES: dict[str, Callable[[Path], Separator]] = {
    "lite": lambda _: LiteSeparator(),
    "demucs": lambda folder: DemucsSeparator(DemucsOptions(str(folder), device="cpu")),
}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def make(request: pytest.FixtureRequest, tiny_demucs: Path) -> Callable[[], Separator]:
    return lambda: ENGINES[request.param](tiny_demucs)


@pytest.fixture(scope="module")
def engine(make: Callable[[], Separator]) -> Iterator[Separator]:
    with make() as loaded:
        yield loaded


def film(channels: int = 2, rate: int = RATE) -> Samples:
    """Noise everywhere, and a voice inside the speech: in the middle, or in the centre channel."""
    random = np.random.default_rng(channels)
    sound = 0.02 * random.standard_normal((channels, SAMPLES)).astype(np.float32)
    spoken = voice(SAMPLES, rate, SPEECH)
    for channel in (2,) if channels > 2 else range(channels):
        sound[channel] += spoken
    return sound


def joined(blocks: list[tuple[int, Samples]], channels: int) -> Samples:
    whole = np.zeros((channels, SAMPLES), np.float32)
    for start, block in blocks:
        whole[:, start : start + block.shape[1]] = block
    return whole


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_blocks_are_in_order_and_cover_all_speech(engine: Separator, channels: int):
    blocks = list(engine.separate(Sound(film(channels), RATE), SPEECH))
    assert all(block.shape[0] == channels for _, block in blocks)
    assert all(block.dtype == np.float32 for _, block in blocks)
    ends = [0, *(start + block.shape[1] for start, block in blocks)]
    assert all(start >= end for (start, _), end in zip(blocks, ends, strict=False))
    covered = np.zeros(SAMPLES, bool)
    for start, block in blocks:
        covered[start : start + block.shape[1]] = True
    assert all(covered[span.start : span.end].all() for span in SPEECH)
    assert np.isfinite(joined(blocks, channels)).all()


@pytest.mark.parametrize("rate", [44_100, 22_050])
def test_any_rate_is_taken(engine: Separator, rate: int):
    blocks = list(engine.separate(Sound(film(rate=rate), rate), SPEECH))
    assert sum(block.shape[1] for _, block in blocks) >= total(SPEECH)


def test_channels_without_dialogue_hold_no_voice(engine: Separator):
    found = joined(list(engine.separate(Sound(film(6), RATE), SPEECH)), 6)
    assert [bool(found[c].any()) for c in range(6)] == [False, False, True, False, False, False]


def test_where_nobody_speaks_there_is_nothing_to_do(engine: Separator):
    assert list(engine.separate(Sound(film(), RATE), [])) == []


def test_a_second_film_is_not_coloured_by_the_first(engine: Separator):
    source = Sound(film(), RATE)
    first = joined(list(engine.separate(source, SPEECH)), 2)
    list(engine.separate(Sound(film(1), RATE), [Span(0, 50_000)]))
    np.testing.assert_array_equal(joined(list(engine.separate(source, SPEECH)), 2), first)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_outside_speech_the_source_stays_bit_for_bit(
    engine: Separator, channels: int, tmp_path: Path
):
    source = film(channels)
    write_wave(tmp_path / "bed.wav", source, RATE)
    told: list[Progress] = []
    write_stems(tmp_path / "bed.wav", tmp_path / "voices.wav", engine, SPEECH, told.append)
    with WaveFile(tmp_path / "bed.wav") as bed, WaveFile(tmp_path / "voices.wav") as voices:
        rest, taken = bed.read(0, SAMPLES), voices.read(0, SAMPLES)
    silent = np.ones(SAMPLES, bool)
    for span in SPEECH:
        silent[span.start : span.end] = False
    np.testing.assert_array_equal(rest[:, silent], source[:, silent])
    assert not taken[:, silent].any()
    np.testing.assert_allclose(rest + taken, source, atol=1e-6)
    shares = [progress.done for progress in told]
    assert shares == sorted(shares)
    assert shares[-1] == told[-1].total == total(SPEECH)


def test_the_file_that_is_divided_gives_what_the_same_sound_in_memory_gives(
    engine: Separator, tmp_path: Path
):
    """The accompaniment is written over the source while it is still being read."""
    # The embedded filter hears the few frames before a block as they are by then.
    if engine.name == "lite":
        return
    source = film()
    whole = joined(list(engine.separate(Sound(source, RATE), SPEECH)), 2)
    write_wave(tmp_path / "bed.wav", source, RATE)
    write_stems(tmp_path / "bed.wav", tmp_path / "voices.wav", engine, SPEECH)
    inside = slice(SPEECH[0].start + 600, SPEECH[0].end - 600)
    with WaveFile(tmp_path / "voices.wav") as voices:
        np.testing.assert_allclose(voices.read(0, SAMPLES)[:, inside], whole[:, inside], atol=1e-6)


def test_it_says_what_it_is_and_needs_without_being_loaded(make: Callable[[], Separator]):
    first, second = make(), make()
    assert first.identity() == second.identity()
    assert first.identity().startswith(first.name)
    assert all(need.present for need in first.needs())
    first.unload()


def test_unloading_leaves_nothing_and_two_loads_are_equal(
    make: Callable[[], Separator], engine: Separator
):
    before = read_memory()
    again = make()
    with again:
        found = joined(list(again.separate(Sound(film(), RATE), SPEECH)), 2)
        held = read_memory()
        assert again.name == "lite" or len(held.children) == len(before.children) + 1
    after = read_memory()
    assert after.children == before.children or len(after.children) == len(before.children)
    assert after.rss_bytes - before.rss_bytes < 64 << 20
    again.unload()
    expected = joined(list(engine.separate(Sound(film(), RATE), SPEECH)), 2)
    np.testing.assert_array_equal(found, expected)


def test_an_interrupt_in_the_middle_leaves_nothing_running(make: Callable[[], Separator]):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = descendants(os.getpid())
    signal.signal(signal.SIGALRM, interrupt)
    source = Hiss(2, 300 * RATE, RATE)
    with make() as engine:
        blocks = engine.separate(source, [Span(0, source.samples)])
        next(blocks)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            list(blocks)
    assert descendants(os.getpid()) == before


def test_a_model_that_is_not_there_is_named():
    named = DemucsSeparator(DemucsOptions(model="htdemucs_ft"))
    model = next(need for need in named.needs() if need.kind == "model")
    assert not model.present
    assert "dubarr models pull htdemucs_ft" in model.cure
