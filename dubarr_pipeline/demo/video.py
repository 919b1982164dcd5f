"""The demo video as a file, with its known answers beside it."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from dubarr_pipeline.artifacts import span_seconds
from dubarr_pipeline.demo import picture, scene
from dubarr_pipeline.demo.sound import Soundtrack, soundtrack
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.workdir import read_json, whole_file, write_json, write_text

NAME = "The Light on the Island.mkv"


def demo_video(folder: Path) -> Path:
    """Return the demo video in `folder`; it is made unless this very version of it is there.

    Beside it lie ``truth.json`` (texts, times, speakers) and the clean stems ``voices.wav`` and
    ``bed.wav``, against which the tests measure.
    """
    video, truth = folder / NAME, folder / "truth.json"
    version = _version()
    if video.is_file() and truth.is_file() and read_json(truth)["version"] == version:
        return video
    folder.mkdir(parents=True, exist_ok=True)
    sound = soundtrack()
    write_wave(folder / "voices.wav", sound.voices, scene.RATE)
    write_wave(folder / "bed.wav", sound.bed, scene.RATE)
    _assemble(folder, sound, video)
    lines = [
        {
            "index": spoken.index,
            "actor": scene.LINES[spoken.index].actor,
            "text": scene.LINES[spoken.index].text,
            **span_seconds(spoken.span, scene.RATE),
        }
        for spoken in sound.lines
    ]
    write_json(truth, {"version": version, "rate": scene.RATE, "lines": lines})
    return video


def _version() -> str:
    """Digest of the code that makes the video."""
    digest = hashlib.sha256()
    for source in ("scene.py", "sound.py", "picture.py", "video.py"):
        digest.update(files("dubarr_pipeline.demo").joinpath(source).read_bytes())
    return digest.hexdigest()[:16]


def _assemble(folder: Path, sound: Soundtrack, video: Path) -> None:
    scratch = folder / ".scratch"
    scratch.mkdir(exist_ok=True)
    mix, comment = scratch / "mix.wav", scratch / "commentary.wav"
    write_wave(mix, sound.voices + sound.bed, scene.RATE)
    write_wave(comment, 0.25 * (sound.voices + sound.bed) + sound.commentary, scene.RATE)
    write_text(scratch / "lines.srt", _subtitles(sound))
    write_text(scratch / "chapters.txt", _chapters())
    write_text(scratch / "about.json", json.dumps({"title": scene.TITLE, "made by": "dubarr demo"}))
    with whole_file(video) as temporary:
        arguments = _arguments(scratch, temporary)
        with ffmpeg.encoder(arguments) as encoder:
            for frame in picture.frames():
                encoder.write(frame)
    for path in scratch.iterdir():
        path.unlink()
    scratch.rmdir()


def _arguments(scratch: Path, destination: Path) -> list[str | Path]:
    size = f"{picture.WIDTH}x{picture.HEIGHT}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(picture.FRAMES_PER_S)]
    inputs: list[str | Path] = [*raw, "-i", "pipe:0"]
    for name in ("mix.wav", "commentary.wav", "lines.srt"):
        inputs += ["-i", ffmpeg.file_url(scratch / name)]
    inputs += ["-f", "ffmetadata", "-i", ffmpeg.file_url(scratch / "chapters.txt")]
    return [
        *inputs,
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4"),
        *(
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-crf",
            "26",
            "-pix_fmt",
            "yuv420p",
            "-threads",
            "1",
        ),
        *("-c:a:0", "ac3", "-b:a:0", "256k", "-c:a:1", "aac", "-b:a:1", "96k", "-c:s", "srt"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=English"),
        *("-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Commentary"),
        *("-metadata:s:s:0", "language=eng", "-metadata:s:s:0", "title=English"),
        *("-disposition:a:0", "default", "-disposition:a:1", "comment", "-disposition:s:0", "0"),
        *("-attach", str(scratch / "about.json"), "-metadata:s:t", "mimetype=application/json"),
        *("-metadata:s:t", "filename=about.json"),
        *("-fflags", "+bitexact", "-f", "matroska", "-y", ffmpeg.file_url(destination)),
    ]


def _subtitles(sound: Soundtrack) -> str:
    """The lines as SubRip; times rounded to milliseconds, as a subtitler would set them."""
    blocks = [
        f"{spoken.index + 1}\n{_clock(spoken.span)}\n{scene.LINES[spoken.index].text}\n"
        for spoken in sound.lines
    ]
    return "\n".join(blocks)


def _clock(span: Span) -> str:
    return " --> ".join(_timestamp(sample) for sample in (span.start, span.end))


def _timestamp(sample: int) -> str:
    seconds, milliseconds = divmod(round(1000 * sample / scene.RATE), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{milliseconds:03}"


def _chapters() -> str:
    ends = [start for start, _ in scene.CHAPTERS[1:]] + [scene.DURATION_S]
    blocks = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start * 1000:.0f}\n"
        f"END={end * 1000:.0f}\ntitle={title}\n"
        for (start, title), end in zip(scene.CHAPTERS, ends, strict=True)
    ]
    return f";FFMETADATA1\ntitle={scene.TITLE}\n" + "".join(blocks)
