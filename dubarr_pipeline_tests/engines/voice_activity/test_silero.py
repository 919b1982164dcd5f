from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.voice_activity import silero
from dubarr_pipeline.engines.voice_activity.silero import RATE, SileroVoiceActivity, SpeechOptions
from dubarr_pipeline.errors import EngineError, MissingRequirement
from dubarr_pipeline.media.container.ffmpeg import file_url, run
from dubarr_pipeline.spans import Span, total

FRAME = 512


@pytest.fixture(scope="module")
def detector() -> Iterator[SileroVoiceActivity]:
    with SileroVoiceActivity() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def talk(shared_media: Path) -> tuple[Samples, list[Span]]:
    """Three voices with two seconds of silence around each, and where they are."""
    parts: list[Samples] = [np.zeros(2 * RATE, np.float32)]
    places: list[Span] = []
    for name in ("sense_0870.wav", "sense_0890.wav", "es_test_clip.wav"):
        sound, rate = soundfile.read(shared_media / "speech" / name, dtype="float32")
        assert rate == RATE
        start = sum(part.size for part in parts)
        places.append(Span(start, start + sound.size))
        parts += [sound * np.float32(0.1 / np.sqrt(np.square(sound).mean())), parts[0]]
    return np.concatenate(parts), places


def gate(probabilities: list[float], options: SpeechOptions, total_samples: int) -> list[Span]:
    found = silero._Gate(options)
    found.feed(np.array(probabilities, np.float32))
    return found.spans(total_samples)


@pytest.mark.parametrize("level_db", [-65, -50, -34, -20, -6, 0])
def test_speech_is_found_at_any_level(
    detector: SileroVoiceActivity, talk: tuple[Samples, list[Span]], level_db: float
) -> None:
    sound, places = talk
    gain = np.float32(10 ** ((level_db + 20) / 20))
    found = detector.detect(iter([sound * gain]))
    said = sum(total([s for p in places if (s := span.clip(p))]) for span in found)
    assert said > 0.85 * total(places)
    assert all(any(span.overlap(p) for p in places) for span in found)
    assert total(found) < 1.15 * total(places)


def test_a_very_quiet_talking_head_is_heard(
    detector: SileroVoiceActivity, shared_media: Path
) -> None:
    source = shared_media / "video" / "englishvideo.mp4"
    arguments = ["-i", file_url(source), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    raw = run(arguments).stdout
    found = detector.detect(iter([np.frombuffer(raw, np.float32)]))
    for start_s, end_s in ((1.262, 3.946), (5.245, 6.629), (7.607, 8.688)):
        cue = Span(round(start_s * RATE), round(end_s * RATE))
        assert sum(span.overlap(cue) for span in found) > 0.7 * cue.length


@pytest.mark.parametrize("name", ["brahms_hungarian5", "sugar_plum", "vibe_ace"])
def test_music_is_hardly_taken_for_speech(
    detector: SileroVoiceActivity, shared_media: Path, name: str
) -> None:
    sound, rate = soundfile.read(shared_media / "music" / f"{name}.hq.ogg", dtype="float32")
    mono = resample_poly(sound.mean(axis=1), 160, rate // 100).astype(np.float32)
    assert total(detector.detect(iter([mono]))) < 0.06 * mono.size


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(20 * RATE),
        np.random.default_rng(0).normal(0, 0.1, 20 * RATE),
        np.random.default_rng(0).normal(0, 1e-4, 20 * RATE),
        0.3 * np.sin(2 * np.pi * 50 * np.arange(20 * RATE) / RATE),
        np.full(20 * RATE, 0.5),
        np.full(20 * RATE, np.nan),
    ],
    ids=["silence", "noise", "faint noise", "hum", "offset", "no numbers"],
)
def test_what_is_no_speech_is_not_found(detector: SileroVoiceActivity, sound: Samples) -> None:
    assert detector.detect(iter([sound.astype(np.float32)])) == []


@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [1], [511], [512], [513], [0, 700, 0]])
def test_almost_nothing_to_hear_is_no_error(
    detector: SileroVoiceActivity, lengths: list[int]
) -> None:
    assert detector.detect(np.zeros(length, np.float32) for length in lengths) == []


def test_a_loud_voice_that_breaks_off_ends_with_the_sound(
    detector: SileroVoiceActivity, talk: tuple[Samples, list[Span]]
) -> None:
    cut = talk[0][: talk[1][0].start + 3 * RATE + 77]
    (found,) = detector.detect(iter([cut]))
    assert found.end == cut.size


