"""Seconds that this machine needed for its finished films, from the records of their stages."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import dagster as dg

from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.defs.runtime.records import stage_results
from dubarr_pipeline.defs.stages import STAGES, Stage
from dubarr_pipeline.defs.tables.results import Materialization, StageResults
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.estimates.costs import FilmFacts, PastStage
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.media.audio.channels import LAYOUT_MASKS

_MOST_FILMS = 20
"""The newest ones tell how fast the machine is now."""
_REUSED_SHARE = 0.1
"""Share of a film's lines that came from its journal from which its time says little."""


def past_stages(
    instance: dg.DagsterInstance, work_dir: Path, names: LibraryNames | None = None
) -> list[PastStage]:
    """Return what the newest finished films of a store needed, stage by stage."""
    names = names or names_of(work_dir)
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(
        names.key("report"), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    keys = sorted(newest, key=lambda key: newest[key], reverse=True)[:_MOST_FILMS]
    made = stage_results(instance, keys, names)
    return [past for key in keys for past in _of_film(key, made, work_dir)]


def _of_film(key: str, made: StageResults, work_dir: Path) -> Iterator[PastStage]:
    with suppress(ArtifactError):
        size = load_video(key, work_dir).identity.size
        facts = facts_of({name: found[key] for name, found in made.items() if key in found}, size)
        if not facts:
            return
        for stage in STAGES:
            last = made[stage.name].get(key)
            seconds = last.number("seconds") if last else None
            if (
                last
                and seconds is not None
                and not (stage.name == "segments" and _is_partial(last))
            ):
                yield PastStage(stage.name, engines_of(last, stage), facts, seconds)


def engines_of(last: Materialization, stage: Stage) -> str:
    """Return the engines of a stage as its record names them; empty for a stage without any."""
    found = last.value("engines") if stage.engines else None
    return "" if found is None else str(found)


def facts_of(made: Mapping[str, Materialization], source_bytes: int) -> FilmFacts | None:
    """Return a film's facts from what its stages recorded; None where they say too little."""
    vocals, segments = made.get("vocals"), made.get("segments")
    duration_s = vocals.number("duration_s") if vocals else None
    lines = segments.number("lines") if segments else None
    if not (vocals and segments and duration_s and lines is not None):
        return None
    languages = str(segments.value("languages")).count(",") + 1
    layout = str(vocals.value("layout") or "stereo")
    return FilmFacts(
        duration_s / 60, channels_of(layout), lines / languages, languages, source_bytes
    )


def channels_of(layout: str) -> int:
    """Return the number of channels of a layout's name, or of ``8 channels``; 2 if neither."""
    if layout in LAYOUT_MASKS:
        return LAYOUT_MASKS[layout].bit_count()
    number = layout.split()[0] if layout.split() else ""
    return int(number) if number.isdigit() else 2


def _is_partial(segments: Materialization) -> bool:
    lines, reused = segments.number("lines") or 0.0, segments.number("from_journal") or 0.0
    return reused > _REUSED_SHARE * lines
