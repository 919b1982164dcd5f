"""Tells speakers apart with pyannote.audio, also where they talk at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dubarr_pipeline.engines.diarization.cue_clusters import display_name
from dubarr_pipeline.engines.diarization.pyannote_work import SpeakerCount, WindowSpeakers
from dubarr_pipeline.engines.interfaces import (
    AudioReader,
    Diarizer,
    Need,
    OnProgress,
    Progress,
    ignore_progress,
)
from dubarr_pipeline.engines.ladder import Footing, rungs_below
from dubarr_pipeline.engines.laddered_child import LadderedEngine, never_back
from dubarr_pipeline.engines.needs import STUDIO, model_in_store, package_need, package_version
from dubarr_pipeline.media.speech_reading import SPEECH_RATE, read_speech
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.timeline.cue_layout import SoundClock, lay_out
from dubarr_pipeline.timeline.listening_windows import overlapping_windows, own_parts
from dubarr_pipeline.timeline.script import Cue, Diarization
from dubarr_pipeline.timeline.spans import Span, merge, to_samples
from dubarr_pipeline.timeline.speaker_names import names_of
from dubarr_pipeline.timeline.voice_matching import (
    LocalSpeaker,
    MatchOptions,
    film_prints,
    film_turns,
    match_voices,
    speaker_ids,
)

_log = logging.getLogger(__name__)
_VERSION = 1
_PACKAGE = "pyannote.audio"
_ROOM_S = 1.0
"""What is heard before the first speech and after the last, for the networks' sake."""