def test_how_the_sound_is_cut_into_blocks_does_not_matter(
    detector: SileroVoiceActivity, talk: tuple[Samples, list[Span]]
) -> None:
    long = np.tile(talk[0], 3)
    whole = detector.detect(iter([long]))
    for size in (777, 16_000, 600_000):
        parts = (long[i : i + size] for i in range(0, long.size, size))
        assert detector.detect(parts) == whole


def test_two_loads_hear_the_same(talk: tuple[Samples, list[Span]]) -> None:
    with SileroVoiceActivity() as one, SileroVoiceActivity() as two:
        first = one.detect(iter([talk[0]]))
        assert first == two.detect(iter([talk[0]])) == one.detect(iter([talk[0]]))
        assert first


def test_memory_does_not_grow_with_the_film(detector: SileroVoiceActivity) -> None:
    peaks = []
    for minutes in (2, 20):
        blocks = (np.zeros(RATE, np.float32) for _ in range(minutes * 60))
        tracemalloc.start()
        detector.detect(blocks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_a_sound_of_another_shape_is_refused(detector: SileroVoiceActivity) -> None:
    with pytest.raises(EngineError, match="mono"):
        detector.detect(iter([np.zeros((2, 100), np.float32)]))


def test_without_load_it_says_so_and_after_unload_again(talk: tuple[Samples, list[Span]]) -> None:
    engine = SileroVoiceActivity()
    with pytest.raises(EngineError, match="not loaded"):
        engine.detect(iter([]))
    with engine:
        engine.detect(iter([]))
    engine.unload()
    with pytest.raises(EngineError, match="not loaded"):
        engine.detect(iter([]))


def test_a_missing_model_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "model_path", lambda: None)
    engine = SileroVoiceActivity()
    assert [need.present for need in engine.needs()] == [True, False]
    assert "absent" in engine.identity()
    with pytest.raises(MissingRequirement, match=r"silero_vad_v6\.onnx.*faster-whisper"):
        engine.load()


def test_identity_tells_model_and_options() -> None:
    assert SileroVoiceActivity().identity() == SileroVoiceActivity(SpeechOptions()).identity()
    assert (
        SileroVoiceActivity().identity() != SileroVoiceActivity(SpeechOptions(pad_s=0.2)).identity()
    )


def test_needs_and_identity_import_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from dubarr_pipeline.engines.voice_activity.silero import SileroVoiceActivity as S\n"
        "assert all(n.present for n in S().needs()); S().identity()\n"
        "print([m for m in ('onnxruntime', 'faster_whisper', 'torch') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("frames", "found"),
    [(4, []), (5, [Span(0, 5 * FRAME)]), (6, [Span(0, 6 * FRAME)])],
)
def test_finds_below_the_shortest_speech_are_dropped(frames: int, found: list[Span]) -> None:
    options = SpeechOptions(min_speech_s=5 * FRAME / RATE, pad_s=0)
    assert gate([0.9] * frames + [0.0] * 20, options, 10**6) == found


@pytest.mark.parametrize(("pause", "count"), [(9, 1), (10, 2), (11, 2)])
def test_pauses_below_the_shortest_silence_do_not_divide(pause: int, count: int) -> None:
    options = SpeechOptions(min_silence_s=10 * FRAME / RATE, pad_s=0)
    probabilities = [0.9] * 10 + [0.0] * pause + [0.9] * 10 + [0.0] * 20
    assert len(gate(probabilities, options, 10**6)) == count


@pytest.mark.parametrize(
    ("wavering", "count"), [(0.399, 0), (0.4, 1)], ids=["under the threshold", "at it"]
)
def test_speech_begins_at_the_threshold(wavering: float, count: int) -> None:
    options = SpeechOptions(threshold=np.float32(0.4).item(), pad_s=0)
    assert len(gate([wavering] * 20, options, 10**6)) == count


def test_between_release_and_threshold_speech_goes_on() -> None:
    options = SpeechOptions(pad_s=0)
    assert gate([0.9] + [0.3] * 30 + [0.0] * 20, options, 10**6) == [Span(0, 31 * FRAME)]


@given(
    st.lists(st.floats(0, 1, width=32), max_size=200),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(0, 511),
)
def test_stretches_are_sorted_apart_and_inside(
    probabilities: list[float], silence_s: float, pad_s: float, missing: int
) -> None:
    options = SpeechOptions(min_silence_s=silence_s, pad_s=pad_s)
    samples = max(0, len(probabilities) * FRAME - missing)
    found = gate(probabilities, options, samples)
    assert all(0 <= span.start < span.end <= samples for span in found)
    assert all(a.end < b.start for a, b in pairwise(found))


def test_a_release_above_the_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        SpeechOptions(release=0.6)
