"""Everything that lists stages derives from the one table."""

from __future__ import annotations

import subprocess
import sys

from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.engines.registry import PROFILES

PLANT = """
import sys
from types import ModuleType
from dubarr_pipeline.defs import stages

source = open(stages.__file__).read()
marker = "STAGES: tuple[Stage, ...] = ("
assert source.count(marker) == 1
row = '\\n    Stage("planted", ("vocals",), frozenset({"text"}), GPU, "7", {"is_there": "It is."}),'
exec(compile(source.replace(marker, marker + row), stages.__file__, "exec"), vars(stages))

code = ModuleType("dubarr_pipeline.defs.assets.planted")
def make(context):
    "Plant a stage."
code.make = make
code.facts = lambda context: {}
sys.modules[code.__name__] = code
"""
SHOW = """
from pathlib import Path
import dagster as dg
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.runtime import plan, runs, status
from dubarr_pipeline.defs.runtime.run_queue import wants_gpu
from dubarr_pipeline.library.videos import Video

key = dg.AssetKey(["dub", "planted"])
asset = defs.resolve_assets_def(key)
spec = asset.specs_by_key[key]
assert spec.code_version == "7"
assert spec.description == "Plant a stage."
assert spec.kinds == {"text"}
assert {dep.asset_key.path[-1] for dep in spec.deps} == {"vocals"}
assert asset.op.pool == "gpu"
assert {check.name for check in asset.check_specs} == {"is_there", "memory_returned"}

assert key in defs.resolve_job_def("dub").asset_layer.executable_asset_keys

def run_of(stage):
    return dg.DagsterRun(job_name="dub", asset_selection={dg.AssetKey(["dub", stage])})
assert wants_gpu(run_of("planted"))
assert not wants_gpu(run_of("mux"))

plan.check_source = lambda video: None
class Film:
    profile, overrides, key = None, {}, "film"
    def work(self, folder): return None
class Settings:
    work_dir = Path("nowhere")
    def for_video(self, *_): return self
(shown,) = plan.plan_all(dg.DagsterInstance.ephemeral(), [Film()], Settings())
assert "planted" in [each.stage for each in shown.steps], shown

assert "planted" in status.STAGE_NAMES
assert "planted" in runs.STAGE_NAMES
print("everywhere")
"""


def test_a_planted_stage_shows_up_everywhere():
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLANT + SHOW],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "everywhere\n", answer.stderr


def test_the_table_imports_no_stage():
    """The task table and the queue read it; SciPy and the engines would cost them a second."""
    listed = "import sys, dubarr_pipeline.defs.runtime.status; print(*sys.modules, sep='\\n')"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", listed], capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert "dubarr_pipeline.defs.stages" in loaded
    assert not {name for name in loaded if name.startswith("dubarr_pipeline.defs.assets.")}


def test_the_facts_of_all_stages_need_nothing_that_makes_their_results():
    """Whoever asks whether a film is finished loads every stage, and runs none."""
    listed = (
        "import sys; from dubarr_pipeline.defs.stages import STAGES; "
        "assert all(stage.module for stage in STAGES); print(*sys.modules, sep='\\n')"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", listed], capture_output=True, text=True, check=True
    )
    loaded = set(answer.stdout.split())
    assert {f"dubarr_pipeline.defs.assets.{stage.name}" for stage in STAGES} <= loaded
    makers = {"PIL", "jinja2", "scipy.signal", "onnxruntime", "dubarr_pipeline.segments.run"}
    assert loaded.isdisjoint(makers)


def test_badges_are_the_engines_that_are_really_used():
    badges = {stage.name: stage.badges(PROFILES["studio"]) for stage in STAGES}
    assert badges["segments"] == {"openai", "xtts"}
    assert badges["vocals"] == {"ffmpeg", "onnx", "demucs"}
    assert badges["mux"] == {"ffmpeg", "mkvtoolnix"}
    odd = {**PROFILES["lite"], "synthesis": "somebody's voice"}
    (segments,) = [stage for stage in STAGES if stage.name == "segments"]
    assert segments.badges(odd) == {"apertium"}
