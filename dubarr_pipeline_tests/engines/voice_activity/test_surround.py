"""Speech in a surround film: extracted and detected as well as the voice alone would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.voice_activity.silero import SileroVoiceActivity
from dubarr_pipeline.media.audio.resample import SPEECH_RATE
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe

RATE = 48_000
FRONT, CENTRE, SURROUND = ("FL", "FR"), ("FC",), ("BL", "BR", "SL", "SR")


def level(sound: Samples, rms: float) -> Samples:
    return (sound * (rms / np.sqrt(np.square(sound).mean()))).astype(np.float32)


@pytest.fixture(scope="module")
def voice(shared_media: Path) -> Samples:
    """Three lines with two seconds of silence around each, at 48 kHz."""
    parts = [np.zeros(2 * RATE, np.float32)]
    for name in ("sense_0870.wav", "sense_0890.wav", "es_test_clip.wav"):
        sound, rate = soundfile.read(shared_media / "speech" / name, dtype="float32")
        parts += [level(resample_poly(sound, RATE // 1000, rate // 1000), 0.05), parts[0]]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def music(shared_media: Path) -> Samples:
    sound, rate = soundfile.read(shared_media / "music" / "vibe_ace.hq.ogg", dtype="float32")
    assert rate in (22050, 44100)
    return resample_poly(sound.reshape(len(sound), -1).mean(axis=1), 480, rate // 100)


def found(folder: Path, sound: Samples, layout: str) -> np.ndarray:
    """Whether speech was found at each 16 kHz sample of a film."""
    blocks: list[Samples] = []
    write_wave(folder / "film.wav", sound, RATE, layout)
    info = probe(folder / "film.wav")
    extract_audio(info, info.audio[0], folder / "out.wav", on_mono16k=blocks.append)
    mask = np.zeros(round(sound.shape[1] * SPEECH_RATE / RATE), bool)
    with SileroVoiceActivity() as detector:
        for span in detector.detect(iter(blocks)):
            mask[span.start : span.end] = True
    return mask


def spread(layout: str, **sounds: Samples) -> Samples:
    names = ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR")[: 6 if layout == "5.1" else 8]
    samples = len(next(iter(sounds.values())))
    return np.stack([sounds.get(name, np.zeros(samples, np.float32)) for name in names])


@pytest.mark.parametrize(("layout", "place"), [("5.1", "FC"), ("7.1", "FC"), ("5.1", "FL")])
def test_dialogue_under_loud_surrounds_is_found_as_if_it_were_alone(
    tmp_path: Path, voice: Samples, music: Samples, layout: str, place: str
):
    alone = found(tmp_path, voice[None], "mono")
    bed = level(np.resize(music, voice.size), 0.2)
    behind = {name: np.roll(bed, 7777 * n) for n, name in enumerate(SURROUND)}
    beside = {} if place == "FL" else dict.fromkeys(FRONT, bed / 4)
    film = spread(layout, **behind, **beside, LFE=bed, **{place: voice})
    heard = found(tmp_path, film, layout)
    assert (heard & alone).sum() >= 0.97 * alone.sum()
    assert (heard & alone).sum() >= 0.9 * heard.sum()
    # The test is one: the plain mean of all channels hides the voice.
    plain = found(tmp_path, film.mean(axis=0)[None], "mono")
    assert (plain & alone).sum() < 0.8 * alone.sum()
