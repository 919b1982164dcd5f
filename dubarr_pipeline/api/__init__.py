"""The Python API; the command line calls nothing else.

`dubbing` dubs, `samples` dubs a minute, `requests` queues, `tasks` tells how far the registered
videos are and `video_counts` how many, `planning` what a run would do to them; `videos` removes
what is not wanted any more. `libraries` and `backfill` work on watched folders, `gate` lets
finished films through, `series` knows and corrects the casts of series, `profiles` reads the
settings and fetches models, `voices` brings the neural ones, `setup` sets up libraries and the
servers beside them, `review` serves the review page.
``dub``, ``request``, ``plan`` and ``status`` are offered by ``dubarr_pipeline`` itself.

Every failure is one of `dubarr_pipeline.errors`. Settings that are handed in are the ones used;
what is not comes from ``$DUBARR_CONFIG`` and ``$DUBARR_WORK_DIR``. No variable is ever changed, but
by `profiles.start_logging`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dubarr_pipeline.api import (
        backfill,
        dubbing,
        gate,
        libraries,
        planning,
        profiles,
        requests,
        review,
        samples,
        series,
        setup,
        tasks,
        video_counts,
        videos,
        voices,
    )

__all__ = [
    "backfill",
    "dubbing",
    "gate",
    "libraries",
    "planning",
    "profiles",
    "requests",
    "review",
    "samples",
    "series",
    "setup",
    "tasks",
    "video_counts",
    "videos",
    "voices",
]


def __getattr__(name: str) -> Any:
    # Loaded with their first use, so that a command's help costs nothing.
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
