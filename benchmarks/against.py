"""What this build costs against the build of any other revision, side by side in one run.

A film of 10 minutes with 160 lines is dubbed with the profile `lite` by both builds in turns, each
in its own work folder, then once more with nothing left to do. The other build is a worktree of its
own with its own environment: this one's packages where they meet what that build requires, its own
otherwise. Times are those of the processor, tools included, the least of all rounds.

    python benchmarks/against.py [REVISION] [--rounds N] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show
from packaging.requirements import Requirement

from dubarr_pipeline_tests.fixtures.bench import Film, Said, make_film, sidecar, srt

REPOSITORY = Path(__file__).resolve().parents[1]
THEN = "3c629f0"
"""The build whose bounds are given."""
MUST, TARGET = 0.6, 0.45
MUST_MEMORY, TARGET_MEMORY = 1.0, 0.75
MUST_AGAIN, TARGET_AGAIN = 0.5, 0.35
LINES, EVERY_S = 160, 3.72
_WHO = ("The doctor", "My brother", "The old king", "Your daughter", "A soldier", "The teacher")
_DOES = ("opened the window", "found the letter", "lost the key", "sold the horse", "saw the sea")
_WHEN = ("at night", "yesterday", "today", "in secret", "last year")
_NAMES = ("ANNA", "BRUNO", "CARLA", "DAVID")
_PITCHES_HZ = (210.0, 110.0, 180.0, 140.0)
_SPOKEN_S = 2.6
_BUILD = """
import json, resource, sys, tomllib
from importlib import import_module
from pathlib import Path

import dagster as dg

def cpu_s():
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in each)

began, stages = {}, {}
handle = dg.DagsterInstance.handle_new_event

def watch(self, event, **arguments):
    told = event.dagster_event
    step = told.step_key.removeprefix("dub__") if told and told.step_key else ""
    if step and told.is_step_start:
        began[step] = cpu_s()
    if step and told.is_step_success:
        stages[step] = cpu_s() - began[step]
    return handle(self, event, **arguments)

dg.DagsterInstance.handle_new_event = watch
source, told, *arguments = sys.argv[1:]
entry = tomllib.loads(Path(source, "pyproject.toml").read_text())["project"]["scripts"]["dubarr"]
module, name = entry.split(":")
try:
    getattr(import_module(module), name)(arguments)
finally:
    status = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    Path(told).write_text(json.dumps({"stages": stages, "peak_mb": own / 1024}))
"""
"""Runs a build's own command, and notes what each stage costs between Dagster's own events."""


@dataclass(frozen=True, slots=True)
class Build:
    """A revision that can be run: its source, and the Python of its environment."""

    source: Path
    python: Path


@dataclass(frozen=True, slots=True)
class Cost:
    """Price of one command.

    Attributes:
        stages: processor time by stage, in seconds; children that were waited for included.
        peak_mb: of the process that dubs, in MiB; its tools are smaller.
    """

    cpu_s: float
    peak_mb: float
    stages: dict[str, float]


@contextlib.contextmanager
def build_of(revision: str, folder: Path) -> Iterator[Build]:
    """Check a revision out and give it an environment; both go afterwards."""
    source = folder / "source"
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(source), revision], check=True)
    try:
        yield Build(source, _environment(source, folder / "environment"))
    finally:
        subprocess.run([*git, "remove", "--force", str(source)], check=True)


def _environment(source: Path, folder: Path) -> Path:
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = [each for each in project["dependencies"] if not _is_met(Requirement(each))]
    venv.create(folder, with_pip=bool(own))
    python = folder / "bin" / "python"
    if own:
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, str(source)], check=True)
    paths = [str(source), *(() if own else (sysconfig.get_path("purelib"),))]
    packages = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(packages, "_against.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    return python


def _is_met(wanted: Requirement) -> bool:
    if wanted.marker and not wanted.marker.evaluate():
        return True
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def write_film(path: Path, lines: int) -> Path:
    """Render the film, a line every 3.72 s by four people, with its subtitles beside it."""
    said = [
        Said(
            1 + EVERY_S * number,
            f"{_WHO[number % 6]} {_DOES[number % 5]} {_WHEN[number // 7 % 5]}.",
            1 + EVERY_S * number + _SPOKEN_S,
            pitch_hz=_PITCHES_HZ[number // 3 % 4],
        )
        for number in range(lines)
    ]
    sound = ("-c:a", "aac", "-b:a", "128k", "-g", "50")
    make_film(path, Film(said, EVERY_S * lines + 4, subtitles=False, arguments=sound))
    named = [
        Said(each.start_s, f"{_NAMES[number // 3 % 4]}: {each.text}", each.end_s)
        for number, each in enumerate(said)
    ]
    sidecar(path, "en").write_text(srt(named), encoding="utf-8")
    return path


def dub(build: Build, film: Path, work: Path, languages: str) -> Cost:
    """Dub a film by a build's own command; raise `SystemExit` with its words if it fails."""
    told = work.with_suffix(".json")
    command = ["-c", _BUILD, str(build.source), str(told), "dub", str(film), "--to", languages]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DUBARR_")},
        "PYTHONPATH": str(build.source),
        "DUBARR_WORK_DIR": str(work),
    }
    environment.pop("DAGSTER_HOME", None)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [str(build.python), *command],
            cwd=build.source,
            env=environment,
            stdout=words,
            stderr=words,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            raise SystemExit(words.read().decode(errors="replace")[-2000:])
    return Cost(used.ru_utime + used.ru_stime, **json.loads(told.read_text(encoding="utf-8")))


