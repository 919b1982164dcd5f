"""The gate before publishing: a track beyond a bound holds its film until a person approves it.

The stage `report` measures (``gate.json``), the library's settings bound (`GateOptions`), people
decide (``decisions.json``). What follows from the three is found anew each time, so that a changed
bound counts at once, and no film is dubbed again for it (docs/decisions/0030-the-gate.md).
"""

from __future__ import annotations

import fcntl
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, whole_file, write_json
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.workdir.artifacts import checked
from dubarr_pipeline.workdir.layout import WorkDir

GateState = Literal["passed", "held", "approved", "unknown"]
"""`unknown`: finished by a version without a gate; such a film is published."""
_NAMED_LINES = 8
_LONGEST_NOTE = 2000
_SAME = 1.01
"""A film that is made again measures the same but for its last digits."""


@dataclass(frozen=True, slots=True)
class GateFigure:
    """A figure of a finished track that a bound may be set to.

    Attributes:
        name: name of the bound in `GateOptions`.
        value: in the bound's unit; lower is better.
        words: the figure in words: "3 of 40 lines failed".
        lines: index of each line at fault -> a mark of its texts, which outlives a rerun.
        count: lines at fault, where they are not named.
    """

    name: str
    value: float
    words: str
    lines: Mapping[int, str] = field(default_factory=dict[int, str])
    count: int = 0


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A person's decision on a film.

    Attributes:
        at: ISO 8601, UTC.
        accepted: the figures beyond their bounds that an approval was given in sight of, by
            language.
    """

    action: Literal["approve", "hold"]
    by: str
    at: str
    note: str = ""
    accepted: Mapping[str, tuple[GateFigure, ...]] = field(
        default_factory=dict[str, tuple[GateFigure, ...]]
    )

    def words(self) -> str:
        """Return who decided what, when and why."""
        verb = "approved" if self.action == "approve" else "held"
        return f"{verb} by {self.by}, {self.at[:10]}{': ' if self.note else ''}{self.note}"


@dataclass(frozen=True, slots=True)
class Gate:
    """State of a film before its gate.

    Attributes:
        reasons: in words, all languages together; of a film that is held by a person their note.
        languages: language -> what is beyond a bound in its track; empty for a track that passes.
        decision: the decision that counts.
    """

    state: GateState
    reasons: tuple[str, ...] = ()
    languages: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    decision: GateDecision | None = None

    @property
    def by_person(self) -> bool:
        """True if a person holds the film, whatever its figures are."""
        return self.state == "held" and bool(self.decision and self.decision.action == "hold")


Figures = Mapping[str, tuple[GateFigure, ...]]
"""The figures of a film's tracks, by language."""
_FIGURES = TypeAdapter(dict[str, tuple[GateFigure, ...]])
_DECISIONS = TypeAdapter(tuple[GateDecision, ...])


def write_figures(work: WorkDir, figures: Figures) -> None:
    """Write ``gate.json``."""
    languages = {name: [asdict(each) for each in found] for name, found in figures.items()}
    write_json(work.gate, {"languages": languages})


def read_figures(work: WorkDir) -> Figures | None:
    """Read ``gate.json``; None if there is none. Raises `ArtifactError` if it is damaged."""
    if not work.gate.exists():
        return None
    languages = read_json(work.gate).get("languages", {})
    return checked(_FIGURES.validate_python, languages, work.gate)


def options_for(video: Video, settings: Settings) -> GateOptions:
    """Return the bounds of a film's library; those of ``[gate]`` where it has none."""
    library = settings.libraries.get(video.library or "")
    return library.gate if library else settings.gate


def gate_of(work: WorkDir, options: GateOptions) -> Gate:
    """Return the state of a film. Raises `ArtifactError` if a file of the gate is damaged."""
    return judge(read_figures(work), last_decision(work), options)


def judge(figures: Figures | None, decision: GateDecision | None, options: GateOptions) -> Gate:
    """Return the state of a film with these figures; None where none were measured."""
    beyond = _beyond(figures or {}, options)
    languages = {
        language: tuple(_reason(each, options) for each in found)
        for language, found in beyond.items()
    }
    reasons = tuple(f"{lang}: {words}" for lang, found in languages.items() for words in found)
    if decision and decision.action == "hold":
        return Gate("held", (decision.words(), *reasons), languages, decision)
    if decision and _covers(decision, beyond):
        return Gate("approved", reasons, languages, decision)
    if reasons and decision:
        reasons = (*reasons, f"{decision.words()}; since then more is amiss")
    state = "held" if reasons else "unknown" if figures is None else "passed"
    return Gate(state, reasons, languages, decision)


def gate_document(gate: Gate, figures: Figures | None) -> dict[str, Any]:
    """Return the section ``gate`` of ``report.json``."""
    found = {
        language: {
            "state": gate.state if gate.by_person or gate.languages.get(language) else "passed",
            "reasons": list(gate.languages.get(language, ())),
            "figures": {each.name: round(each.value, 4) for each in rows},
        }
        for language, rows in (figures or {}).items()
    }
    decision = asdict(gate.decision) if gate.decision else {}
    decision.pop("accepted", None)
    about = {"state": gate.state, "reasons": list(gate.reasons), "languages": found}
    return {**about, "decision": decision or None}


def last_decision(work: WorkDir) -> GateDecision | None:
    """Return the decision that counts. Raises `ArtifactError` if the file is damaged."""
    decisions = _decisions(work)
    return decisions[-1] if decisions else None


