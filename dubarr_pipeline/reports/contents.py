"""What is said of a finished video: the values that the page, the document and the summary show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dubarr_pipeline.engines.memory_note import MemoryNote
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.reports.evidence import Evidence, RefNote
from dubarr_pipeline.reports.measure import Measure
from dubarr_pipeline.reports.quality import LanguageQuality
from dubarr_pipeline.timeline.script import Segment, SpeakerProfile


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a stage took to make, and whether its result was kept this time.

    Attributes:
        seconds: of the run that made it; None where that is not known.
        memory: what was measured in that run; None where that is not known.
    """

    stage: str
    seconds: float | None
    reused: bool
    memory: MemoryNote | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A line that could not be dubbed, by name; the original is heard there."""

    language: str
    index: int
    speaker: str
    start_s: float
    end_s: float
    name: str
    source_text: str
    text: str
    message: str


@dataclass(frozen=True, slots=True)
class SpeakerSummary:
    """A speaker, how much they speak, and the voice reference that was found for them."""

    profile: SpeakerProfile
    lines: int
    speech_s: float
    ref: RefNote


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said of a finished video.

    Attributes:
        evidence: the artifacts it was made from.
        kinds: segments of the script by kind.
        summary: a few short lines for a terminal.
    """

    video: Video
    stages: tuple[StageTime, ...]
    evidence: Evidence
    languages: tuple[LanguageQuality, ...]
    film: tuple[Measure, ...]
    failures: tuple[Failure, ...]
    speakers: tuple[SpeakerSummary, ...]
    kinds: Mapping[str, int]
    summary: tuple[str, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All quality figures, those of the tracks first."""
        return (*(row for found in self.languages for row in found.measures), *self.film)

    @property
    def total_s(self) -> float:
        """What all stages took when they were made."""
        return round(sum(stage.seconds or 0.0 for stage in self.stages), 3)

    @property
    def segments(self) -> Mapping[int, Segment]:
        """The script by index."""
        return {segment.index: segment for segment in self.evidence.script.segments}
