"""The film's picture: the source itself where a browser plays its codec, else a small proxy.

A proxy is made at the first request, at the lowest priority, in pieces of a minute: the one that is
looked at comes first.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe, version
from dubarr_pipeline.media.container.streams import MediaInfo
from dubarr_pipeline.review.answers.film_answers import PictureAnswer
from dubarr_pipeline.review.films import FilmView

_log = logging.getLogger(__name__)
_PLAYED = frozenset(("h264", "vp8", "vp9", "av1"))
_CONTAINERS = ("matroska", "mp4", "mov", "webm")
"""ffmpeg's names of formats that browsers open; it names several at once."""
_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska"}
_PROXY = "picture.mp4"
_PIECES = "picture"
_UNFINISHED = ".making.mp4"
PIECE_S = 60
_IDLE = 19
_KEY_FRAME_S = 2


def describe_picture(view: FilmView) -> PictureAnswer:
    """Return what picture a film has; none while its source is not to be read."""
    try:
        info = probe(view.video.source)
    except DubbingError:
        return PictureAnswer("none")
    offset_s = round(view.sound.audio.offset_s, 6) if view.sound else 0.0
    if not info.video:
        return PictureAnswer("none")
    return PictureAnswer("source" if _is_played(info) else "proxy", offset_s)


def picture_type(path: Path) -> str:
    """Return the media type of a picture's file."""
    return _TYPES.get(path.suffix.lower(), "video/mp4")


def _is_played(info: MediaInfo) -> bool:
    """Return whether browsers play a picture; 10 bits of H.264 they do not."""
    if not any(each in info.format_name for each in _CONTAINERS):
        return False
    codec = info.video[0].codec
    return codec in _PLAYED and not (
        codec == "h264" and _is_deep(info.path, version(info.path.stat()))
    )


@lru_cache(maxsize=64)
def _is_deep(path: Path, _key: object) -> bool:
    """Return whether a picture has more than 8 bits, or colours in more places than usual."""
    asked = ("-select_streams", "v:0", "-show_entries", "stream=pix_fmt", "-of", "csv=p=0")
    told = ffmpeg.run([*asked, *ffmpeg.source_arguments(path)], tool="ffprobe", timeout_s=60)
    return told.stdout.decode("ascii", "replace").strip() not in ("yuv420p", "yuvj420p")


@dataclass(slots=True)
class _Making:
    """A proxy in the making.

    Attributes:
        folder: of its finished pieces, each named by its number.
        wanted: number of the piece that somebody waits for.
        part: share (0-1) of the piece that is being encoded.
    """

    folder: Path
    count: int
    wanted: int = 0
    part: float = 0.0

    def piece(self, number: int) -> Path:
        return self.folder / f"{number:04}.mp4"

    def missing(self) -> int | None:
        """Return the piece to encode next: from the one that is wanted on, then those before."""
        order = (*range(self.wanted, self.count), *range(self.wanted))
        return next((each for each in order if not self.piece(each).is_file()), None)

    @property
    def share(self) -> float:
        done = sum(self.piece(each).is_file() for each in range(self.count))
        return round(min(0.99, (done + self.part) / self.count), 3)


