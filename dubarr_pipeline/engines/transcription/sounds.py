"""Sounds for a recogniser: the film's own, its voices, or each channel by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from dubarr_pipeline.engines.interfaces import AudioReader, Hearing, Samples
from dubarr_pipeline.media.audio.reader import OneChannel, SoundsTogether
from dubarr_pipeline.media.audio.resample import read_speech
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.recognition.passages import breaths
from dubarr_pipeline.script.speakers.channels import speaker_per_channel, speech_of_channel
from dubarr_pipeline.spans import Span, to_samples

Hears = Literal["original", "vocals", "both"]

_LONGEST_S = 28.0
"""Whisper recognises 30 s at once; longer speech is cut at its quietest place."""
_CUT_S = (18.0, 28.0)
_QUIET_S = 0.1
_BLOCK_S = 10.0
_MASKED_DB = -1.0
"""Level of the rest over the separated voices from which the recogniser hears these better; below,
separation costs it words (docs/decisions/0024)."""


@dataclass(frozen=True, slots=True)
class HeardSound:
    """A sound to recognise.

    Attributes:
        sound: what is heard.
        otherwise: what is heard as well where music masks the voices, if anything.
        vocals: the separated voices of the same.
        speech: detected stretches.
        channel: its only channel, where each carries a speaker of its own.
    """

    sound: AudioReader
    otherwise: AudioReader | None
    vocals: AudioReader
    speech: tuple[Span, ...]
    channel: int | None = None

    def only(self, channel: int) -> "HeardSound":
        """Return the same of one channel."""
        other = self.otherwise and OneChannel(self.otherwise, channel)
        return HeardSound(
            OneChannel(self.sound, channel), other, OneChannel(self.vocals, channel), self.speech
        )

    def is_masked(self, span: Span) -> bool:
        """Return whether the sound without the voices is as loud as they are."""
        block, voices, rest = to_samples(_BLOCK_S, self.sound.rate), 0.0, 0.0
        for part in SpeechMap(self.speech).within(span):
            for start in range(part.start, part.end, block):
                stop = min(part.end, start + block)
                vocals = self.vocals.read(start, stop)
                voices += float(np.square(vocals, dtype=np.float64).sum())
                bed = self.sound.read(start, stop) - vocals
                rest += float(np.square(bed, dtype=np.float64).sum())
        return rest > voices * 10 ** (_MASKED_DB / 10)

    def passages(self, pause_s: float, margin_s: float) -> list[Span]:
        """Return the spans to recognise at once: speech up to a long pause, at most 28 s.

        Each is wider than its speech by the margin, up to the middle of a shorter pause.
        """
        rate = self.sound.rate
        longest, margin = (to_samples(s, rate) for s in (_LONGEST_S, margin_s))
        joined = breaths(self.speech, longest - 2 * margin, to_samples(pause_s, rate))
        # Speech that is cut has no margin at the cut.
        between = [min(margin, a.gap(b) // 2) for a, b in pairwise(joined)]
        film = Span(0, self.sound.samples)
        wide = [
            span.pad(before, after).clip(film) or span
            for span, before, after in zip(
                joined, [margin, *between], [*between, margin], strict=False
            )
        ]
        return [part for span in wide for part in self._cut(span, longest)]

    def _cut(self, span: Span, longest: int) -> list[Span]:
        """Cut in the middle of the quietest tenth of a second."""
        rate, left = self.vocals.rate, span
        size = to_samples(_QUIET_S, rate)
        parts: list[Span] = []
        while left.length > longest:
            early, late = (left.start + to_samples(s, rate) for s in _CUT_S)
            heard = self.vocals.read(early, late).mean(axis=0, dtype=np.float32)
            frames = heard[: heard.size // size * size].reshape(-1, size)
            quietest = int(np.argmin(np.square(frames).mean(axis=1)))
            cut = early + quietest * size + size // 2
            parts.append(Span(left.start, cut))
            left = Span(cut, left.end)
        return [*parts, left]


def heard_sound(hearing: Hearing, hears: Hears) -> HeardSound:
    """Return the film's sound as it is to be heard; the voices where nothing else is at hand."""
    vocals, bed = hearing.vocals, hearing.accompaniment
    if bed is None or hears == "vocals":
        return HeardSound(vocals, None, vocals, hearing.speech)
    original = SoundsTogether(vocals, bed)
    return HeardSound(original, vocals if hears == "both" else None, vocals, hearing.speech)


def by_speaker(film: HeardSound) -> list[HeardSound]:
    """Return each channel with its own speech, where each has a speaker; else the whole sound."""
    if not speaker_per_channel(film.vocals, film.speech):
        return [film]
    return [
        HeardSound(one.sound, one.otherwise, one.vocals, own, channel)
        for channel in range(film.vocals.channels)
        if (own := speech_of_channel(film.vocals, film.speech, channel))
        for one in [film.only(channel)]
    ]


def read_passages(sound: AudioReader, spans: Sequence[Span]) -> list[tuple[Span, Samples]]:
    """Return the passages with their sound at 16 kHz."""
    return [(span, read_speech(sound, span)) for span in spans]
