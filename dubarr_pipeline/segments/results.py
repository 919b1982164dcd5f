"""Results of the stage: every line as a chosen take or a named failure; and ``segments.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import (
    ArtifactError,
    BadReply,
    EngineError,
    LineError,
    OutOfMemory,
    ServiceError,
    ServiceTimeout,
)
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.spans import Span, to_samples, to_seconds
from dubarr_pipeline.workdir.artifacts import span_seconds
from dubarr_pipeline.workdir.layout import WorkDir

SPOKEN = "spoken"
PLACED = "placed"
KEPT_ORIGINAL = "kept_original"
BY_PERSON = "a person's choice"
"""Reason for which a line of speech keeps the original voice."""
FAILED = "failed:"
"""Prefix of a failed line's outcome; the failure's name follows."""


@dataclass(frozen=True, slots=True)
class Take:
    """One rendering of a line.

    Attributes:
        spoken: the wording as prepared for speech.
        duration_s: measured seconds.
        predicted_s: seconds by the length model, at the voice's natural rate.
        asked_s: the duration that the engine was asked for, or None.
        verdict: keep, stretch, rewrite or give_up.
        score: fit, naturalness, closeness (`verdicts.TakeScore`); the highest of a line is placed.
        faults: names of the faults of its sound.
        file: name of its sound in ``segments/takes``.
        sound: digest of that file.
        heard: the words that a recogniser wrote down; None where none verified the take, empty
            where it heard none.
    """

    attempt: int
    text: str
    spoken: str
    duration_s: float
    predicted_s: float
    asked_s: float | None
    verdict: str
    score: tuple[float, float, float]
    faults: tuple[str, ...]
    file: str
    sound: str
    heard: str | None = None


@dataclass(frozen=True, slots=True)
class LineResult:
    """One line in one language: its takes, and its final sound or the name of its failure.

    Attributes:
        source: span of the original line, in samples of the clock.
        window: span that the dubbed line may fill, in samples of the clock.
        outcome: ``spoken`` (a take is chosen, but not placed yet), ``placed``, ``kept_original`` or
            ``failed:<name>``.
        text: the wording of the chosen take, or of the last one where none is chosen.
        budget_s: seconds that the spoken line should take.
        predicted_s: seconds by the length model for `text`.
        chosen: position of the chosen take in `takes`, or None.
        path: final sound at its tempo, at the clock's rate; None unless placed.
        start, length: place of that sound, in samples of the clock.
        tempo: playback ratio of the chosen take; exactly 1 is untouched.
        timings: seconds spent, by kind of work.
        flags: doubts about a placed line, by name: ``misspoken`` (only the recogniser condemns its
            take), ``missing_term`` (of the glossary).
        voice: name of the stock voice that speaks it; None for a voice made after the speaker's.
        id: the line's lasting id; empty in a film without edits.
        edits: what a person has set, by field.
        refused: edits that could not be had, each by field and reason.
        natural: the text that was first spoken, and its seconds at the voice's natural rate.
        spoken_now: takes that were rendered in this run, not read from the journal.
        reused: True if an earlier run finished the line.
        provisional: True if a service failed while the line could have been improved.
    """

    language: str
    index: int
    speaker: str
    source: Span
    window: Span
    outcome: str
    text: str = ""
    budget_s: float = 0.0
    predicted_s: float = 0.0
    takes: tuple[Take, ...] = ()
    chosen: int | None = None
    path: Path | None = None
    start: int = 0
    length: int = 0
    tempo: Fraction = Fraction(1)
    message: str = ""
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
    flags: tuple[str, ...] = ()
    voice: str | None = None
    id: str = ""
    edits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refused: tuple[str, ...] = ()
    # Facts of the run: they are not in segments.json.
    natural: tuple[str, float] | None = field(default=None, compare=False)
    spoken_now: int = field(default=0, compare=False)
    reused: bool = field(default=False, compare=False)
    provisional: bool = field(default=False, compare=False)

    @property
    def gain_db(self) -> float:
        """Gain that a person asked for, on top of the mixer's own."""
        return float(self.edits.get("gain_db", 0.0))

    @property
    def placed(self) -> bool:
        """True if it is heard in the dub."""
        return self.outcome == PLACED

    @property
    def failure(self) -> str | None:
        """Name of the failure, or None."""
        return self.outcome.removeprefix(FAILED) if self.outcome.startswith(FAILED) else None

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return None if self.chosen is None else self.takes[self.chosen]

    def with_takes(self, takes: Sequence[Take], chosen: int | None) -> LineResult:
        """Return the line with its takes; spoken if one of them is chosen."""
        if not takes:
            return self
        take = takes[-1 if chosen is None else chosen]
        line = replace(self, takes=tuple(takes), text=take.text, predicted_s=take.predicted_s)
        return line if chosen is None else replace(line, chosen=chosen, outcome=SPOKEN)


