"""Checks for disk space before any work starts.

The needs are upper bounds, calculated from the container's declarations. They hold for one video:
several at once can still fill a disk together, and then each fails by name and keeps its results.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import DiskFull, SourceError
from dubarr_pipeline.library.videos import Video, kept_answer
from dubarr_pipeline.media.audio.resample import SPEECH_RATE
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.container.streams import MediaInfo

_GB = 1_000_000_000
_FLOAT_BYTES = 4
_TAKE_BYTES_PER_S = 48_000 * _FLOAT_BYTES
_TRACK_BYTES_PER_S = 80_000
"""AC-3 at its highest, 640 kb/s (ATSC A/52)."""


def stage_needs(info: MediaInfo, source_bytes: int, languages: int) -> Mapping[str, int]:
    """Return an upper bound of the bytes that each stage writes; others write next to none."""
    frame_rate = max((each.rate * each.channels for each in info.audio), default=0)
    tracks = info.duration_s * _TRACK_BYTES_PER_S * languages
    needs = {
        "vocals": info.duration_s * (2 * frame_rate + SPEECH_RATE) * _FLOAT_BYTES,
        "segments": info.duration_s * _TAKE_BYTES_PER_S * languages,
        "mix": tracks,
        "mux": source_bytes + tracks,
    }
    return {stage: round(need) for stage, need in needs.items()}


def check_stage(stage: str, video: Video, settings: Settings) -> None:
    """Check the room for a stage's results. Raises `DiskFull` with the need and the cure."""
    needs = _needs(video.source, len(video.target_langs), settings.work_dir)
    _check_free(f"{stage} of {video.key}", needs.get(stage, 0), settings)


def check_video(
    source: Path, languages: int, settings: Settings, made: Path | None = None, promised: int = 0
) -> int:
    """Check that there is room for a whole video; return the bytes that it still needs.

    The files in `made`, its work folder, are not needed again; `promised` bytes are for videos that
    have not started yet.

    Raises:
        DiskFull: as `check_stage`; also if the work folder holds more than ``disk.most_gb``.
    """
    have = _used(made) if made else 0
    need = max(0, sum(_needs(source, languages, settings.work_dir).values()) - have)
    most_gb = float(settings.disk.most_gb)
    if need and most_gb and (used := _used(settings.work_dir)) > most_gb * _GB:
        raise DiskFull(
            f"no room left for {str(source)!r}: {settings.work_dir} holds {_gb(used)}, and "
            f"disk.most_gb = {most_gb:g}: `dubarr purge` videos that you no longer need, or raise "
            "it, then run again; what is finished is kept"
        )
    _check_free(repr(str(source)), need, settings, promised)
    return need


def _check_free(what: str, need: int, settings: Settings, promised: int = 0) -> None:
    least_gb = float(settings.disk.least_free_gb)
    folders = (settings.work_dir, *settings.work_dir.parents)
    free = shutil.disk_usage(next(each for each in folders if each.is_dir())).free
    if free - need - promised >= least_gb * _GB:
        return
    others = f" in addition to {_gb(promised)} for other videos" if promised else ""
    raise DiskFull(
        f"no room left for {what} on the disk of {settings.work_dir}: it needs up to "
        f"{_gb(need)}{others}, {_gb(free)} are free, and disk.least_free_gb = {least_gb:g} must "
        "stay free: free some (`dubarr prune`), choose another --work-dir or lower that setting, "
        "then run again; what is finished is kept"
    )


def _needs(source: Path, languages: int, work_dir: Path) -> Mapping[str, int]:
    """Return the needs of a film's stages; none for a file that no stage can read."""
    try:
        info = probe_video(source, kept=kept_answer(source, work_dir))
        return stage_needs(info, source.stat().st_size, languages)
    except (SourceError, OSError):
        return {}


def _used(folder: Path) -> int:
    """Return the bytes below a folder."""
    return sum(
        os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
        for where, _, names in os.walk(folder)
        for name in names
    )


def _gb(count: int) -> str:
    return f"{count / _GB:.3f} GB" if count < _GB else f"{count / _GB:.1f} GB"
