"""A line spoken to be heard at once, and how it would sound among its neighbours."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.review.answers.film_answers import LineRow, TryWish
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.sounds.waves import as_frames, wave_header
from dubarr_pipeline.segments.trial import SpokenTrial, Trial
from dubarr_pipeline.spans import Span

_IDLE_S = 300.0
"""A voice that was not asked for so long gives its memory back."""
_KEPT = 200
_LOUDER, _SOFTER = 4.0, 0.25
_LOUD_ENOUGH = 1e-4


class TrialDesk:
    """The voices of the film that is being worked at, loaded while they are asked for.

    They are one film's at a time, and speak one line after another, in a thread of their own.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "trial")
        self._lock = threading.Lock()
        self._open: tuple[object, Trial] | None = None
        self._spoken: OrderedDict[tuple[str, str, str], SpokenTrial] = OrderedDict()
        self._idle: threading.Timer | None = None

    def speak(
        self,
        view: FilmView,
        settings: Settings,
        row: LineRow,
        wish: TryWish,
        held: AbstractContextManager[None],
    ) -> SpokenTrial:
        """Speak a line with a person's wishes in place of its edits; it is kept for `found`.

        The film is `held` while its turn lasts.

        Raises:
            LineError, DubbingError: as `Trial.speak`.
        """
        with self._lock:
            if self._idle:
                self._idle.cancel()
        try:
            spoken = self._thread.submit(self._speak, view, settings, row, wish, held).result()
        finally:
            with self._lock:
                self._idle = threading.Timer(_IDLE_S, self._thread.submit, (self._close,))
                self._idle.daemon = True
                self._idle.start()
        self._spoken[view.video.key, wish.lang, spoken.take.sound] = spoken
        while len(self._spoken) > _KEPT:
            self._spoken.popitem(last=False)
        return spoken

    def found(self, view: FilmView, language: str, sound: str) -> SpokenTrial:
        """Return a line that was spoken, by its take. Raises `RequestRefused` (404)."""
        spoken = self._spoken.get((view.video.key, language, sound))
        if spoken is None or not spoken.path.is_file():
            raise RequestRefused(404, "no_trial", "it was not tried, or long ago: try it again")
        return spoken

    def wait(self) -> None:
        """Wait for the line that is being spoken: it holds the film as a run does."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Give the voices back."""
        if self._idle:
            self._idle.cancel()
        self._thread.submit(self._close)
        self._thread.shutdown()

    def _speak(
        self,
        view: FilmView,
        settings: Settings,
        row: LineRow,
        wish: TryWish,
        held: AbstractContextManager[None],
    ) -> SpokenTrial:
        video = view.video
        # A film that was dubbed anew since has other lines, and may have another voice.
        stamp = (video, FilmView.stamp(video, view.work)[:6])
        if self._open is None or self._open[0] != stamp:
            self._close()
            own = settings.for_video(video.profile, video.overrides)
            self._open = stamp, Trial(own, video.source, view.work, video.target_langs)
        with held:
            return self._open[1].speak(
                wish.lang, row.id, LineEdits(text=wish.text, voice=wish.voice), speaker=wish.speaker
            )

    def _close(self) -> None:
        if self._open:
            self._open[1].close()
            self._open = None


def mixed(
    view: FilmView, language: str, spoken: SpokenTrial, around_s: float
) -> tuple[bytes, float]:
    """Return a WAV file of a tried line among its neighbours, and the second at which it begins.

    A sketch of the mix: takes as loud as the voices that they stand for, over the bed as it is. The
    finished mix ducks, limits and places in the room as well.
    """
    rate, made = spoken.rate, view.lines(language)
    line = made.get(spoken.index)
    own = Span(spoken.start, spoken.start + spoken.length)
    if line:
        own = Span(min(own.start, line.source.start), max(own.end, line.source.end))
    heard = own.pad(round(around_s * rate), round(around_s * rate))
    with ExitStack() as stack:
        bed = stack.enter_context(WaveFile(view.work.accompaniment))
        voice = stack.enter_context(WaveFile(view.work.vocals))
        sound = bed.read(heard.start, heard.end)
        for each in made.values():
            if each.index == spoken.index:
                continue
            if each.placed and each.path:
                place = Span(each.start, each.start + each.length)
                # Of thousands of lines some are near: no other's voice is read.
                if place.clip(heard):
                    original = voice.read(each.source.start, each.source.end)
                    _add(sound, heard, each.path, place, original)
            elif part := each.source.clip(heard):
                at = part.start - heard.start
                sound[:, at : at + part.length] += voice.read(part.start, part.end)
        source = line.source if line else own
        place = Span(spoken.start, spoken.start + spoken.length)
        _add(sound, heard, spoken.path, place, voice.read(source.start, source.end))
        frames = as_frames(sound, bed.layout)
    data = wave_header(rate, frames.shape[1], len(frames)) + frames.tobytes()
    return data, heard.start / rate


def _add(sound: Samples, heard: Span, path: Path, place: Span, original: Samples) -> None:
    """Add a take at its place, as loud as the original voice."""
    part = place.clip(heard)
    if part is None:
        return
    with WaveFile(path) as wave:
        whole = wave.read(0, wave.samples)[0]
        take = wave.read(part.start - place.start, part.end - place.start)[0]
    level, wanted = _rms(whole), _rms(original) * np.sqrt(len(original))
    gain = np.clip(wanted / level, _SOFTER, _LOUDER) if min(level, wanted) > _LOUD_ENOUGH else 1.0
    at = part.start - heard.start
    # In the middle: the same in left and right.
    fronts = sound[:2]
    fronts[:, at : at + part.length] += take * np.float32(gain / np.sqrt(len(fronts)))


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
