"""The table of stages, in the order in which a video passes them.

The assets, the jobs, the plan, the task table and the run queue's GPU rule all derive from it. The
code of a stage is the module of its name in `defs.assets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext

GPU = "gpu"
"""Pool of the stages that load models, and that hold the device when an engine uses one."""


class StageModule(Protocol):
    """Code of a stage, as plain functions around Dagster."""

    def facts(self, context: StageContext) -> Mapping[str, Any]:
        """Return everything that the result depends on besides its inputs.

        Options enter as their dataclasses.
        """
        ...

    def make(self, context: StageContext) -> Outcome:
        """Do the work; the docstring describes the asset."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table.

    Attributes:
        name: short name of its asset, and its module in `defs.assets`.
        kinds: badges that the UI shows.
        pool: `GPU`, or None if it loads no model.
        version: raised whenever its code would make another result.
        checks: asset checks of its product, described in a sentence; `defs.assets.checks` runs
            them. Stages that load models have the memory check as well.
    """

    name: str
    inputs: tuple[str, ...]
    kinds: frozenset[str]
    pool: str | None = None
    version: str = "1"
    checks: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def module(self) -> StageModule:
        """Its code, imported late: the task table and the queue need none of it."""
        return cast("StageModule", import_module(f"dubarr_pipeline.defs.assets.{self.name}"))


_SCRIPT = ("vocals", "diarization", "transcript")
_WORK = (
    Stage("vocals", (), frozenset({"ffmpeg", "onnx"}), GPU, version="2"),
    Stage("diarization", ("vocals",), frozenset({"numpy"}), GPU),
    Stage(
        "transcript",
        ("vocals", "diarization"),
        frozenset({"text"}),
        GPU,
        checks={
            "script_fits_the_film": "The subtitles fit the detected speech, as they are or moved.",
            "speech_is_written_down": "Hardly any detected speech is without a line.",
            "lines_are_spoken": "Somebody speaks under nearly every line.",
        },
    ),
    Stage("context", _SCRIPT, frozenset({"text"}), GPU),
    Stage("refs", _SCRIPT, frozenset({"numpy"})),
    Stage(
        "segments",
        (*_SCRIPT, "context", "refs"),
        frozenset({"apertium", "espeak"}),
        GPU,
        version="3",
        checks={
            "every_line_has_an_outcome": "Every line is a chosen take, kept by kind, or a named "
            "failure.",
            "no_line_failed": "No line failed: each failure is listed by name.",
            "no_speaker_overlaps_themself": "No speaker talks over their own line.",
            "tempo_is_natural": "Every placed take plays at 0.85 to 1.20 of its own tempo.",
        },
    ),
    Stage(
        "mix",
        ("vocals", "segments"),
        frozenset({"ffmpeg", "numpy"}),
        version="4",
        checks={
            "every_line_is_audible": "Each placed line is heard in its window.",
            "no_line_is_cut": "No placed line is cut off at the film's ends.",
            "loudness_on_target": "Each track measures within 1 LU of its target.",
            "true_peak_in_bounds": "Decoded, no peak passes the ceiling or the source's highest.",
            "nothing_clips": "No sample of the mix is over full scale.",
            "bed_untouched": "Where nobody speaks, the decoded track is the source's sound.",
            "in_step": "The decoded track is within 1 ms of the source's sound.",
            "nothing_muted": "Decoded, all speech of the source has a dub or its original voice.",
            "one_voice_at_a_time": "Decoded, no original voice is heard under its dub.",
        },
    ),
    Stage(
        "mux",
        ("vocals", "segments", "mix"),
        frozenset({"ffmpeg", "mkvtoolnix"}),
        version="2",
        checks={
            "original_streams_identical": "Every original stream came through as it was.",
            "in_step_with_picture": "No stream moved against the picture by more than 1 ms.",
            "new_tracks_flagged": "Language, title and flags of the new tracks are right.",
        },
    ),
)
STAGES: tuple[Stage, ...] = (
    *_WORK,
    Stage("report", tuple(stage.name for stage in _WORK), frozenset({"html"})),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
GPU_STAGES = frozenset(stage.name for stage in STAGES if stage.pool == GPU)