@dataclass(frozen=True, slots=True)
class SegmentsStats:
    """Figures of one run.

    Attributes:
        takes_per_line: mean over the lines that were spoken.
        tokens, tokens_per_s: of the language model, where there is one.
        prediction_error: mean absolute relative error of predicted seconds over natural takes.
        edited: lines that a person has edited.
        refused: edits that could not be had.
    """

    lines: int
    placed: int
    kept_original: int
    failures: Mapping[str, int]
    spoken: int
    reused: int
    takes_per_line: float
    tokens: int
    tokens_per_s: float
    prediction_error: float | None
    wall_s: float
    edited: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class SegmentsResult:
    """All lines by language, sorted by index, and the figures of the run.

    Attributes:
        rate: samples per second of the clock.
        lengths: the length model after this film, for the next one; empty where read from a file.
        revisions: language -> revision of a person's edits that the run took.
        refused: edits of speakers that could not be had, in words.
    """

    rate: int
    languages: Mapping[str, tuple[LineResult, ...]]
    stats: SegmentsStats
    lengths: Mapping[str, Any] = field(default_factory=dict[str, Any])
    revisions: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[str, ...]:
        """Edits that could not be had, in words, each with its line."""
        lines = (line for each in self.languages.values() for line in each)
        named = [f"line {x.index} ({x.language}): {why}" for x in lines for why in x.refused]
        return (*self.refused, *named)

    def failed_languages(self, least_placed: float) -> dict[str, str]:
        """Return the languages with too few placed lines, or too little of their time, and why."""
        found: dict[str, str] = {}
        for language, made in self.languages.items():
            lines = [line for line in made if line.outcome != KEPT_ORIGINAL]
            placed = [line for line in lines if line.placed]
            time, whole = (sum(x.source.length for x in part) for part in (placed, lines))
            if len(placed) < least_placed * len(lines) or time < least_placed * whole:
                names = Counter(line.failure for line in lines if line.failure).most_common()
                which = ", ".join(f"{count} {name}" for name, count in names)
                found[language] = f"{len(placed)} of {len(lines)} lines placed ({which})"
        return found


def no_dub(failed: Mapping[str, str], least_placed: float) -> EngineError:
    """Return the error for languages that are no dub, with what to do about it."""
    named = "; ".join(f"{language}: {words}" for language, words in failed.items())
    return EngineError(
        f"too few lines could be dubbed: {named}; segments.least_placed asks for "
        f"{100 * least_placed:g} % of them and of their time: mend what the failures name (the "
        "translator, the voice, the script), or set it lower"
    )


LINE_FAILURES = (ServiceError, EngineError)
"""Errors that end one line while the others go on. All others end the run."""


UNSERVED = ("llm_timeout", "llm_unavailable", "tts_timeout", "tts_unavailable")
"""Failures for want of a service: the next run asks for these lines again."""


def failure_name(error: Exception, service: str) -> str:
    """Return the failure's name for a line that an error of a service (llm, tts) ended."""
    if isinstance(error, LineError):
        return error.failure
    names = {
        ServiceTimeout: "timeout",
        BadReply: "bad_reply",
        ServiceError: "unavailable",
        OutOfMemory: "out_of_memory",
    }
    known = (name for kind, name in names.items() if isinstance(error, kind))
    return f"{service}_{next(known, 'failed')}"


_PLAIN = ("index", "speaker", "text", "budget_s", "predicted_s", "chosen", "outcome", "message")
"""Facts of a line that stand in ``segments.json`` as they are."""
_TAKES = TypeAdapter(tuple[Take, ...])
_STATS = TypeAdapter(SegmentsStats)


def write_segments(work: WorkDir, result: SegmentsResult, **details: Any) -> None:
    """Write ``segments.json``; `details` (engines, options) are added to the lines."""
    languages = {
        language: [_document(line, result.rate) for line in lines]
        for language, lines in result.languages.items()
    }
    document = {"rate": result.rate, "stats": asdict(result.stats), "languages": languages}
    if result.revisions:
        document["output_revision"] = dict(result.revisions)
        document["refused"] = list(result.refused)
    write_json(work.segments_report, {**document, **details})


def read_segments(work: WorkDir) -> SegmentsResult:
    """Read ``segments.json``. Raises `ArtifactError` if it is missing or damaged."""
    document = read_json(work.segments_report)
    try:
        rate = int(document["rate"])
        languages = {
            language: tuple(_line(line, language, rate, work) for line in lines)
            for language, lines in document["languages"].items()
        }
        return SegmentsResult(
            rate,
            languages,
            _STATS.validate_python(document["stats"]),
            revisions=dict(document.get("output_revision", {})),
            refused=tuple(document.get("refused", ())),
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise ArtifactError(
            f"{work.segments_report} is damaged ({error!r}): delete it, and its stage makes it"
        ) from error


def _document(line: LineResult, rate: int) -> dict[str, Any]:
    placement = None
    if line.path is not None:
        placement = {
            "start": to_seconds(line.start, rate),
            "length": to_seconds(line.length, rate),
            "tempo": f"{line.tempo.numerator}/{line.tempo.denominator}",
            "file": line.path.name,
        }
    return {
        **{name: getattr(line, name) for name in _PLAIN},
        "source": span_seconds(line.source, rate),
        "window": span_seconds(line.window, rate),
        "takes": [asdict(take) for take in line.takes],
        "placement": placement,
        "timings": dict(line.timings),
        "flags": list(line.flags),
        "voice": line.voice,
        **{name: value for name, value in _edits(line).items() if value},
    }


def _edits(line: LineResult) -> dict[str, Any]:
    return {"id": line.id, "edits": dict(line.edits), "refused": list(line.refused)}


def _line(document: Mapping[str, Any], language: str, rate: int, work: WorkDir) -> LineResult:
    placement = document["placement"] or {"start": 0, "length": 0, "tempo": "1", "file": None}
    name = placement["file"]
    source, window = (
        Span(to_samples(span["start"], rate), to_samples(span["end"], rate))
        for span in (document["source"], document["window"])
    )
    return LineResult(
        language=language,
        **{name: document[name] for name in _PLAIN},
        source=source,
        window=window,
        takes=_TAKES.validate_python(document["takes"]),
        path=work.segments / Path(name).name if name else None,
        start=to_samples(placement["start"], rate),
        length=to_samples(placement["length"], rate),
        tempo=Fraction(placement["tempo"]),
        timings=document["timings"],
        flags=tuple(document.get("flags", ())),
        voice=document.get("voice"),
        id=document.get("id", ""),
        edits=document.get("edits", {}),
        refused=tuple(document.get("refused", ())),
    )
