"""A kept plan never hides what a new one would say, whatever has changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.api.planning import plan_videos
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.defs.runtime import plan as plan_module
from dubarr_pipeline.defs.runtime.records import stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables import grounds, kept_plans
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer
from dubarr_pipeline.library.series.memory import CastFact, CastMemory, Episode, SeriesFolder
from dubarr_pipeline.library.videos import load_video, save_video
from dubarr_pipeline_tests.fixtures.bench import Bench, flip_byte, sidecar, write_config

Change = Callable[["Finished"], object]
SRT = "1\n00:00:00,300 --> 00:00:02,200\nBuenos días. Necesitamos un barco ahora mismo.\n"


class Finished:
    """A finished film and its work folder, which a test may change."""

    def __init__(self, bench: Bench, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.film, self.work, self.patch = film, bench.work, monkeypatch
        self.work_dir, self.config = bench.work_dir, None
        self.kept = bench.work_dir / ".plans.json"
        self.key = self.work.root.name

    def settings(self) -> Settings:
        return load_settings(self.config, self.work_dir)

    def plan(self, targets: tuple[str, ...] = ()) -> list[Any]:
        return [
            (each.video, each.fault, *map(astuple, each.steps))
            for each in plan_videos([], targets, self.settings())
        ]

    def configure(self, **tables: Any) -> None:
        self.config = write_config(self.work_dir.parent / "dubarr.toml", tables)

    def request(self, **changes: Any) -> None:
        video = load_video(self.key, self.work_dir)
        save_video(replace(video, **changes), self.work_dir)

    def edit(self, name: str, document: Any) -> None:
        self.work.edits.mkdir(exist_ok=True)
        text = document if isinstance(document, str) else json.dumps(document)
        (self.work.edits / name).write_text(text)

    def remember(self, asked: int) -> None:
        """Have a person ask for another name of a term in the film's series."""
        memory = CastMemory(
            "tvdb-1",
            "A series",
            episodes={self.key: Episode("tiny", "", 0, asked, {})},
            facts=(CastFact(1, "2026-12-01T00:00:00Z", "Ann", "boat", "rendering", "bote", "es"),),
        )
        SeriesFolder.of("tvdb-1", self.work_dir).root.mkdir(parents=True, exist_ok=True)
        SeriesFolder.of("tvdb-1", self.work_dir).write(memory)


