"""The demo video as a file, with its known answers beside it; the picture is a harbour at dusk."""

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dubarr_pipeline.demo import scene
from dubarr_pipeline.demo.sound import Soundtrack, soundtrack
from dubarr_pipeline.files import read_json, whole_file, write_json, write_text
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import write_srt
from dubarr_pipeline.workdir.artifacts import span_seconds

NAME = f"{scene.TITLE}.mkv"
WIDTH, HEIGHT, FRAMES_PER_S = 640, 360, 24
_HORIZON = 210
_LAMP = (520, 96)


def demo_video(folder: Path) -> Path:
    """Return the demo video in `folder`; it is made unless this very version of it is there.

    Beside it lie ``truth.json`` (texts, times, speakers) and the clean stems ``voices.wav`` and
    ``bed.wav``, against which the tests measure.
    """
    video, truth = folder / NAME, folder / "truth.json"
    digest = hashlib.sha256()
    for source in ("scene.toml", "scene.py", "sound.py", "video.py"):
        digest.update(files("dubarr_pipeline.demo").joinpath(source).read_bytes())
    version = digest.hexdigest()[:16]
    if video.is_file() and truth.is_file() and read_json(truth)["version"] == version:
        return video
    folder.mkdir(parents=True, exist_ok=True)
    sound = soundtrack()
    write_wave(folder / "voices.wav", sound.voices, scene.RATE)
    write_wave(folder / "bed.wav", sound.bed, scene.RATE)
    _assemble(folder, sound, video)
    lines = [
        {"index": i, "actor": line.actor, "text": line.text, **span_seconds(span, scene.RATE)}
        for i, (line, span) in enumerate(zip(scene.LINES, sound.lines, strict=True))
    ]
    write_json(truth, {"version": version, "rate": scene.RATE, "lines": lines})
    return video


def _assemble(folder: Path, sound: Soundtrack, video: Path) -> None:
    scratch = folder / ".scratch"
    scratch.mkdir(exist_ok=True)
    mix, comment = scratch / "mix.wav", scratch / "commentary.wav"
    write_wave(mix, sound.voices + sound.bed, scene.RATE)
    write_wave(comment, 0.25 * (sound.voices + sound.bed) + sound.commentary, scene.RATE)
    cues = (Cue(at, line.text) for line, at in zip(scene.LINES, sound.lines, strict=True))
    write_srt(scratch / "lines.srt", cues, scene.RATE)
    ends = [start for start, _ in scene.CHAPTERS[1:]] + [scene.DURATION_S]
    chapters = (
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start * 1000:.0f}\n"
        f"END={end * 1000:.0f}\ntitle={title}\n"
        for (start, title), end in zip(scene.CHAPTERS, ends, strict=True)
    )
    head = f";FFMETADATA1\ntitle={scene.TITLE}\n"
    write_text(scratch / "chapters.txt", head + "".join(chapters))
    write_text(scratch / "about.json", json.dumps({"title": scene.TITLE, "made by": "dubarr demo"}))
    with whole_file(video) as temporary:
        arguments = _arguments(scratch, temporary)
        with ffmpeg.encoder(arguments) as encoder:
            for frame in frames():
                encoder.write(frame)
    for path in scratch.iterdir():
        path.unlink()
    scratch.rmdir()


def _arguments(scratch: Path, destination: Path) -> list[str | Path]:
    size = f"{WIDTH}x{HEIGHT}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(FRAMES_PER_S)]
    inputs: list[str | Path] = [*raw, "-i", "pipe:0"]
    for name in ("mix.wav", "commentary.wav", "lines.srt"):
        inputs += ["-i", ffmpeg.file_url(scratch / name)]
    inputs += ["-f", "ffmetadata", "-i", ffmpeg.file_url(scratch / "chapters.txt")]
    return [
        *inputs,
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "26"),
        *("-pix_fmt", "yuv420p", "-threads", "1"),
        *("-c:a:0", "ac3", "-b:a:0", "256k", "-c:a:1", "aac", "-b:a:1", "96k", "-c:s", "srt"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=English"),
        *("-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Commentary"),
        *("-metadata:s:s:0", "language=eng", "-metadata:s:s:0", "title=English"),
        *("-disposition:a:0", "default", "-disposition:a:1", "comment", "-disposition:s:0", "0"),
        *("-attach", str(scratch / "about.json"), "-metadata:s:t", "mimetype=application/json"),
        *("-metadata:s:t", "filename=about.json"),
        *("-fflags", "+bitexact", "-f", "matroska", "-y", ffmpeg.file_url(destination)),
    ]


