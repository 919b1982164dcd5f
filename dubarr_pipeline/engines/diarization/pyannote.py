"""Tells speakers apart with pyannote.audio, also where they talk at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dubarr_pipeline.compute.oom_fallback import EngineConfiguration, fallback_steps
from dubarr_pipeline.engines.diarization.cue_clusters import display_name
from dubarr_pipeline.engines.diarization.pyannote_worker import WindowSpeakers
from dubarr_pipeline.engines.interfaces import AudioReader, Diarizer, Need
from dubarr_pipeline.engines.laddered_child import LadderedEngine, never_back
from dubarr_pipeline.engines.requirements import (
    STUDIO,
    model_in_store,
    package_need,
    package_version,
)
from dubarr_pipeline.media.audio.resample import SPEECH_RATE, read_speech
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.models.store import model_folder, model_identity
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.cues.layout import SoundClock, lay_out
from dubarr_pipeline.script.model import Diarization
from dubarr_pipeline.script.recognition.passages import overlapping_windows, own_parts
from dubarr_pipeline.script.speakers.grouping import names_of
from dubarr_pipeline.script.speakers.voice_matching import (
    LocalSpeaker,
    VoiceMatchOptions,
    film_embeddings,
    film_turns,
    match_voices,
    speaker_ids,
)
from dubarr_pipeline.spans import Span, merge, to_samples

_log = logging.getLogger(__name__)
_VERSION = 1
_PACKAGE = "pyannote.audio"
_ROOM_S = 1.0
"""Margin before the first speech and after the last, for the networks' sake."""


@dataclass(frozen=True, slots=True)
class PyannoteOptions:
    """Options of pyannote.audio.

    Attributes:
        model: a pipeline of the model store, or the path of a local folder.
        device: ``auto``, ``cuda``, ``cuda:N``, ``GPU-<uuid>``, ``mps`` or ``cpu``.
        speakers: how many there are exactly; 0: not known.
        fewest: speakers at least; 0: not known.
        most: speakers at most; 0: not known.
        exclusive: never two speakers at once: of those who talk together the louder one counts.
        window_s: longer films are heard in windows of this length, in seconds. Memory grows with
            its square: the distances between all embeddings of 3 hours are 4 GB alone.
        overlap_s: what two windows share, so that their speakers are matched by what they say.
        same_voice: cosine distance (0 to 2) of two embeddings up to which they are one voice.
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
        if self.most and self.fewest > self.most:
            raise ValueError(f"fewest ({self.fewest}) cannot be above most ({self.most})")
        if not self.overlap_s < self.window_s / 2:
            raise ValueError(
                f"overlap_s ({self.overlap_s}) must be below half of window_s ({self.window_s})"
            )

    @property
    def limit(self) -> int:
        """Speakers in the film at most; 0: not known."""
        return self.speakers or self.most


@dataclass(frozen=True, slots=True)
class _Heard:
    """Results of one window."""

    window: Span
    own: Span
    found: WindowSpeakers


class PyannoteDiarizer(LadderedEngine, Diarizer):
    """Tells speakers apart by their voices; knows who talks at the same time."""

    name: ClassVar[str] = "pyannote"
    worker: ClassVar[str] = "dubarr_pipeline.engines.diarization.pyannote_worker:PyannoteWorker"

    def __init__(self, options: PyannoteOptions | None = None) -> None:
        self._options = options or PyannoteOptions()
        super().__init__(self._options.device)

    def identity(self) -> str:
        weights = model_identity(self._options.model)
        return f"{self.name}/{_VERSION}/{_PACKAGE} {package_version(_PACKAGE)}/{weights}"

    def needs(self) -> tuple[Need, ...]:
        package = package_need(_PACKAGE, "pyannote", STUDIO)
        return (package, model_in_store(self._options.model))

    def diarize(
        self,
        vocals: AudioReader,
        speech: Sequence[Span],
        cues: Sequence[Cue],
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
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
        heard: list[_Heard] = []

        def share(progress: Progress) -> None:
            done = len(heard) + progress.done / progress.total
            tell(Progress(done / len(windows), 1.0, progress.note))

        for window, own in zip(windows, own_parts(windows), strict=True):
            heard.append(self._listen(vocals, window, own, share))
        found = self._matched(heard, film, rate)
        named = names_of(found.turns, lay_out(cues, speech, SoundClock(rate, film.end)).pieces)
        names = {speaker: display_name(name) for speaker, name in named.items()}
        on_progress(Progress(1, 1, "telling the voices apart"))
        counts = (len(found.speakers), len(found.turns), len(names), len(windows))
        _log.info("%d speakers in %d turns (%d named) from %d windows", *counts)
        return Diarization(rate, found.turns, names, found.embeddings)

    def _listen(
        self, vocals: AudioReader, window: Span, own: Span, on_progress: OnProgress
    ) -> _Heard:
        samples = read_speech(vocals, window)
        whole = window.length >= vocals.samples - 1
        # A window may miss some of the film's speakers: no exact number holds for it.
        options = self._options
        bounds = {"max_speakers": options.limit}
        if whole:
            bounds |= {"num_speakers": options.speakers, "min_speakers": options.fewest}
        count = {name: bound for name, bound in bounds.items() if bound}
        found = self._call("diarize", samples, SPEECH_RATE, count, on_progress=on_progress)
        return _Heard(window, own, found)

    def _matched(self, heard: Sequence[_Heard], film: Span, rate: int) -> Diarization:
        """Put the windows' speakers together: one id for each voice of the film."""
        speakers: list[LocalSpeaker] = []
        first_of: list[int] = []
        for part in heard:
            first_of.append(len(speakers))
            speakers += _local_speakers(part, rate)
        groups = match_voices(
            speakers, VoiceMatchOptions(furthest=self._options.same_voice, most=self._options.limit)
        )
        spans = [
            (span, groups[first + number])
            for part, first in zip(heard, first_of, strict=True)
            for number in range(len(part.found.embeddings))
            for turn in speakers[first + number].turns
            if (span := turn.clip(part.own))
        ]
        turns = film_turns(spans, film)
        ordered = sorted((s.clip(film) or s, group) for s, group in spans if s.clip(film))
        ids = speaker_ids([group for _, group in ordered])
        of_group = film_embeddings(speakers, groups)
        embeddings = {ids[group]: of_group[group] for group in ids if group in of_group}
        return Diarization(rate, tuple(turns), embeddings=embeddings)

    def _rungs(self, device: str) -> tuple[EngineConfiguration, ...]:
        first = EngineConfiguration(device, self._options.batch)
        return fallback_steps(first, allow_cpu=self._options.allow_cpu)

    def _arguments(self, configuration: EngineConfiguration) -> dict[str, object]:
        return {
            "folder": model_folder(self._options.model),
            "device": configuration.device,
            "batch": configuration.batch,
            "exclusive": self._options.exclusive,
        }


def _local_speakers(part: _Heard, rate: int) -> list[LocalSpeaker]:
    spans: list[list[Span]] = [[] for _ in part.found.embeddings]
    for start_s, end_s, number in part.found.turns:
        start = part.window.start + to_samples(max(0.0, start_s), rate)
        # Turns may end past the sound's end.
        end = min(part.window.end, part.window.start + to_samples(max(start_s, end_s), rate))
        if start < end:
            spans[number].append(Span(start, end))
    return [
        LocalSpeaker(part.window, tuple(merge(own)), np.asarray(found))
        for own, found in zip(spans, part.found.embeddings, strict=True)
    ]