@pytest.fixture(scope="module")
def place(dubbed_once: Bench, tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose ``kept`` is what ``here`` is to be: a finished film, and its work folder."""
    place = tmp_path_factory.mktemp("finished")
    shutil.copytree(tiny_film.parent, place / "here" / "library")
    shutil.copytree(dubbed_once.work_dir, place / "here" / "work")
    # Its report names the film's place.
    moved = Bench(place / "here" / "work")
    assert moved.dub(place / "here" / "library" / tiny_film.name, "es,ca").code == 0
    (place / "here").rename(place / "kept")
    return place


@pytest.fixture
def finished(place: Path, tiny_film: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """A finished film with which a test may do as it likes."""
    here = place / "here"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(place / "kept", here)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(here)
    return Finished(Bench(here / "work"), here / "library" / tiny_film.name, monkeypatch)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The films that were planned anew."""
    made: list[str] = []
    real = plan_module._plan

    def plan(video: Any, *others: Any) -> Any:
        made.append(video.key)
        return real(video, *others)

    monkeypatch.setattr(plan_module, "_plan", plan)
    return made


def touch(path: Path) -> None:
    os.utime(path)


def rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def beside(name: str) -> Change:
    def put(f: Finished) -> None:
        path = f.film.parent / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(SRT)

    return put


def record_again(f: Finished) -> None:
    """Have the store say that a later run made the mix of something else."""
    import dagster as dg

    with open_instance(f.work_dir) as instance:
        wanted = dg.AssetRecordsFilter(asset_key=stage_key("mix"), asset_partitions=[f.key])
        (found,) = instance.fetch_materializations(wanted, limit=1).records
        made = found.asset_materialization
        assert made
        metadata = {**made.metadata, "dubarr/production": dg.MetadataValue.text("another")}
        again = dg.AssetMaterialization(made.asset_key, metadata=metadata, partition=f.key)
        instance.report_runless_asset_event(again)


def wipe(f: Finished) -> None:
    with open_instance(f.work_dir) as instance:
        instance.wipe_assets([stage_key("refs")])


def raise_version(f: Finished) -> None:
    stages = tuple(
        replace(each, version="later") if each.name == "mux" else each
        for each in plan_module.STAGES
    )
    for module in (plan_module, grounds):
        f.patch.setattr(module, "STAGES", stages)


DUE: dict[str, Change] = {
    "an artifact is gone": lambda f: f.work.vocals.unlink(),
    "a take is gone": lambda f: next(f.work.segments.glob("*.wav")).unlink(),
    "the film is gone from its work": lambda f: f.work.muxed.unlink(),
    "a track has another content, of the same size and date": lambda f: flip_byte(
        f.work.track("es")
    ),
    "a manifest is gone": lambda f: (f.work.checkpoints / "refs.json").unlink(),
    "a manifest is another": lambda f: rewrite(f.work.checkpoints / "mix.json", "{", "{ "),
    "the checkpoints are gone": lambda f: shutil.rmtree(f.work.checkpoints),
    "a speaker is corrected": lambda f: f.edit(
        "speakers.json", {"speakers": {"SPEAKER_00": {"gender": "female"}}}
    ),
    "the context is corrected": lambda f: f.edit("context.json", {"tone": "dry"}),
    "a line is corrected": lambda f: f.edit("es.json", {"lines": {"0": {"text": "Hola."}}}),
    "a line of the source is corrected": lambda f: f.edit(
        "en.json", {"lines": {"0": {"text": "Good evening."}}}
    ),
    "the subtitles are corrected": lambda f: f.edit("es.srt", SRT),
    "the transcript is edited by hand": lambda f: rewrite(
        f.work.transcription, "We need a boat", "We need a ship"
    ),
    "speakers are edited by hand": lambda f: rewrite(f.work.speakers, '"style"', '"stile"'),
    "the script is another": lambda f: rewrite(sidecar(f.film, "en"), "boat", "ship"),
    "a translation comes beside the film": beside("tiny.es.srt"),
    "a better script comes beside the film": beside("tiny.en.sdh.srt"),
    "a translation comes into a folder": beside("Subs/Spanish.srt"),
    "a translation comes into a folder of the film's name": beside("Subs/tiny/2_Spanish.srt"),
    "an option": lambda f: f.configure(mix={"preset": "duck"}),
    "an option of an engine": lambda f: f.configure(**{"diarization.clusters": {"few": 7}}),
    "an override of the film": lambda f: f.request(overrides={"mix.preset": "duck"}),
    "another profile": lambda f: f.request(profile="laptop"),
    "other languages": lambda f: f.request(target_langs=("es",)),
    "another engine": lambda f: f.configure(synthesis={"engine": "tone"}),
    "another bound of the gate": lambda f: f.configure(gate={"failed_share": 0.5}),
    "another voice of the same name": lambda f: f.patch.setattr(
        EspeakSynthesizer, "identity", lambda _: "espeak of tomorrow"
    ),
    "another version of a stage": raise_version,
    "a later result of a stage": record_again,
    "results are wiped": wipe,
    "the source is gone": lambda f: f.film.unlink(),
    "the source is another film": lambda f: f.film.write_bytes(f.film.read_bytes() + b"\0"),
    "the source is a folder": lambda f: (f.film.unlink(), f.film.mkdir()),
    "the request is damaged": lambda f: f.work.video.write_text("{"),
    "a correction is asked for in the series": lambda f: f.remember(asked=1),
}
"""Changes after which something is due, or a run would fail."""
NOT_DUE: dict[str, Change] = {
    "nothing": lambda _: None,
    "a file is touched": lambda f: touch(f.work.vocals),
    "the source is touched": lambda f: touch(f.film),
    "another film comes": beside("another.es.srt"),
    "a film of a like name comes": lambda f: shutil.copy(f.film, f.film.with_name("tiny.2.mkv")),
    "a correction of another film": lambda f: f.remember(asked=0),
    "the kept plans are damaged": lambda f: f.kept.write_text("{"),
    "the kept plans are others": lambda f: f.kept.write_text('{"a": 1}'),
}


@pytest.fixture
def in_a_series(finished: Finished) -> Finished:
    finished.request(series="tvdb-1")
    finished.remember(asked=0)
    return finished


def both(f: Finished, kept: Callable[[], list[Any]]) -> tuple[list[Any], list[Any]]:
    """A plan with what is kept, and one without."""
    found = kept()
    f.kept.unlink(missing_ok=True)
    return found, f.plan()


@pytest.mark.parametrize("kind", DUE)
def test_what_is_due_is_never_hidden(in_a_series: Finished, planned: list[str], kind: str) -> None:
    f = in_a_series
    before = f.plan()
    assert f.plan() == before
    assert planned == [f.key]
    DUE[kind](f)
    found, anew = both(f, f.plan)
    assert found == anew
    assert found != before


@pytest.mark.parametrize("kind", NOT_DUE)
def test_what_is_not_due_is_told_in_the_same_words(
    in_a_series: Finished, planned: list[str], kind: str
) -> None:
    f = in_a_series
    before = f.plan()
    NOT_DUE[kind](f)
    found, anew = both(f, f.plan)
    assert found == anew == before
    assert not any(step[1] for step in found[0][2:])


def test_other_languages_are_planned_for_themselves(finished: Finished, planned: list[str]) -> None:
    before = finished.plan()
    asked = finished.plan(("es",))
    assert any(step[1] for step in asked[0][2:])
    assert finished.plan() == before
    assert planned == [finished.key] * 2


def test_a_plan_with_something_due_is_not_kept(finished: Finished, planned: list[str]) -> None:
    finished.work.muxed.unlink()
    assert finished.plan() == finished.plan()
    assert planned == [finished.key] * 2
    assert not finished.kept.exists()


def test_links_to_the_folder_around_them_are_no_endless_way(
    finished: Finished, planned: list[str]
) -> None:
    for name in ("Subs", "Subtitles", "sub"):
        finished.film.with_name(name).symlink_to(".", target_is_directory=True)
    assert finished.plan() == finished.plan()
    assert planned == [finished.key]


def test_our_code_and_the_programs_are_grounds(
    finished: Finished, planned: list[str], tmp_path: Path
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    code = package / "__init__.py"
    code.write_text("")
    finished.patch.setattr(grounds.dubarr_pipeline, "__file__", str(code))
    finished.patch.setattr(grounds, "code_state", grounds.code_state.__wrapped__)
    finished.plan()
    finished.plan()
    assert planned == [finished.key]
    code.write_text("a = 1")
    finished.plan()
    assert planned == [finished.key] * 2
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("ffprobe")
    assert real
    shutil.copy(real, programs / "ffprobe")
    finished.patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    finished.plan()
    assert planned == [finished.key] * 3


def test_a_folder_that_cannot_be_written_keeps_nothing(
    finished: Finished, planned: list[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    finished.patch.setattr(kept_plans, "write_text", refuse)
    assert finished.plan() == finished.plan()
    assert planned == [finished.key] * 2


LISTEN = """
import sys
seen, on = [], False
def hook(event, arguments):
    if on and event in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
        seen.append((event, str(arguments[0])))
sys.addaudithook(hook)
import json, pathlib
from dubarr_pipeline.api.planning import plan_videos
from dubarr_pipeline.config.settings import load_settings
settings = load_settings(None, pathlib.Path(sys.argv[1]))
def listened(names):
    global on
    seen.clear()
    on = True
    plans = plan_videos(names, (), settings)
    on = False
    assert not any(step.rerun for plan in plans for step in plan.steps), plans
    assert not any(plan.fault for plan in plans), plans
    return list(seen)
"""


def said_by(f: Finished, code: str, *arguments: str) -> Any:
    """What a program says that listens to what a plan opens."""
    command = [sys.executable, "-W", "ignore", "-c", LISTEN + code, str(f.work_dir), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


def test_every_file_that_a_plan_opens_is_among_its_grounds(finished: Finished) -> None:
    opened = said_by(finished, "print(json.dumps(listened([])))")
    looked_at: set[str] = set()
    state, tree = grounds._state, grounds._tree

    def seen(path: str) -> Any:
        looked_at.add(path)
        return state(path)

    def seen_below(folder: str, *depth: int) -> Iterator[Any]:
        looked_at.add(folder)
        for each in tree(folder, *depth):
            looked_at.add(each[0])
            yield each

    finished.patch.setattr(grounds, "_state", seen)
    finished.patch.setattr(grounds, "_tree", seen_below)
    finished.kept.unlink(missing_ok=True)
    finished.plan()
    root = str(finished.work_dir.parent)
    own = {path for event, path in opened if path.startswith(root) and event != "sqlite3.connect"}
    # The store is known by its newest events, and the folder of the film by its names.
    apart = {
        path
        for path in own
        if path.startswith((f"{finished.work_dir}/.dagster", str(finished.kept)))
        or Path(path).name.startswith("..plans.part")
        or path in (str(finished.work_dir), str(finished.film.parent))
    }
    assert str(finished.film) in own
    assert str(finished.work.transcription) in own
    manifests = Counter(
        Path(path).stem for event, path in opened if "/.checkpoints/" in path and event == "open"
    )
    # The transcript's also tells whether a person edited its lines.
    assert manifests == {**dict.fromkeys(STAGE_NAMES, 1), "transcript": 2}
    assert own - apart - looked_at == set()


def test_a_finished_film_costs_two_files_and_no_question(finished: Finished) -> None:
    other = finished.film.parent.parent / "other library" / "other.mkv"
    shutil.copytree(finished.film.parent, other.parent)
    (other.parent / finished.film.name).rename(other)
    sidecar(other.with_name("tiny.mkv"), "en").rename(sidecar(other, "en"))
    with other.open("ab") as file:
        file.write(b"\0" * 8)
    bench = Bench(finished.work_dir)
    assert bench.dub(other, "es,ca").code == 0
    keys = [work.root.name for work in bench.works()]
    code = """
listened([])
one, two = (listened(sys.argv[2:2 + count]) for count in (1, 2))
heavy = {"dagster", "sqlalchemy", "scipy", "yaml"} & {name.partition(".")[0] for name in before}
print(json.dumps([[event for event, _ in each] for each in (one, two)] + [sorted(heavy)]))
"""
    finished.plan()
    one, two, heavy = said_by(finished, "before = sys.modules\n" + code, *keys)
    assert heavy == []
    assert two.count("sqlite3.connect") == one.count("sqlite3.connect") == 2
    assert two.count("open") - one.count("open") <= 2
