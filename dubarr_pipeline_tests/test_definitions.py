"""What Dagster is shown, as a literal: whoever changes it changes it here too, on purpose."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.stages import STAGE_NAMES

MEMORY = "memory_returned"

ASSETS = {
    # stage: nearest inputs, kinds, pool, checks
    "vocals": ([], {"ffmpeg", "onnx"}, "gpu", [MEMORY]),
    "diarization": (["vocals"], {"numpy"}, "gpu", [MEMORY]),
    "transcript": (
        ["diarization"],
        {"text"},
        "gpu",
        [
            MEMORY,
            "script_fits_the_film",
            "speech_is_written_down",
            "lines_are_spoken",
            "language_is_certain",
        ],
    ),
    "context": (["transcript"], {"text"}, "gpu", [MEMORY]),
    "refs": (["transcript"], {"numpy"}, None, []),
    "segments": (
        ["context", "refs", "cast"],
        {"apertium", "espeak"},
        "gpu",
        [
            MEMORY,
            "every_line_has_an_outcome",
            "no_line_failed",
            "no_speaker_overlaps_themself",
            "tempo_is_natural",
        ],
    ),
    "mix": (
        ["segments"],
        {"ffmpeg", "numpy"},
        None,
        [
            "every_line_is_audible",
            "no_line_is_cut",
            "loudness_on_target",
            "true_peak_in_bounds",
            "nothing_clips",
            "bed_untouched",
            "in_step",
            "nothing_muted",
            "one_voice_at_a_time",
        ],
    ),
    "mux": (
        ["mix"],
        {"ffmpeg", "mkvtoolnix"},
        None,
        ["original_streams_identical", "in_step_with_picture", "new_tracks_flagged"],
    ),
    "report": (["mux"], {"html"}, None, []),
    "published": (["report"], {"file"}, None, ["lies_in_its_place", "passes_the_gate"]),
}
CODE_VERSIONS = {
    **dict.fromkeys(ASSETS, "1"),
    "vocals": "2",
    "segments": "3",
    "mix": "4",
    "mux": "2",
}
JOBS = {"dub", "dub_file", "publish", "approve", "housekeeping"}
SCHEDULES = {"daily_housekeeping": "17 4 * * *"}
SENSORS = {"media_folder", "webhook_inbox", "publishing", "failures"}
ON = {"publishing", "failures"}
"""Those that are on from the start: they only do what the settings ask."""
RESOURCES = {"dubarr"}


def _asset(stage: str) -> tuple[dg.AssetsDefinition, dg.AssetSpec]:
    key = dg.AssetKey(["dub", stage])
    found = defs.resolve_assets_def(key)
    return found, found.specs_by_key[key]


def test_the_stages_stand_in_their_order():
    assets = list(defs.assets or [])
    assert all(isinstance(asset, dg.AssetsDefinition) for asset in assets)
    shown = [
        asset.key.to_user_string() for asset in assets if isinstance(asset, dg.AssetsDefinition)
    ]
    assert shown == [*(f"dub/{stage}" for stage in ASSETS), "dub/cast"]
    assert [*STAGE_NAMES, "published"] == list(ASSETS)


@pytest.mark.parametrize("stage", ASSETS)
def test_an_asset_is_what_it_was(stage: str):
    asset, spec = _asset(stage)
    inputs, kinds, pool, checks = ASSETS[stage]
    assert {dep.asset_key for dep in spec.deps} == {dg.AssetKey(["dub", name]) for name in inputs}
    assert spec.kinds == kinds
    assert spec.group_name == "dubbing"
    assert list(spec.owners) == ["team:dubarr"]
    assert spec.code_version == CODE_VERSIONS[stage]
    assert asset.op.pool == pool
    assert isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition)
    assert spec.partitions_def.name == "videos"
    assert sorted(check.name for check in asset.check_specs) == sorted(checks)
    # Without partitions one film's red check turns green when another film is made.
    assert {check.partitions_def for check in asset.check_specs} <= {spec.partitions_def}


@pytest.mark.parametrize("stage", ASSETS)
def test_everything_says_what_it_is(stage: str):
    asset, spec = _asset(stage)
    assert spec.description
    assert spec.description.rstrip().endswith(".") or "`" in spec.description
    assert all(check.description for check in asset.check_specs)


def test_jobs_sensors_and_resources_are_what_they_were():
    repository = defs.get_repository_def()
    shown = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert shown == JOBS
    assert {sensor.name for sensor in repository.sensor_defs} == SENSORS
    assert {s.name for s in repository.sensor_defs if s.default_status.value == "RUNNING"} == ON
    assert {each.name: each.cron_schedule for each in repository.schedule_defs} == SCHEDULES
    assert {each.default_status.value for each in repository.schedule_defs} == {"RUNNING"}
    assert set(defs.resources or {}) == RESOURCES
    assert defs.executor is dg.in_process_executor


def test_the_job_passes_all_stages():
    job = defs.resolve_job_def("dub")
    assert job.asset_layer.executable_asset_keys == {dg.AssetKey(["dub", name]) for name in ASSETS}
    assert job.partitions_def is not None
    assert job.description


def test_what_is_known_of_a_series_has_series_for_partitions():
    asset, spec = _asset("cast")
    assert isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition)
    assert spec.partitions_def.name == "series"
    assert (asset.op.pool, list(spec.deps), spec.kinds) == (None, [], {"json"})
    _, segments = _asset("segments")
    (edge,) = (dep for dep in segments.deps if dep.asset_key == spec.key)
    # Drawn alone: a series that remembers more makes no film stale.
    assert edge.partition_mapping == dg.SpecificPartitionsPartitionMapping([])


_LOADING = """
import gc
import dagster
from dubarr_pipeline.compute.loading import QuickLoading

gc.set_threshold(700, 10, 10)
gc.collect()
before = [each["collections"] for each in gc.get_stats()]
import dubarr_pipeline.definitions
during = [each["collections"] for each in gc.get_stats()]
print(sum(during) - sum(before), gc.isenabled(), gc.get_freeze_count() > 100_000)
gc.disable()
with QuickLoading():
    pass
print(gc.isenabled())
"""


def test_nobody_looks_for_garbage_while_the_definitions_are_loaded():
    """Of a process's start that is a quarter; what ran before it goes on as before."""
    told = subprocess.run(
        [sys.executable, "-c", _LOADING], capture_output=True, text=True, check=True
    )
    looks, *rest = told.stdout.split()
    assert int(looks) <= 2
    assert rest == ["True", "True", "False"]
