"""Whether the disk has room for what is about to be made: told before the work, not in its middle.

The needs are upper bounds by arithmetic from what the container declares. They hold for one video:
several at once can still fill a disk together, and then each stops by name, keeping what it has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import DiskFull, SourceError
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.media.probe import probe_video
from dubarr_pipeline.media.streams import MediaInfo
from dubarr_pipeline.settings import Settings

_GB = 1_000_000_000
_FLOAT_BYTES = 4
_LISTENING_RATE = 16_000
"""Mono, for the engines that listen."""
_TAKE_BYTES_PER_S = 48_000 * _FLOAT_BYTES
_TRACK_BYTES_PER_S = 80_000
"""AC-3 at its highest, 640 kb/s (ATSC A/52)."""


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """How much of the disk that holds the work folder may be used.

    Attributes:
        least_free_gb: a stage does not start if less than this (in billions of bytes) would be
            left; new videos wait.
        most_gb: no new video is started when the work folder holds more; 0: no limit.
    """

    least_free_gb: float = 0.1
    most_gb: float = 0.0

    def __post_init__(self) -> None:
        if self.least_free_gb < 0 or self.most_gb < 0:
            raise ValueError("least_free_gb and most_gb must not be negative")


def stage_needs(info: MediaInfo, source_bytes: int, languages: int) -> Mapping[str, int]:
    """Return the bytes that each stage leaves at most; one that is not named leaves next to none.

    Args:
        info: what the container holds.
        source_bytes: its size.
        languages: how many are dubbed.
    """
    frame_rate = max((each.rate * each.channels for each in info.audio), default=0)
    stem = info.duration_s * frame_rate * _FLOAT_BYTES
    tracks = info.duration_s * _TRACK_BYTES_PER_S * languages
    needs = {
        "vocals": 2 * stem + info.duration_s * _LISTENING_RATE * _FLOAT_BYTES,
        "segments": info.duration_s * _TAKE_BYTES_PER_S * languages,
        "mix": tracks,
        "mux": source_bytes + tracks,
    }
    return {stage: round(need) for stage, need in needs.items()}


def check_stage(stage: str, video: Video, settings: Settings) -> None:
    """See that there is room for what a stage is about to make.

    Raises:
        DiskFull: saying how much is needed, how much is free, and how to change it.
    """
    needs = _needs(video.source, len(video.target_langs))
    _check_free(f"{stage} of {video.key}", needs.get(stage, 0), settings)


def check_video(
    source: Path, languages: int, settings: Settings, made: Path | None = None, promised: int = 0
) -> int:
    """See that there is room for a whole video; returns what it still needs, in bytes.

    Args:
        source: the film.
        languages: how many are dubbed.
        settings: with the work folder.
        made: its work folder: what is there already is not needed again.
        promised: bytes that others will take, which have not begun.

    Raises:
        DiskFull: as `check_stage`; also if the work folder holds more than ``disk.most_gb``.
    """
    have = _used(made) if made else 0
    need = max(0, sum(_needs(source, languages).values()) - have)
    most_gb = float(settings.options("disk").most_gb)
    if need and most_gb and (used := _used(settings.work_dir)) > most_gb * _GB:
        raise DiskFull(
            f"no room left for {str(source)!r}: {settings.work_dir} holds {_gb(used)}, and "
            f"disk.most_gb = {most_gb:g}: `dubarr purge` what you need no more, or raise it, then "
            "run again; what is finished is kept"
        )
    _check_free(repr(str(source)), need, settings, promised)
    return need


def _check_free(what: str, need: int, settings: Settings, promised: int = 0) -> None:
    least_gb = float(settings.options("disk").least_free_gb)
    free = shutil.disk_usage(_existing(settings.work_dir)).free
    if free - need - promised >= least_gb * _GB:
        return
    others = f" beside {_gb(promised)} that others will take" if promised else ""
    raise DiskFull(
        f"no room left for {what} on the disk of {settings.work_dir}: it needs up to "
        f"{_gb(need)}{others}, {_gb(free)} are free, and disk.least_free_gb = {least_gb:g} are to "
        "stay free: free some (`dubarr prune`), choose another --work-dir or lower that setting, "
        "then run again; what is finished is kept"
    )


def _needs(source: Path, languages: int) -> Mapping[str, int]:
    """What a film's stages need; nothing of a file that no stage could read."""
    try:
        return stage_needs(probe_video(source), source.stat().st_size, languages)
    except (SourceError, OSError):
        return {}


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _used(folder: Path) -> int:
    """The bytes below a folder."""
    return sum(
        os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
        for where, _, names in os.walk(folder)
        for name in names
    )


def _gb(count: int) -> str:
    return f"{count / _GB:.3f} GB" if count < _GB else f"{count / _GB:.1f} GB"
