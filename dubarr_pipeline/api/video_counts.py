"""Numbers of videos by status: thousands at a glance, with few imports."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.runtime.tick_state import last_state
from dubarr_pipeline.defs.runtime.unchanged import unchanged_since_report
from dubarr_pipeline.defs.tables.rows import published_status
from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.library.scan import Scan, ScanState, scan
from dubarr_pipeline.library.videos import Video, load_video, registered
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.workdir.identity import stat_matches

_JUDGED = 10
"""New films that are looked into where only numbers are asked for."""


def count_videos(
    settings: Settings, on_progress: OnProgress = ignore_progress
) -> dict[str, dict[str, int]]:
    """Return the number of videos of each library by status, without opening thousands of files.

    New ones that the sensor has refused, and those of a few that would be, count as LEFT OUT.
    """
    known: dict[Path, Video] = {}
    for key in registered(settings.work_dir):
        with suppress(ArtifactError):
            video = load_video(key, settings.work_dir)
            known[video.source] = video
    counts: dict[str, Counter[str]] = {}
    registered_of: dict[str, list[Video]] = {}
    for name in settings.libraries:
        counts[name], registered_of[name] = _count(name, settings, known, on_progress)
    if any(registered_of.values()):
        with open_instance(settings.work_dir) as instance:
            listed = [video for videos in registered_of.values() for video in videos]
            done = unchanged_since_report(instance, listed, settings.work_dir)
            for name, videos in registered_of.items():
                others = [video.key for video in videos if video.key not in done]
                rows = task_table(instance, settings.work_dir, others, settings) if others else ()
                counts[name].update(task.status for task in rows)
                dubbed = [video for video in videos if video.key in done]
                counts[name].update(published_status(each, settings)[0] for each in dubbed)
    return {name: dict(+count) for name, count in counts.items()}


def _count(
    name: str, settings: Settings, known: Mapping[Path, Video], on_progress: OnProgress
) -> tuple[Counter[str], list[Video]]:
    """Count the videos of one library that are not registered; return those that are."""
    library = settings.library(name)
    seen = look_at_library(name, library, settings)
    state = last_state(settings.work_dir, "media_folder").get(name, ("", ""))
    refused = ScanState.parse(*state).handled
    videos, new = list[Video](), list[Path]()
    count = Counter({"LEFT OUT": len({*seen.left_out, *seen.faults})})
    for number, (signature, path) in enumerate(seen.videos.items()):
        on_progress(Progress(number, len(seen.videos), name))
        video = known.get(path)
        if video and stat_matches(path, video.identity):
            videos.append(video)
        elif signature in refused:
            count["LEFT OUT"] += 1
        else:
            new.append(path)
    left = 0
    if 0 < len(new) <= _JUDGED:
        # Not at the top: it brings the engines' adapters, which the numbers do not need.
        from dubarr_pipeline.library.admission import decide_admission

        left = sum(not decide_admission(path, library, settings).targets for path in new)
    count.update({"LEFT OUT": left, "NEW": len(new) - left})
    return count, videos


def look_at_library(name: str, library: Library, settings: Settings) -> Scan:
    """List a library's folder. Raises `SettingsError` if it is away."""
    inner = settings.inner_libraries(name)
    seen = scan(library, ScanState(), settings.work_dir, inner=inner)
    if seen.gone:
        raise SettingsError(f"library {name!r} ({library.path}): {seen.gone}: is it mounted?")
    return seen
