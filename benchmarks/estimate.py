"""How well a dub's time and room are foretold after one film, and what a sample costs of a film.

Films of other lengths, densities and sounds are dubbed with the profile `lite`. From the history of
each one alone the others are estimated, by what is known before they are dubbed. Times are those of
the processor, of tools as well: on a busy machine, clocks measure the others.

    python benchmarks/estimate.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show
from made_films import MadeFilm, write_film

from dubarr_pipeline.api.dubbing import DubResult, Watch, dub_videos
from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.api.samples import SampleRequest, make_sample
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime import stage_run
from dubarr_pipeline.defs.runtime.history import past_stages
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.library.estimates.costs import PastStage, estimate, pace_of
from dubarr_pipeline.library.estimates.facts import look_into
from dubarr_pipeline.library.source import inspect_source

FILMS = {
    "dense": MadeFilm(5, 0.7, crowd=2),
    "sparse": MadeFilm(12, 4.0, crowd=5, seed=2),
    "surround": MadeFilm(8, 1.5, crowd=3, seed=3),
}
QUICK = {"dense": MadeFilm(0.5, 0.7), "sparse": MadeFilm(1.0, 2.5, seed=2)}
TARGETS = ("es",)
_SURROUND = "pan=5.1|FL=0.3*c0|FR=0.3*c0|FC=c0|LFE=0.05*c0|BL=0.2*c0|BR=0.2*c0"


def cpu_s() -> float:
    """Processor time of this process and of all tools that it has waited for."""
    own, tools = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + tools.ru_utime + tools.ru_stime


def films_in(folder: Path, recipes: dict[str, MadeFilm]) -> Iterator[Path]:
    for name, recipe in recipes.items():
        path = write_film(folder / f"{name}.mkv", recipe)
        if name == "surround":
            stereo = path.rename(folder / "stereo of it.mkv")
            picture = ["-map", "0:v", "-map", "0:a", "-c:v", "copy", "-af", _SURROUND]
            sound = ["-c:a", "ac3", "-b:a", "448k", "-metadata:s:a:0", "language=eng"]
            command = ["ffmpeg", "-v", "error", "-i", str(stereo), *picture, *sound, str(path)]
            subprocess.run(command, check=True)
            stereo.unlink()
        yield path


def measure(folder: Path, recipes: dict[str, MadeFilm]) -> Iterator[Row]:
    """Dub the films, and compare what each foretells for the others."""
    settings = read_settings(folder / "work")
    stage_run.time = SimpleNamespace(monotonic=cpu_s)  # pyright: ignore[reportAttributeAccessIssue]
    paths = list(films_in(folder, recipes))
    whole: dict[str, float] = {}
    try:
        for path in paths:
            before = cpu_s()
            (made,) = dub_videos([path], TARGETS, settings, Watch())
            assert isinstance(made, DubResult), made
            whole[path.stem] = cpu_s() - before
    finally:
        stage_run.time = time
    with open_instance(settings.work_dir) as instance:
        past = past_stages(instance, settings.work_dir)
    yield from _pairs(paths, past, settings)
    longest = max(paths, key=lambda path: whole[path.stem])
    before = cpu_s()
    make_sample(SampleRequest(str(longest), TARGETS), settings)
    share = whole[longest.stem] / (cpu_s() - before)
    minutes = recipes[longest.stem].minutes
    yield Row(f"processor time of a film of {minutes:g} min / of its sample", share, "x")


def _pairs(paths: Sequence[Path], past: Sequence[PastStage], settings: Settings) -> Iterator[Row]:
    errors: list[float] = []
    rooms: list[float] = []
    for known, other in permutations(paths, 2):
        history = [each for each in past if each.facts.source_bytes == known.stat().st_size]
        actual = [each for each in past if each.facts.source_bytes == other.stat().st_size]
        pace = pace_of(history)
        facts, _ = look_into(inspect_source(other, settings, TARGETS), TARGETS, pace)
        found = estimate(facts, {each.stage: each.engines for each in actual}, pace)
        took = sum(each.seconds for each in actual)
        errors.append(100 * (found.total_s / took - 1))
        (work,) = settings.work_dir.glob(f"{other.stem}-*")
        used = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        rooms.append(100 * (found.work_bytes / used - 1))
        floor = f"foretold {found.total_s:.1f} s, took {took:.1f} s"
        name = f"time of {other.stem!r} foretold after {known.stem!r}"
        yield Row(name, errors[-1], "%", floor=floor)
    yield Row("time, worst pair: error", max(map(abs, errors)), "%", must=25)
    yield Row("room, worst pair: error", max(map(abs, rooms)), "%", must=25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two films of a minute and less")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubarr-estimate-") as folder:
        recipes = QUICK if options.quick else FILMS
        show(measure(Path(folder), recipes), as_json=options.json)


if __name__ == "__main__":
    main()
