"""Plan of a run as values: the stages that it would rerun, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dubarr_pipeline.config.engine_answers import Question
from dubarr_pipeline.library.estimates.costs import Estimate
from dubarr_pipeline.library.videos import Video


@dataclass(frozen=True, slots=True)
class StageDecision:
    """The fate of one stage in a run.

    Attributes:
        rerun: True if it would run; else its result is reused.
        reason: in words for people.
        last_seconds: its time when it last ran, or None.
    """

    stage: str
    rerun: bool
    reason: str
    last_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """Plan of a video.

    Attributes:
        fault: the error by which a run would fail at once, or None.
        estimate: what it would cost; None where that was not asked, or nothing would run.
        asked: the answers of engines that it depends on.
    """

    video: Video
    steps: tuple[StageDecision, ...]
    fault: str | None = None
    estimate: Estimate | None = None
    asked: Mapping[Question, Any] = field(default_factory=dict[Question, Any])
