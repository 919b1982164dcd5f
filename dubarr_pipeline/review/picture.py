"""The film's picture: the source itself where a browser plays its codec, else a small proxy.

A proxy is made at the first request, at the lowest priority, whole or not at all.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe, version
from dubarr_pipeline.media.container.streams import MediaInfo
from dubarr_pipeline.review.answers import PictureAnswer
from dubarr_pipeline.review.films import FilmView

_log = logging.getLogger(__name__)
_PLAYED = frozenset(("h264", "vp8", "vp9", "av1"))
_CONTAINERS = ("matroska", "mp4", "mov", "webm")
"""ffmpeg's names of formats that browsers open; it names several at once."""
_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska"}
_PROXY = "picture.mp4"
_UNFINISHED = ".making.mp4"
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
class ProxyMaker:
    """Maker of proxies, one film at a time; each is asked for again until it is there."""

    _progress: dict[str, float] = field(default_factory=dict[str, float])
    _failed: dict[str, str] = field(default_factory=dict[str, str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def proxy(self, view: FilmView) -> Path | float:
        """Return the proxy of a film, or the share (0-1) that is made; the first call starts it.

        Raises:
            DubbingError: if it could not be made; the next call starts again.
        """
        path, key = view.cache / _PROXY, view.video.key
        with self._lock:
            if key in self._progress:
                return self._progress[key]
            if words := self._failed.pop(key, ""):
                raise ArtifactError(f"the picture of {key} cannot be shown: {words}")
            if path.is_file():
                return path
            self._progress[key] = 0.0
        threading.Thread(target=self._make, args=(view, path), daemon=True).start()
        return 0.0

    def _make(self, view: FilmView, path: Path) -> None:
        part, key = path.with_name(_UNFINISHED), view.video.key
        try:
            with self._turn:
                # The priority of this thread alone, and of what it starts.
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _IDLE)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._encode(view, part)
                part.replace(path)
        except (DubbingError, OSError) as error:
            _log.warning("the picture of %s could not be made small: %s", key, error)
            self._failed[key] = str(error)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            with self._lock:
                self._progress.pop(key, None)

    def _encode(self, view: FilmView, part: Path) -> None:
        info = probe(view.video.source)
        scaled = "scale=-2:'min(360,trunc(ih/2)*2)',format=yuv420p"
        arguments = [
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
                self._progress[view.video.key] = _share(said, info.duration_s)


def _share(said: bytes, duration_s: float) -> float:
    """Return the share that ffmpeg's last report tells of."""
    last = said.rpartition(b"out_time_us=")[2].partition(b"\n")[0]
    done_s = int(last) / 1e6 if last.isdigit() else 0.0
    return round(min(0.99, done_s / duration_s), 3) if duration_s else 0.0
