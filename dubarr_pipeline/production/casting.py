"""Who speaks a line, and after which sample of their voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dubarr_pipeline.engines.interfaces import Voice
from dubarr_pipeline.timeline.script import Segment, SpeakerProfile


@dataclass(slots=True)
class RefShelf:
    """The voice references at hand while one goes through the script in order.

    Attributes:
        golden: speaker -> the best sample of them in the whole film.
        of_lines: index -> a sample of that very line, where it is long and clean enough.
    """

    golden: Mapping[str, Path]
    of_lines: Mapping[int, Path]
    _last: dict[str, tuple[Path, str]] = field(default_factory=dict[str, tuple[Path, str]])

    def choose(self, segment: Segment) -> tuple[Path | None, str | None]:
        """The sample for a line, and what is said in it if that is known.

        A sample of this very line keeps its emotion; else the speaker's last good one is nearest in
        mood and place; else their golden reference.
        """
        if segment.index in self.of_lines:
            return self.of_lines[segment.index], segment.text
        if segment.speaker in self._last:
            return self._last[segment.speaker]
        return self.golden.get(segment.speaker), None

    def pass_line(self, segment: Segment) -> None:
        """Go on to the next line; remember this one's sample as the speaker's last good one."""
        if segment.index in self.of_lines:
            self._last[segment.speaker] = (self.of_lines[segment.index], segment.text)


def cast(segment: Segment, speakers: Mapping[str, SpeakerProfile], shelf: RefShelf) -> Voice:
    """Give a line its voice: the speaker's profile, and the sample that `RefShelf` has for it."""
    profile = speakers.get(segment.speaker) or SpeakerProfile(segment.speaker)
    ref, ref_text = shelf.choose(segment)
    return Voice(segment.speaker, profile, ref, ref_text)