@dataclass(slots=True)
class ProxyMaker:
    """Maker of proxies, a piece at a time; each is asked for again until it is there.

    The piece that somebody looks at comes first; when all are there, they become one file.
    """

    _making: dict[str, _Making] = field(default_factory=dict[str, _Making])
    _failed: dict[str, str] = field(default_factory=dict[str, str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def proxy(self, view: FilmView, at_s: float | None = None) -> tuple[Path, float] | float:
        """Return the proxy and 0, or the share (0-1) that is made; the first call starts it.

        With `at_s`, a time in the picture, a piece of it will do: with the second that it begins.

        Raises:
            DubbingError: if it could not be made; the next call starts again.
        """
        path, key = view.cache / _PROXY, view.video.key
        with self._lock:
            if words := self._failed.pop(key, ""):
                raise ArtifactError(f"the picture of {key} cannot be shown: {words}")
            making = self._making.get(key)
            if making is None and path.is_file():
                return path, 0.0
            if making is None:
                count = max(1, math.ceil(probe(view.video.source).duration_s / PIECE_S))
                making = self._making[key] = _Making(view.cache / _PIECES, count)
                args = (view, making, path)
                threading.Thread(target=self._make, args=args, daemon=True).start()
            if at_s is None:
                return making.share
            number = min(max(0, int(at_s // PIECE_S)), making.count - 1)
            if making.piece(number).is_file():
                return making.piece(number), float(number * PIECE_S)
            making.wanted = number
            return making.share

    def _make(self, view: FilmView, making: _Making, path: Path) -> None:
        key = view.video.key
        try:
            making.folder.mkdir(parents=True, exist_ok=True)
            while (number := making.missing()) is not None:
                with self._turn:
                    # The priority of this thread alone, and of what it starts.
                    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _IDLE)
                    self._encode(view, making, number)
            _join(making, path)
        except (DubbingError, OSError) as error:
            _log.warning("the picture of %s could not be made small: %s", key, error)
            self._failed[key] = str(error)
        finally:
            with self._lock:
                self._making.pop(key, None)
            for name in (_UNFINISHED, f"{_PIECES}/{_UNFINISHED}"):
                with suppress(OSError):
                    (view.cache / name).unlink(missing_ok=True)

    def _encode(self, view: FilmView, making: _Making, number: int) -> None:
        """Encode one piece."""
        part = making.folder / _UNFINISHED
        info = probe(view.video.source)
        scaled = "scale=-2:'min(360,trunc(ih/2)*2)',format=yuv420p"
        arguments = [
            *("-ss", str(number * PIECE_S), "-t", str(PIECE_S)),
            *ffmpeg.source_arguments(view.video.source),
            *("-map", f"0:{info.video[0].index}", "-an", "-sn", "-dn", "-vf", scaled),
            *("-c:v", "libx264", "-preset", "superfast", "-crf", "30", "-threads", "1"),
            *("-force_key_frames", f"expr:gte(t,n_forced*{_KEY_FRAME_S})"),
            *("-map_metadata", "-1", "-movflags", "+faststart", "-y", ffmpeg.file_url(part)),
            *("-progress", "pipe:1", "-stats_period", "1"),
        ]
        with ffmpeg.reader(arguments) as pipe:
            said = b""
            while more := pipe.read(256):
                said = (said + more)[-4096:]
                making.part = _share(said, PIECE_S)
        part.replace(making.piece(number))
        making.part = 0.0


def _join(making: _Making, path: Path) -> None:
    """Join the pieces; one behind the last frame has none."""
    pieces = (making.piece(number) for number in range(making.count))
    # Each lasts as long as its stretch of the film, whatever its frames add up to.
    listed = [f"file {each.name}\nduration {PIECE_S}\n" for each in pieces if _has_frames(each)]
    table, part = making.folder / "pieces.txt", path.with_name(_UNFINISHED)
    table.write_text("".join(listed), "ascii")
    joined = ["-f", "concat", "-i", ffmpeg.file_url(table), "-c", "copy"]
    ffmpeg.run([*joined, "-movflags", "+faststart", "-y", ffmpeg.file_url(part)])
    part.replace(path)
    shutil.rmtree(making.folder, ignore_errors=True)


def _has_frames(path: Path) -> bool:
    try:
        return bool(probe(path).video)
    except DubbingError:
        return False


def _share(said: bytes, duration_s: float) -> float:
    """Return the share that ffmpeg's last report tells of."""
    last = said.rpartition(b"out_time_us=")[2].partition(b"\n")[0]
    done_s = int(last) / 1e6 if last.isdigit() else 0.0
    return min(0.99, done_s / duration_s)