def decide(
    work: WorkDir, options: GateOptions, action: Literal["approve", "hold"], by: str, note: str
) -> GateDecision:
    """Store a decision; an approval names what is beyond the bounds now.

    It is written whole, and waits for no run: one that works on the film finds it at its end.

    Raises:
        ArtifactError: if a file of the gate is damaged.
        NotWritable, DiskFull: if it cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    seen = _beyond(read_figures(work) or {}, options) if action == "approve" else {}
    seen = {language: found for language, found in seen.items() if found}
    made = GateDecision(
        action, by.strip()[:200] or "somebody", now, note.strip()[:_LONGEST_NOTE], seen
    )
    with _in_turn(work):
        every = [asdict(each) for each in (*_decisions(work), made)]
        write_json(work.decisions, {"decisions": every})
    return made


def inherit_decisions(old: WorkDir, new: WorkDir) -> None:
    """Start another release of a film with a film's decisions, unless it has some.

    Its approvals cover the same lines alone: other faults of a release are its own.

    Raises:
        NotWritable, DiskFull: if they cannot be written.
    """
    if new.decisions.exists() or not old.decisions.is_file():
        return
    every: list[dict[str, Any]] = []
    try:
        decisions = _decisions(old)
    except ArtifactError:
        # What is damaged publishes nothing, and is named, here as there.
        with whole_file(new.decisions) as temporary:
            shutil.copyfile(old.decisions, temporary)
        return
    for each in decisions:
        of_lines = {
            language: tuple(figure for figure in seen if figure.lines)
            for language, seen in each.accepted.items()
        }
        every.append(asdict(replace(each, accepted=of_lines)))
    write_json(new.decisions, {"decisions": every})


@contextmanager
def _in_turn(work: WorkDir) -> Iterator[None]:
    """Keep two people from writing their decisions over each other."""
    with (work.root / ".decisions.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _decisions(work: WorkDir) -> tuple[GateDecision, ...]:
    if not work.decisions.exists():
        return ()
    found = read_json(work.decisions).get("decisions", ())
    return checked(_DECISIONS.validate_python, found, work.decisions)


def _beyond(figures: Figures, options: GateOptions) -> dict[str, tuple[GateFigure, ...]]:
    """Return the figures beyond their bounds, by language."""
    return {
        language: tuple(each for each in found if _is_beyond(each, options))
        for language, found in figures.items()
    }


def _is_beyond(figure: GateFigure, options: GateOptions) -> bool:
    # A figure of a later version has no bound here.
    bound = float(getattr(options, figure.name, math.inf))
    unbound = figure.name == "undubbed_s" and not bound
    # One of two or three lines that is spoken fast is no fast film, unless nobody wants any.
    alone = figure.name == "tempo_share" and figure.count == 1 and figure.value < 1 and bound > 0
    return not unbound and not alone and figure.value > bound


def _reason(figure: GateFigure, options: GateOptions) -> str:
    bound = float(getattr(options, figure.name))
    limit = f"{100 * bound:g} %" if figure.name.endswith(("_share", "_error")) else f"{bound:g}"
    where = ""
    if figure.lines:
        more = ", …" if len(figure.lines) > _NAMED_LINES else ""
        which = ", ".join(map(str, sorted(figure.lines)[:_NAMED_LINES]))
        where = f": {'line' if len(figure.lines) == 1 else 'lines'} {which}{more}"
    return f"{figure.words}{where} ({figure.name} allows {limit})"


def _covers(decision: GateDecision, beyond: Mapping[str, Sequence[GateFigure]]) -> bool:
    """Return whether an approval was given in sight of everything that is beyond a bound now.

    Fewer or smaller faults of those that were seen are covered; another line or figure is not.
    """
    if decision.action != "approve":
        return False
    for language, found in beyond.items():
        seen = {each.name: each for each in decision.accepted.get(language, ())}
        for figure in found:
            before = seen.get(figure.name)
            if before is None or figure.value > _SAME * before.value:
                return False
            if not {*figure.lines.values()} <= {*before.lines.values()}:
                return False
    return True


@dataclass(frozen=True, slots=True)
class HeldFilm:
    """A film that waits for a person.

    Attributes:
        since_s: since when these reasons hold it, seconds since 1970.
        told: people have been told of it.
    """

    key: str
    reasons: tuple[str, ...]
    since_s: float
    told: bool = False


def note_held(key: str, gate: Gate | None, settings: Settings, now_s: float) -> None:
    """Remember that a film is held, or (None) that it is not; the same reasons are told once."""
    record = settings.work_dir / ".held" / f"{key}.json"
    if gate is None:
        record.unlink(missing_ok=True)
        return
    before = next((each for each in held_films(settings) if each.key == key), None)
    if before is None or before.reasons != gate.reasons:
        remember(HeldFilm(key, gate.reasons, now_s, told=gate.by_person), settings)


def remember(film: HeldFilm, settings: Settings) -> None:
    """Write the record of a held film."""
    write_json(settings.work_dir / ".held" / f"{film.key}.json", asdict(film))


_HELD = TypeAdapter(HeldFilm)


def held_films(settings: Settings) -> Iterator[HeldFilm]:
    """Yield the films that are held."""
    folder = settings.work_dir / ".held"
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with suppress(ArtifactError):
            document: dict[str, Any] = read_json(path)
            document.pop("schema")
            yield checked(_HELD.validate_python, document, path)
