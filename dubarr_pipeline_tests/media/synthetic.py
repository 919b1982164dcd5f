"""Small media files that the tests make themselves, with known answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.streams import MediaInfo, Stream
from dubarr_pipeline.media.waveform import write_wave

PICTURE = ("-f", "lavfi", "-i", "color=c=gray:s=32x32:r=5:d={seconds}")


def noise(
    channels: int = 2, samples: int = 12_000, seed: int = 1, level: float = 0.1
) -> NDArray[np.float32]:
    """White noise ``(channels, samples)``, on the 16-bit grid that lossless codecs keep."""
    steps = np.random.default_rng(seed).normal(0, level * 32768, (channels, samples))
    return (np.clip(np.round(steps), -32768, 32767) / 32768).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Film:
    """How a test film is made.

    Attributes:
        delay_s: how late the sound starts.
        filters: an ffmpeg filter for the sound, e.g. to cut a hole into its time stamps.
        extra: more ffmpeg options for the output.
    """

    rate: int = 48_000
    codec: str = "flac"
    layout: str | None = None
    delay_s: float = 0.0
    seconds: float = 0.0
    filters: str = "anull"
    extra: tuple[str, ...] = ()


def make_film(path: Path, sound: NDArray[np.float32], film: Film = Film()) -> Path:
    """Write a film with a gray picture and this sound."""
    wave = path.parent / "sound-of-the-film.wav"
    write_wave(wave, sound, film.rate, film.layout)
    seconds = film.seconds or max(0.4, sound.shape[-1] / film.rate + film.delay_s)
    ffmpeg.run(
        [
            "-y",
            *(option.format(seconds=seconds) for option in PICTURE),
            *("-itsoffset", str(film.delay_s), "-i", ffmpeg.file_url(wave)),
            *("-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", film.codec),
            *("-af", film.filters, "-strict", "-2", *film.extra, ffmpeg.file_url(path)),
        ]
    )
    wave.unlink()
    return path


def media_info(*streams: Stream, path: Path = Path("/videos/film.mkv")) -> MediaInfo:
    """A container that exists only as values."""
    return MediaInfo(path, "matroska,webm", 100.0, 0.0, streams, (), {})


def audio_stream(index: int, language: str | None = "en", **about: object) -> Stream:
    """An audio stream that exists only as values."""
    values: dict[str, object] = {"rate": 48_000, "channels": 2, "layout": "stereo", **about}
    flags = values.pop("flags", ())
    return Stream(
        index,
        "audio",
        "ac3",
        language,
        dispositions=frozenset(flags),  # type: ignore[arg-type]
        **values,  # type: ignore[arg-type]
    )


def subtitle_stream(
    index: int, language: str | None, codec: str = "subrip", **about: object
) -> Stream:
    """A subtitle stream that exists only as values."""
    flags = about.pop("flags", ())
    return Stream(
        index,
        "subtitle",
        codec,
        language,
        dispositions=frozenset(flags),  # type: ignore[arg-type]
        **about,  # type: ignore[arg-type]
    )