@dataclass(frozen=True, slots=True)
class PyannoteOptions:
    """How pyannote.audio tells speakers apart.

    Attributes:
        model: a pipeline of the model store, or the path of a local folder.
        device: ``auto``, ``cuda``, ``cuda:N``, ``GPU-<uuid>``, ``mps`` or ``cpu``.
        speakers: how many there are exactly; 0: not known.
        fewest, most: how many there are at least and at most; 0: not known.
        exclusive: never two speakers at once: of those who talk together the louder one counts.
        window_s: longer films are heard in windows of this length, in seconds. Memory grows with
            its square: the distances between all voice prints of 3 hours are 4 GB alone.
        overlap_s: what two windows share, so that their speakers are matched by what they say.
        same_voice: cosine distance (0 to 2) of two voice prints up to which they are one voice.
        batch: pieces of 10 seconds that the networks hear at once.
        allow_cpu: whether it may leave a GPU whose memory does not suffice.
    """

    model: str = "pyannote/speaker-diarization-community-1"
    device: str = "auto"
    speakers: int = 0
    fewest: int = 0
    most: int = 0
    exclusive: bool = False
    window_s: float = 1800.0
    overlap_s: float = 60.0
    same_voice: float = 0.5
    batch: int = 32
    allow_cpu: bool = True

    def __post_init__(self) -> None:
        if min(self.speakers, self.fewest, self.most) < 0:
            raise ValueError("speakers, fewest and most cannot be negative; 0 means not known")
        if self.most and self.fewest > self.most:
            raise ValueError(f"fewest ({self.fewest}) cannot be above most ({self.most})")
        if not 0 < self.overlap_s < self.window_s / 2:
            raise ValueError(
                f"overlap_s ({self.overlap_s}) must lie above 0 and below half of window_s "
                f"({self.window_s})"
            )
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, not {self.batch}")

    @property
    def limit(self) -> int:
        """Speakers in the film at most; 0: not known."""
        return self.speakers or self.most


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was found in one window."""

    window: Span
    own: Span
    found: WindowSpeakers


class PyannoteDiarizer(LadderedEngine, Diarizer):
    """Tells speakers apart by their voices; knows who talks at the same time."""

    name: ClassVar[str] = "pyannote"
    worker: ClassVar[str] = "dubarr_pipeline.engines.diarization.pyannote_work:PyannoteWorker"

    def __init__(self, options: PyannoteOptions | None = None) -> None:
        self._options = options or PyannoteOptions()
        super().__init__(self._options.device)

    def identity(self) -> str:
        """Name, version, package and weights; how it is driven stands in the options."""
        weights = model_identity(self._options.model)
        return f"{self.name}/{_VERSION}/{_PACKAGE} {package_version(_PACKAGE)}/{weights}"

    def needs(self) -> tuple[Need, ...]:
        """The library and the pipeline, whose conditions must be accepted on its page."""
        package = package_need(_PACKAGE, "pyannote", STUDIO)
        return (package, model_in_store(self._options.model))

    def diarize(
        self,
        vocals: AudioReader,
        speech: Sequence[Span],
        cues: Sequence[Cue],
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """Return the turns of every speaker, ids ``SPEAKER_00``... by first appearance."""
        rate = vocals.rate
        film = Span(0, vocals.samples)
        room = to_samples(_ROOM_S, rate)
        wide = [part for span in speech if (part := span.pad(room, room).clip(film))]
        windows = overlapping_windows(
            wide,
            to_samples(self._options.window_s, rate),
            to_samples(self._options.overlap_s, rate),
        )
        tell = never_back(on_progress)
        heard = [
            self._listen(vocals, window, own, _share(i, len(windows), tell))
            for i, (window, own) in enumerate(zip(windows, own_parts(windows), strict=True))
        ]
        found = self._matched(heard, film, rate)
        named = names_of(found.turns, lay_out(cues, speech, SoundClock(rate, film.end)).pieces)
        names = {speaker: display_name(name) for speaker, name in named.items()}
        on_progress(Progress(1, 1, "telling the voices apart"))
        _log.info(
            "%d speakers in %d turns (%d named) from %d windows",
            len(found.speakers),
            len(found.turns),
            len(names),
            len(windows),
        )
        return Diarization(rate, found.turns, names, found.embeddings)

    def _listen(
        self, vocals: AudioReader, window: Span, own: Span, on_progress: OnProgress
    ) -> _Heard:
        samples = read_speech(vocals, window)
        count = self._count(window.length >= vocals.samples - 1)
        found = self._child.call("diarize", samples, SPEECH_RATE, count, on_progress=on_progress)
        return _Heard(window, own, found)

    def _count(self, whole: bool) -> SpeakerCount:
        """What is known of the number of speakers in a window, which may miss some of the film."""
        options = self._options
        return SpeakerCount(
            exactly=options.speakers or None if whole else None,
            at_least=options.fewest or None if whole else None,
            at_most=options.limit or None,
        )

    def _matched(self, heard: Sequence[_Heard], film: Span, rate: int) -> Diarization:
        """Put the windows' speakers together: one id for each voice of the film."""
        speakers: list[LocalSpeaker] = []
        first_of: list[int] = []
        for part in heard:
            first_of.append(len(speakers))
            speakers += _local_speakers(part, rate)
        groups = match_voices(
            speakers, MatchOptions(furthest=self._options.same_voice, most=self._options.limit)
        )
        spans = [
            (span, groups[first + number])
            for part, first in zip(heard, first_of, strict=True)
            for number in range(len(part.found.prints))
            for turn in speakers[first + number].turns
            if (span := turn.clip(part.own))
        ]
        turns = film_turns(spans, film)
        ordered = sorted((s.clip(film) or s, group) for s, group in spans if s.clip(film))
        ids = speaker_ids([group for _, group in ordered])
        prints = film_prints(speakers, groups)
        embeddings = {ids[group]: prints[group] for group in ids if group in prints}
        return Diarization(rate, tuple(turns), embeddings=embeddings)

    def _rungs(self, device: str) -> tuple[Footing, ...]:
        first = Footing(device, self._options.batch)
        return rungs_below(first, allow_cpu=self._options.allow_cpu)

    def _arguments(self, footing: Footing) -> dict[str, object]:
        return {
            "folder": model_folder(self._options.model),
            "device": footing.device,
            "batch": footing.batch,
            "exclusive": self._options.exclusive,
        }


def _local_speakers(part: _Heard, rate: int) -> list[LocalSpeaker]:
    spans: list[list[Span]] = [[] for _ in part.found.prints]
    for start_s, end_s, number in part.found.turns:
        start = part.window.start + to_samples(max(0.0, start_s), rate)
        # Turns may end past the sound's end.
        end = min(part.window.end, part.window.start + to_samples(max(start_s, end_s), rate))
        if start < end:
            spans[number].append(Span(start, end))
    return [
        LocalSpeaker(part.window, tuple(merge(own)), np.asarray(found))
        for own, found in zip(spans, part.found.prints, strict=True)
    ]


def _share(number: int, count: int, on_progress: OnProgress) -> OnProgress:
    """Progress of one window as a share of the film."""

    def tell(progress: Progress) -> None:
        share = (number + progress.done / progress.total) / count
        on_progress(Progress(share, 1.0, progress.note))

    return tell
