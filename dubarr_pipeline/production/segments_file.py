"""``segments.json``: every line of every language, as the later stages and people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.artifacts import span_seconds
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.production.results import ProducedLine, Production, ProductionStats, Take
from dubarr_pipeline.timeline.spans import Span, to_samples, to_seconds
from dubarr_pipeline.workdir import WorkDir, read_json, write_json

_TAKES = TypeAdapter(tuple[Take, ...])
_STATS = TypeAdapter(ProductionStats)


def write_segments(work: WorkDir, production: Production, **details: Any) -> None:
    """Write ``segments.json``; `details` (engines, options) go beside the lines."""
    languages = {
        language: [_document(line, production.rate) for line in lines]
        for language, lines in production.languages.items()
    }
    document = {"rate": production.rate, "stats": asdict(production.stats), "languages": languages}
    write_json(work.segments_report, {**document, **details})


def read_segments(work: WorkDir) -> Production:
    """Read ``segments.json``.

    Raises:
        ArtifactError: if it is missing, damaged, or of another schema.
    """
    document = read_json(work.segments_report)
    try:
        rate = int(document["rate"])
        languages = {
            language: tuple(_line(found, language, rate, work) for found in lines)
            for language, lines in document["languages"].items()
        }
        return Production(rate, languages, _STATS.validate_python(document["stats"]))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise ArtifactError(
            f"{work.segments_report} is damaged ({error!r}): delete it, and its stage makes it anew"
        ) from error


def _document(line: ProducedLine, rate: int) -> dict[str, Any]:
    placement = None
    if line.path is not None:
        placement = {
            "start": to_seconds(line.start, rate),
            "length": to_seconds(line.length, rate),
            "tempo": f"{line.tempo.numerator}/{line.tempo.denominator}",
            "file": line.path.name,
        }
    return {
        "index": line.index,
        "speaker": line.speaker,
        "source": span_seconds(line.source, rate),
        "window": span_seconds(line.window, rate),
        "text": line.text,
        "budget_s": line.budget_s,
        "predicted_s": line.predicted_s,
        "takes": [asdict(take) for take in line.takes],
        "chosen": line.chosen,
        "placement": placement,
        "outcome": line.outcome,
        "message": line.message,
        "timings": dict(line.timings),
    }


def _line(found: Mapping[str, Any], language: str, rate: int, work: WorkDir) -> ProducedLine:
    placement = found["placement"] or {"start": 0, "length": 0, "tempo": "1", "file": None}
    name = placement["file"]
    return ProducedLine(
        language=language,
        index=found["index"],
        speaker=found["speaker"],
        source=_span(found["source"], rate),
        window=_span(found["window"], rate),
        outcome=found["outcome"],
        text=found["text"],
        budget_s=found["budget_s"],
        predicted_s=found["predicted_s"],
        takes=_TAKES.validate_python(found["takes"]),
        chosen=found["chosen"],
        path=work.segments / Path(name).name if name else None,
        start=to_samples(placement["start"], rate),
        length=to_samples(placement["length"], rate),
        tempo=Fraction(placement["tempo"]),
        message=found["message"],
        timings=found["timings"],
    )


def _span(found: Mapping[str, float], rate: int) -> Span:
    return Span(to_samples(found["start"], rate), to_samples(found["end"], rate))
