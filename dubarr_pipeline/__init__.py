"""dubarr: dub a media library, each speaker in their own voice, over the untouched bed.

    import dubarr_pipeline as dubarr

    result = dubarr.dub("Film.mkv", to=["es", "ca"], work_dir="work", on_progress=print)
    print(result.video, result.lines.failed, result.stages["mix"].reused)

The names below are loaded with their first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dubarr_pipeline import engines as engines
    from dubarr_pipeline.api.dubbing import DubResult as DubResult
    from dubarr_pipeline.api.dubbing import dub as dub
    from dubarr_pipeline.api.planning import StageDecision as StageDecision
    from dubarr_pipeline.api.planning import plan as plan
    from dubarr_pipeline.api.requests import request as request
    from dubarr_pipeline.api.tasks import status as status
    from dubarr_pipeline.defs.code_location import build_definitions as build_definitions

__version__ = "0.1.0"
__all__ = [
    "DubResult",
    "StageDecision",
    "build_definitions",
    "dub",
    "engines",
    "plan",
    "request",
    "status",
]
_MODULES = {
    "DubResult": "api.dubbing",
    "build_definitions": "defs.code_location",
    "dub": "api.dubbing",
    "request": "api.requests",
    "status": "api.tasks",
}


def __getattr__(name: str) -> Any:
    if name == "engines":
        return import_module("dubarr_pipeline.engines")
    if name in __all__:
        module = _MODULES.get(name, "api.planning")
        return getattr(import_module(f"dubarr_pipeline.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