def frames() -> Iterator[bytes]:
    """Yield every frame as packed RGB, ``HEIGHT x WIDTH x 3`` bytes."""
    rows = np.linspace(0, 1, HEIGHT)[:, None, None]
    colours = np.array([24, 34, 72]) * (1 - rows) + np.array([214, 122, 84]) * rows
    sky = Image.fromarray(np.broadcast_to(colours, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    for number in range(round(scene.DURATION_S * FRAMES_PER_S)):
        yield _frame(sky, number / FRAMES_PER_S).tobytes()


def _frame(sky: Image.Image, time_s: float) -> Image.Image:
    image = sky.copy()
    draw = ImageDraw.Draw(image, "RGBA")
    angle = 2 * np.pi * time_s / 6
    for width in (0.10, 0.05):  # the turning beam
        ends = [
            (_LAMP[0] + 700 * np.cos(angle + side), _LAMP[1] + 260 * np.sin(angle + side))
            for side in (-width, width)
        ]
        draw.polygon([_LAMP, *ends], fill=(255, 236, 170, 46))
    draw.polygon([(440, _HORIZON), (500, 176), (560, 170), (640, _HORIZON)], fill=(28, 32, 40))
    draw.polygon([(508, 180), (514, 104), (526, 104), (532, 180)], fill=(226, 222, 210))
    draw.rectangle((512, 90, 528, 104), fill=(255, 226, 140))
    x = np.arange(0, WIDTH + 8, 8)
    for depth in range(5):  # waves of the sea
        top = _HORIZON + 18 * depth
        y = top + (2 + depth) * np.sin(x / (38 + 9 * depth) + time_s * (1.1 + 0.3 * depth) + depth)
        colour = (18 + 6 * depth, 58 - 4 * depth, 92 - 9 * depth)
        shore = zip(x.tolist(), y.tolist(), strict=True)
        draw.polygon([(0, HEIGHT), *shore, (WIDTH, HEIGHT)], fill=colour)
    left, top = 250 + 5 * max(0.0, time_s - 29), 262 + 4 * np.sin(time_s * 1.7)
    boat = [(left, top), (left + 130, top), (left + 110, top + 26), (left + 18, top + 26)]
    draw.polygon(boat, fill=(112, 54, 44))
    draw.rectangle((left + 58, top - 30, left + 96, top), fill=(232, 226, 214))
    _people(draw, time_s)
    return image


def _people(draw: ImageDraw.ImageDraw, time_s: float) -> None:
    """Three figures on the quay; whoever speaks lifts a little and is lit."""
    draw.rectangle((0, 318, WIDTH, HEIGHT), fill=(58, 48, 44))
    for name, x, height in (("Anna", 120, 62), ("Martin", 190, 70), ("Tom", 60, 44)):
        speaks = any(
            line.actor == name and 0 <= time_s - line.start_s < 2.4 for line in scene.LINES
        )
        lift = 3 * abs(np.sin(time_s * 9)) if speaks else 0
        colour = (240, 206, 150) if speaks else (34, 30, 34)
        top = 322 - height - lift
        draw.ellipse((x - 9, top, x + 9, top + 18), fill=colour)
        draw.polygon(
            [(x - 13, 324), (x - 7, top + 18), (x + 7, top + 18), (x + 13, 324)], fill=colour
        )