def least(costs: Sequence[Cost]) -> Cost:
    """Return the least of every figure: what other work on the machine adds is not ours."""
    stages = {name: min(cost.stages[name] for cost in costs) for name in costs[0].stages}
    cpu_s, peak_mb = (
        min(each) for each in zip(*((c.cpu_s, c.peak_mb) for c in costs), strict=True)
    )
    return Cost(cpu_s, peak_mb, stages)


def measure(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    film = write_film(folder / "film.mkv", 8 if options.quick else LINES)
    here = Build(REPOSITORY, Path(sys.executable))
    with build_of(options.revision, folder) as there:
        builds = {"now": here, "then": there}
        costs: dict[str, list[Cost]] = {name: [] for name in (*builds, "now again", "then again")}
        for number in range(1 if options.quick else options.rounds):
            for name, build in builds.items():
                work = folder / f"{name} {number}"
                costs[name].append(dub(build, film, work, options.to))
                costs[f"{name} again"].append(dub(build, film, work, options.to))
    now, then, again, again_then = map(
        least, (costs["now"], costs["then"], costs["now again"], costs["then again"])
    )
    bound = options.revision.startswith(THEN)
    for stage in now.stages:
        if stage in then.stages:
            yield _ratio(f"{stage}: CPU", now.stages[stage], then.stages[stage])
    started, started_then = (cost.cpu_s - sum(cost.stages.values()) for cost in (now, then))
    yield _ratio("start, store and end: CPU", started, started_then)
    yield _ratio("whole dub: CPU", now.cpu_s, then.cpu_s, (MUST, TARGET) if bound else ())
    bounds = (MUST_MEMORY, TARGET_MEMORY) if bound else ()
    yield _ratio("whole dub: peak memory", now.peak_mb, then.peak_mb, bounds, "MB")
    bounds = (MUST_AGAIN, TARGET_AGAIN) if bound else ()
    yield _ratio("again, nothing to do: CPU", again.cpu_s, again_then.cpu_s, bounds)


def _ratio(
    name: str, now: float, then: float, bounds: tuple[float, ...] = (), unit: str = "s"
) -> Row:
    must, target = bounds or (None, None)
    return Row(name, now / then, "x", must, target, floor=f"{now:.2f} / {then:.2f} {unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", default="HEAD", help="by default the last commit")
    parser.add_argument("--rounds", type=int, default=2, help="dubs of each build, in turns")
    parser.add_argument("--to", default="es", help="target languages")
    parser.add_argument("--quick", action="store_true", help="a film of 8 lines, one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    git = ["git", "-C", str(REPOSITORY), "rev-parse", "--verify", "--quiet", options.revision]
    if subprocess.run(git, capture_output=True, check=False).returncode:
        print(f"no revision {options.revision} in {REPOSITORY}", file=sys.stderr)
        raise SystemExit(3)
    with tempfile.TemporaryDirectory(prefix="dubarr-against-") as folder:
        show(measure(options, Path(folder)), as_json=options.json)


if __name__ == "__main__":
    main()
