"""One line spoken to be heard at once: no run, and the next run need not speak it again.

A take goes into the journal under the stage's own key, so a run that is asked for the same words in
the same voice finds it there.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Self

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.edits.document import present_script
from dubarr_pipeline.edits.film import edits_digest
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.cast import read_cast
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.gpu_services import service_hosts
from dubarr_pipeline.segments.inputs import (
    FilmEngines,
    existing_translations,
    film_request,
    film_script,
    kept_context,
)
from dubarr_pipeline.segments.journal import Journal
from dubarr_pipeline.segments.line import make_line
from dubarr_pipeline.segments.measuring import measured
from dubarr_pipeline.segments.results import Take
from dubarr_pipeline.segments.run import at_clock, line_deps
from dubarr_pipeline.segments.tasks import LineTask, SegmentsRequest, line_tasks
from dubarr_pipeline.segments.wishes.corrections import pin
from dubarr_pipeline.timing.placement import TimedTake, place
from dubarr_pipeline.workdir.artifacts import read_transcript
from dubarr_pipeline.workdir.layout import WorkDir, exclusive


@dataclass(frozen=True, slots=True)
class SpokenTrial:
    """A take that was spoken to be heard.

    Attributes:
        path: its sound at its tempo: mono WAV at the clock's rate.
        start, length: where it would lie by itself, in samples of the clock at `rate` Hz.
        spoken_now: takes that were spoken for it; 0 if all of it was there.
        failure: name of the reason why it would not be placed; empty if it would.
        refused: edits that cannot be had, each by field and reason.
    """

    index: int
    take: Take
    path: Path
    start: int
    length: int
    rate: int
    tempo: Fraction
    spoken_now: int
    failure: str = ""
    refused: tuple[str, ...] = ()


class Trial:
    """Speaks single lines of a film that was dubbed; keeps the voice loaded until it is closed.

    For one thread. The translator is never loaded.
    """

    def __init__(
        self, settings: Settings, source: Path, work: WorkDir, targets: tuple[str, ...]
    ) -> None:
        """Prepare to speak; `settings` are the film's own, `targets` all its languages."""
        self._settings, self._source, self._work = settings, source, work
        self._targets = targets
        self._loaded = ExitStack()
        self._engines: FilmEngines | None = None
        self._requests: dict[str, tuple[str | None, SegmentsRequest, tuple[LineTask, ...]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unload the voice; the next line loads it again."""
        self._engines = None
        self._requests.clear()
        self._loaded.close()

    def speak(
        self,
        language: str,
        line: str | int,
        overrides: LineEdits | None = None,
        speaker: str | None = None,
    ) -> SpokenTrial:
        """Speak a line, by its id or index, as its edits and `overrides` on top have it.

        Raises:
            LineError: if it cannot be spoken; ``unknown_line``, ``untranslated`` among others.
            VideoBusy: if a run is at work on the film.
            ArtifactError: if the film has not been dubbed yet.
            ServiceError, EngineError: from the voice.
        """
        with exclusive(self._work):
            request, tasks = self._prepared(language)
            task = _line(request, language, line, overrides, speaker)
            with Journal(self._work.journal) as journal:
                cache = AnswerCache(self._work, journal, tasks)
                # Nobody verifies what a person hears; the listener counts in the keys alone.
                deps = replace(line_deps(request, tasks, cache), listener=None)
                _settle(tasks, deps)
                return self._spoken(task, deps)

    def _spoken(self, task: LineTask, deps: LineDeps) -> SpokenTrial:
        draft = deps.cache.draft(task)
        versions = (task.edit,) if task.edit is not None else draft.versions if draft else ()
        if not versions:
            raise LineError("untranslated", f"{task.name} has no words yet: write some, or render")
        made = make_line(task, deps, versions)
        if not made.takes:
            raise LineError(made.failure or "tts_failed", made.message or f"{task.name} is silent")
        take, rate = made.take or made.takes[-1], deps.rate
        natural = max(1, round(take.duration_s * rate))
        timed = TimedTake.untouched(task.window, natural, pin(task.edits, natural, rate))
        options = deps.options
        placed = place([timed], rate, options.placement, options.tempo).placed
        timed = placed[0] if placed else timed
        path = self._work.trials / f"{task.language}_{take.sound}_{timed.length}.wav"
        if not path.is_file():
            samples, own_rate = deps.cache.sound(take)
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                write_wave(temporary, at_clock(samples, own_rate, timed, rate), rate)
        return SpokenTrial(
            *(task.index, take, path, timed.start, timed.length, rate, timed.tempo),
            spoken_now=made.spoken_now,
            failure=made.failure or ("" if placed else "does_not_fit"),
            refused=task.refused,
        )

    def _prepared(self, language: str) -> tuple[SegmentsRequest, tuple[LineTask, ...]]:
        """Return the request of the stage and all its lines in one language, as they are now."""
        spoken = present_script(self._work).language
        facts = edits_digest(self._work, (*self._targets, spoken))
        known = self._requests.get(language)
        if known is None or known[0] != facts:
            request = self._request(language)
            known = (facts, request, line_tasks(request))
            self._requests[language] = known
        return known[1], known[2]

    def _request(self, language: str) -> SegmentsRequest:
        work, targets = self._work, (language,)
        source = inspect_source(self._source, self._settings, self._targets)
        context = kept_context(work, targets)
        heard = read_transcript(work.transcription)
        said = film_script(work, heard, context, targets)
        translations = existing_translations(source, targets, said, work)
        subtitled = tuple(source.translations(self._targets))
        engines = self._engines or self._load(subtitled, said.machine.language)
        refs = (work.line_ref(segment.index) for segment in said.machine.lines)
        lines = zip(said.machine.lines, refs, strict=True)
        own = self._settings.segments.reference_per_line and engines.synthesizer.clones
        request = film_request(
            self._settings,
            work,
            said,
            engines,
            read_cast(work),
            targets=targets,
            context=context,
            existing=translations.lines,
            line_refs={line.index: ref for line, ref in lines if own and ref.is_file()},
        )
        return replace(request, ids=said.film.ids)

    def _load(self, subtitled: tuple[str, ...], spoken: str) -> FilmEngines:
        settings, logs = self._settings, self._work.logs
        hosts = self._loaded.enter_context(service_hosts(settings, logs))
        pairs = tuple((spoken, target) for target in self._targets)
        translator = profile_engines.translator(settings, subtitled, logs, hosts, pairs)
        voice = profile_engines.synthesizer(settings, logs, hosts)
        voice.hurry()
        listener = profile_engines.take_verifier(settings)
        self._engines = FilmEngines(translator, self._loaded.enter_context(voice), listener)
        return self._engines


def _line(
    request: SegmentsRequest,
    language: str,
    line: str | int,
    overrides: LineEdits | None,
    speaker: str | None,
) -> LineTask:
    """Return the task of one line with what is to be tried."""
    indices = {name: index for index, name in request.ids.items()}
    index = line if isinstance(line, int) else indices.get(line, -1)
    known = request.edits.get(language, {})
    said = known.get(index, LineEdits())
    for field in fields(LineEdits) if overrides else ():
        if (value := getattr(overrides, field.name)) not in (None, False):
            said = replace(said, **{field.name: value})
    script = request.transcript
    if speaker is not None:
        moved = (replace(s, speaker=speaker) if s.index == index else s for s in script.segments)
        script = replace(script, segments=tuple(moved))
    edits = {**request.edits, language: {**known, index: said}}
    machine = request.machine or request.transcript
    tried = replace(request, transcript=script, machine=machine, edits=edits)
    if not (found := line_tasks(tried, index)):
        raise LineError("unknown_line", f"there is no line {line!r} to be spoken in {language}")
    return found[0]


def _settle(tasks: tuple[LineTask, ...], deps: LineDeps) -> None:
    """Teach the length model what the film's lines have taught it in the last run."""
    for voice, task in deps.unmeasured.items():
        deps.lengths.settle_voice(voice, measured(task, deps))
    for task in tasks:
        deps.lengths.settle(task, deps.cache.natural(task))
