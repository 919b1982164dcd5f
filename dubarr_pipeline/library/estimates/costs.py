"""Estimates of a run from cheap facts: minutes of work, bytes, and lines that may not fit.

A stage costs a sum of terms (a film, its minutes, its lines, ...) whose proportions a table holds;
what this machine needed for films before scales each stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.text import conventions_of, read_cue
from dubarr_pipeline.text.languages import same_language
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline.timing.length_model import LengthSnapshot

_TABLE = read_table("dubarr_pipeline.library.estimates", "costs")
_STAGES: Mapping[str, Mapping[str, float]] = _TABLE["stages"]
_ENGINES: Mapping[str, Mapping[str, float]] = _TABLE["engines"]
_BYTES: Mapping[str, float] = _TABLE["bytes"]
USUAL_LINES = 12.0
"""Lines a minute of a film of which nothing is known: features have 8 to 18."""
_FLOAT_BYTES, _RATE = 4, 48_000
_BORROWED_S = 0.5
"""Silence after a line that its dub may use."""
_FASTEST = 1.2
"""Highest tempo that a take is played at without being flagged (`defs/stages.toml`)."""


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """Facts of a film that an estimate is made from.

    Attributes:
        lines: in one language.
        languages: number of target languages.
        assumed: facts that were not known, in words.
    """

    minutes: float
    channels: int
    lines: float
    languages: int
    source_bytes: int
    assumed: tuple[str, ...] = ()

    @property
    def terms(self) -> Mapping[str, float]:
        """The terms of the table for this film."""
        return {
            "film": 1.0,
            "minute": self.minutes,
            "channel_minute": self.minutes * self.channels,
            "line": self.lines,
            "channel_line": self.lines * self.channels,
            "spoken_line": self.lines * self.languages,
            "track_minute": self.minutes * self.channels * self.languages,
            "gigabyte": self.source_bytes / 1e9,
        }


@dataclass(frozen=True, slots=True)
class PastStage:
    """A stage of a finished film: its engines, its film's facts, and the seconds that it took."""

    stage: str
    engines: str
    facts: FilmFacts
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed of this machine against the table, by stage and engines.

    Attributes:
        films: number of finished films that it is known from.
        lines_per_minute: mean of those films.
    """

    factors: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    films: int = 0
    lines_per_minute: float = USUAL_LINES


@dataclass(frozen=True, slots=True)
class RiskyLines:
    """Lines of a script that a listener may notice.

    Attributes:
        lines: all that would be spoken, in one language.
        too_long: by target language, those predicted not to fit their time at the highest tempo.
        basis: what the prediction is made from, in words.
    """

    lines: int
    too_long: Mapping[str, int]
    basis: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated cost of a run.

    Attributes:
        seconds: by stage that would run.
        work_bytes: of its work folder at the end, its result included.
        result_bytes: of the finished film.
        basis: where the times come from, in words.
        assumed: facts that were not known, in words.
        risks: lines that may not fit; None where its script is not read.
        warnings: other risks, in words.
    """

    seconds: Mapping[str, float]
    work_bytes: int
    result_bytes: int
    basis: str
    assumed: tuple[str, ...] = ()
    risks: RiskyLines | None = None
    warnings: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def default_seconds(stage: str, engines: str, facts: FilmFacts) -> float:
    """Return what a stage costs by the table alone; `engines` are as its record names them."""
    parts = [_STAGES[stage], *(_ENGINES.get(name, {}) for name in engines.split(", "))]
    return sum(each * facts.terms[term] for part in parts for term, each in part.items())


def pace_of(past: Sequence[PastStage]) -> Pace:
    """Return the pace of a machine from what its finished films needed."""
    took: dict[tuple[str, str], float] = {}
    expected: dict[tuple[str, str], float] = {}
    for each in past:
        key = (each.stage, each.engines)
        took[key] = took.get(key, 0.0) + each.seconds
        expected[key] = expected.get(key, 0.0) + default_seconds(*key, each.facts)
    films = [each.facts for each in past if each.stage == "segments"]
    minutes = sum(each.minutes for each in films)
    lines = sum(each.lines for each in films) / minutes if minutes else USUAL_LINES
    return Pace({key: took[key] / expected[key] for key in took}, len(films), lines)


def estimate(facts: FilmFacts, stages: Mapping[str, str], pace: Pace) -> Estimate:
    """Return what some stages of a film cost; `stages` holds the engines of each by its name."""
    seconds = {
        stage: default_seconds(stage, engines, facts) * pace.factors.get((stage, engines), 1.0)
        for stage, engines in stages.items()
    }
    known = [stage for stage, engines in stages.items() if (stage, engines) in pace.factors]
    basis = f"this machine's history: {pace.films} film{'s' * (pace.films != 1)}"
    if not known:
        basis = (
            "no history on this machine with these engines: a default table, which may be far off"
        )
    elif unknown := [stage for stage in stages if stage not in known]:
        basis += f"; {', '.join(unknown)} by a default table, maybe far off"
    each_s = _BYTES["track_stereo_s" if facts.channels <= 2 else "track_surround_s"]
    tracks = 60 * facts.minutes * facts.languages * each_s
    stems = 60 * facts.minutes * 2 * _RATE * facts.channels * _FLOAT_BYTES
    takes = facts.lines * facts.languages * _BYTES["spoken_line"]
    result = facts.source_bytes + tracks
    whole = round(stems + takes + tracks + result)
    return Estimate(seconds, whole, round(result), basis, facts.assumed)


def risky_lines(
    cues: Sequence[Cue],
    rate: int,
    spoken: str,
    targets: Sequence[str],
    translations: Mapping[str, Sequence[Cue]],
) -> RiskyLines:
    """Count the lines that are predicted not to fit, from the words that there are already.

    Where no translation is there, the original's words stand for it: languages say the same in
    about the same time (Coupé et al. 2019, doi:10.1126/sciadv.aaw2594).
    """
    model = LengthSnapshot({}, {})
    too_long = dict.fromkeys(targets, 0)
    script = conventions_of(cue.text for cue in cues)
    lines = 0
    words_of = {
        target: {c.span.start: c.text for c in translations.get(target, ())} for target in targets
    }
    for cue, after in zip(cues, [*cues[1:], None], strict=True):
        parts = [p.text for p in read_cue(cue.text, script, cue.name).parts if p.kind == "speech"]
        if cue.sign or not parts:
            continue
        lines += len(parts)
        borrowed = _BORROWED_S
        if after:
            borrowed = min(borrowed, max(0.0, (after.span.start - cue.span.end) / rate))
        window_s = (cue.span.end - cue.span.start) / rate + borrowed
        for target in targets:
            text, language = words_of[target].get(cue.span.start), target
            if text is None:
                text, language = " ".join(parts), spoken
            too_long[target] += model.predict(text, language, "") > _FASTEST * window_s
    there = [t for t in targets if translations.get(t)]
    basis = "the original's words" if not there else f"the subtitles in {', '.join(there)}"
    if there and len(there) < len(targets):
        basis += ", else the original's words"
    return RiskyLines(lines, too_long, basis)


def dubbed_already(audio: Sequence[str | None], targets: Sequence[str]) -> tuple[str, ...]:
    """Return the target languages in which a film has sound already."""
    return tuple(t for t in targets if any(each and same_language(each, t) for each in audio))
