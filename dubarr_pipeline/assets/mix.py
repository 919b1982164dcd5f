"""Stage 7: speech and accompaniment in one track per language."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from dubarr_pipeline import checkpoints
from dubarr_pipeline.artifacts import SourceSound, read_sound
from dubarr_pipeline.assets import checks
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.identity import identify
from dubarr_pipeline.media.loudness import Loudness
from dubarr_pipeline.media.mix_options import MixSources, PlacedTake
from dubarr_pipeline.media.proven_mix import mix_and_prove
from dubarr_pipeline.production.results import ProducedLine
from dubarr_pipeline.production.segments_file import read_segments
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.workdir import read_json, write_json

_CODE_VERSION = "3"


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {"targets": bench.video.target_langs, "options": as_facts(bench.options("mix"))}


def _produce(bench: Bench) -> Outcome:
    work, targets = bench.work, bench.video.target_langs
    sound, made, options = read_sound(work.speech), read_segments(work), bench.options("mix")
    if missing := [language for language in targets if language not in made.languages]:
        raise ArtifactError(
            f"{work.segments_report} has no lines in {', '.join(missing)}: "
            "materialize segments first, or the whole video"
        )
    earlier = _earlier_tracks(bench)
    tracks: dict[str, Any] = {}
    for number, language in enumerate(targets):
        lines, path = made.languages[language], work.track(language, options.codec)
        wanted = _track_fingerprint(bench, lines)
        tracks[language] = kept = earlier.get(language, {})
        if kept.get("fingerprint") != wanted or not checkpoints.is_whole(path, kept["file"]):
            sources = _sources(bench, sound, lines)
            takes = [_placed(line) for line in lines if line.placed]
            finished = mix_and_prove(
                sources,
                takes,
                path,
                options,
                lambda done, of, at=number: bench.on_progress(
                    Progress(at + done / max(of, 1e-9), len(targets), targets[at])
                ),
            )
            tracks[language] = {
                "fingerprint": wanted,
                "file": asdict(identify(path)),
                "report": as_facts(finished.report),
                "proof": as_facts(finished.proof),
            }
    write_json(work.mix_report, {"tracks": tracks})
    files = [work.track(language, options.codec) for language in targets]
    loudness = {f"loudness_{lang}": t["report"]["loudness_lufs"] for lang, t in tracks.items()}
    return Outcome(
        files=[*files, work.mix_report],
        metadata={
            "languages": ",".join(targets),
            "source_lufs": sound.audio.loudness_lufs,
            **loudness,
            "tracks": checks.track_table(tracks),
        },
    )


def _earlier_tracks(bench: Bench) -> dict[str, Any]:
    """What the last mix left of each language; a track whose lines are unchanged is kept."""
    if bench.force:
        return {}
    try:
        return read_json(bench.work.mix_report)["tracks"]
    except ArtifactError:
        return {}


def _track_fingerprint(bench: Bench, lines: tuple[ProducedLine, ...]) -> str:
    placed = [
        [line.index, line.outcome, line.start, identify(line.path).digest if line.path else None]
        for line in lines
    ]
    stems = bench.inputs["vocals"].production
    options = as_facts(bench.options("mix"))
    facts = {"stems": stems, "options": options, "lines": placed}
    return checkpoints.fingerprint("track", _CODE_VERSION, facts)


def _sources(bench: Bench, sound: SourceSound, lines: tuple[ProducedLine, ...]) -> MixSources:
    """The stems; where no take is placed, the original voice is heard."""
    audio = sound.audio
    peak = audio.true_peak_dbtp if math.isfinite(audio.true_peak_dbtp) else -120.0
    return MixSources(
        bench.work.accompaniment,
        bench.work.vocals,
        sound.separated,
        tuple(line.source for line in lines if not line.placed),
        Loudness(audio.loudness_lufs, peak, audio.lra_lu),
    )


def _placed(line: ProducedLine) -> PlacedTake:
    if line.path is None:
        raise ArtifactError(f"line {line.index} ({line.language}) is placed but has no sound")
    return PlacedTake(line.start, line.path, line.speaker, line.source)


STAGE = Stage("mix", ("vocals", "segments"), _CODE_VERSION, _facts, _produce, checks.of_mix)


@stage_asset(STAGE, kinds={"ffmpeg", "numpy"}, check_specs=checks.MIX_SPECS)
def mix(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Mix each language: `final_{lang}.ac3`, at the source's loudness, the bed untouched."""
    return run_stage(STAGE, context, config, workshop)
