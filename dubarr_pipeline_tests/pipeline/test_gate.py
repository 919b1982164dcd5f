"""The gate on the whole way: a bad film is held, told, shown, approved, and stays approved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs import gate as room
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.publishing import publishing_sensor
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.tables.rows import published_status
from dubarr_pipeline.errors import DiskFull, ServiceUnavailable
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.gate import held_films, remember
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.reports.report import make_report, write_report
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import (
    Answer,
    Bench,
    Film,
    Said,
    make_film,
    sidecar,
    srt,
    write_config,
)
from dubarr_pipeline_tests.fixtures.snapshot import Snapshot

KEY = PLAIN.key("published")
publishing = publishing_sensor(PLAIN)

pytestmark = pytest.mark.slow
SCENE = (
    Said(0.3, "Good morning. We need a boat for the island.", 2.6),
    Said(3.0, "Nobody leaves this harbour until the bell rings.", 5.6),
    Said(6.2, "There is somebody at the door for you, my friend.", 8.8),
)
UNSCRIPTED = Said(9.4, "Nobody wrote down what is being said here tonight.", 12.4)
LONG = "Alors là, je ne sais vraiment pas ce que tu veux que je te dise de plus à ce sujet. " * 3


@dataclass
class Harbour:
    """A library with one film of three lines: one left in English, French far too long."""

    bench: Bench
    film: Path
    root: Path

    @property
    def settings(self) -> Settings:
        return load_settings(self.bench.config, self.bench.work_dir)

    @property
    def key(self) -> str:
        return self.bench.work.root.name

    @property
    def video(self) -> Video:
        return load_video(self.key, self.bench.work_dir)

    def configure(self, **gate: Any) -> None:
        films = {"path": str(self.film.parent), "target_langs": ["es", "fr"]}
        tables = {
            "failures": {"notify": ["json://nobody"]},
            "review": {"address": "http://nas:8080/"},
            "segments": {"least_placed": 0.0},
            "libraries.films": films,
            "libraries.films.publish": {"mode": "beside"},
            "libraries.films.gate": gate,
        }
        write_config(self.root / "dubarr.toml", tables)

    def gate(self) -> dict[str, Any]:
        return read_json(self.bench.work.report)["gate"]

    def tick(
        self, instance: dg.DagsterInstance, cursor: str | None
    ) -> tuple[list[Any], str | None]:
        """The films that the sensor asks for, and its cursor."""
        resource = DubarrResource(
            config_file=str(self.bench.config), work_dir=str(self.bench.work_dir)
        )
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"dubarr": resource}
        ) as context:
            result = publishing(context)
        assert isinstance(result, dg.SensorResult)
        return [each.partition_key for each in result.run_requests or []], result.cursor


@pytest.fixture(scope="module")
def dubbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Harbour, Answer, Snapshot]:
    """The film, dubbed once."""
    root = tmp_path_factory.mktemp("harbour")
    film = make_film(root / "films" / "Harbour (1999).mkv", Film((*SCENE, UNSCRIPTED), 13.0))
    sidecar(film, "en").write_text(srt(SCENE), encoding="utf-8")
    texts = ("Buenos días. Necesitamos un barco.", "Nadie sale de este puerto.", SCENE[2].text)
    spanish = [Said(x.start_s, text, x.end_s) for x, text in zip(SCENE, texts, strict=True)]
    french = [Said(x.start_s, LONG, x.end_s) for x in SCENE]
    sidecar(film, "es").write_text(srt(spanish), encoding="utf-8")
    sidecar(film, "fr").write_text(srt(french), encoding="utf-8")
    place = Harbour(Bench(root / "work", root / "dubarr.toml"), film, root)
    place.configure()
    made = place.bench.dub(place.film, "es,fr")
    return place, made, Snapshot(place.bench.work_dir)


@pytest.fixture
def harbour(dubbed: tuple[Harbour, Answer, Snapshot]) -> Harbour:
    """The film as it was when it was dubbed: held, and never published."""
    place, _, snapshot = dubbed
    snapshot.restore()
    place.configure()
    for published in place.film.parent.glob("*- dubbed.mkv"):
        published.unlink()
    return place


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []

    def tell(_written: Any, _title: str, text: str) -> int:
        texts.append(text)
        return 1

    monkeypatch.setattr(room, "notify", tell)
    return texts


def test_a_bad_film_is_finished_and_held_and_says_so_everywhere(
    harbour: Harbour, dubbed: tuple[Harbour, Answer, Snapshot]
) -> None:
    _, made, _ = dubbed
    assert made.code == 1, made.both
    assert "held:   es: 1 of 3 lines are not in the track's language" in made.out
    assert harbour.bench.work.muxed.is_file()
    assert [path.name for path in harbour.film.parent.glob("*.mkv")] == [harbour.film.name]
    gate = harbour.gate()
    assert gate["state"] == "held"
    assert [gate["languages"][each]["state"] for each in ("es", "fr")] == ["held", "held"]
    assert "failed_share allows 5 %" in gate["languages"]["fr"]["reasons"][0]
    assert any("undubbed_share allows 15 %" in each for each in gate["reasons"])
    shown = harbour.bench.run("status")
    assert shown.code == 1
    assert "HELD" in shown.out
    assert "untranslated_share allows 2 %" in shown.out
    assert harbour.bench.run("status", "--json").code == 1
    assert "every video is done" in harbour.bench.run("retry").out
    refused = harbour.bench.run("publish", harbour.key)
    assert (refused.code, "it is held" in refused.err) == (2, True)
    assert "HELD" in harbour.bench.run("library", "list").out
    with open_instance(harbour.bench.work_dir) as instance:
        event = instance.get_latest_materialization_event(KEY)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
    assert f"dubarr approve {harbour.key}" in str(metadata["held"].value)
    assert metadata["review"].value == f"http://nas:8080/review/{harbour.key}"


def test_people_are_told_once_and_later_if_no_channel_takes_it(
    harbour: Harbour, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance(harbour.bench.work_dir) as instance:
        with monkeypatch.context() as away:
            away.setattr(room, "notify", _refuse)
            requests, cursor = harbour.tick(instance, None)
        assert (requests, told) == ([], [])
        _, cursor = harbour.tick(instance, cursor)
        assert len(told) == 1
        assert f"http://nas:8080/review/{harbour.key}" in told[0]
        assert "es: 1 of 3 lines are not in the track's language" in told[0]
        harbour.tick(instance, cursor)
        harbour.tick(instance, None)
    assert len(told) == 1


def _refuse(*_: Any) -> int:
    raise ServiceUnavailable("no channel")


class _Sheet(HTMLParser):
    """The sounds and elements of a sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sounds: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sounds += [value or "" for name, value in attrs if name == "src"]


def test_a_sheet_with_sounds_is_written_to_decide_by(harbour: Harbour) -> None:
    out = harbour.root / "sheet.html"
    assert harbour.bench.run("qc", harbour.key, "--to", "es", "--out", out).code == 0
    page = out.read_text("utf-8")
    sheet = _Sheet(page)
    assert (sheet.tags.count("article"), sheet.tags.count("audio")) == (1, 2)
    assert all(each.startswith("data:audio/") for each in sheet.sounds)
    assert "my friend" in page
    assert harbour.bench.run("qc", harbour.key).out.strip() == str(
        harbour.bench.work.root / "qc.html"
    )


def test_every_bound_is_driven_to_its_end(harbour: Harbour) -> None:
    """Faults are planted where they are measured, in a good film made of this one."""
    work = harbour.bench.work
    _heal(work)
    good = {path: path.read_bytes() for path in (*work.root.glob("*.json"), work.report_page)}
    assert _judged(harbour) == ("DONE, not published", "not published yet")
    for bound, plant in PLANTS.items():
        plant(work)
        status, why = _judged(harbour)
        assert status == "HELD", bound
        assert f"({bound} allows" in str(why)
        for path, content in good.items():
            path.write_bytes(content)
    assert _judged(harbour)[0] == "DONE, not published"


def _judged(harbour: Harbour) -> tuple[str, str | None]:
    video, settings = harbour.video, harbour.settings
    report = make_report(video, harbour.bench.work, (), settings.library("films").gate)
    write_report(report, harbour.bench.work)
    return published_status(video, settings)


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    document = read_json(path)
    change(document)
    document.pop("schema")
    write_json(path, document)


def _lines(work: WorkDir, change: Callable[[dict[str, Any]], None]) -> None:
    def each(document: Any) -> None:
        for line in document["languages"]["es"]:
            change(line)

    _edit(work.segments_report, each)


def _track(work: WorkDir, part: str, **figures: Any) -> None:
    _edit(work.mix_report, lambda found: found["tracks"]["es"][part].update(figures))


def _heal(work: WorkDir) -> None:
    """Make Spanish a good dub, keep French as it is in the original, and script all speech."""
    _edit(work.speech, lambda found: found.update(speech=_scripted(found["speech"])))
    _lines(work, lambda line: line.update(text="Buenos días. Necesitamos un barco para la isla."))

    def both(document: Any) -> None:
        document["languages"]["fr"] = [
            {**line, "outcome": "kept_original", "placement": None, "chosen": None, "takes": []}
            for line in document["languages"]["es"]
        ]

    _edit(work.segments_report, both)


def _scripted(speech: list[dict[str, float]]) -> list[dict[str, float]]:
    return [span for span in speech if span["start"] < UNSCRIPTED.start_s - 0.3]


def _fail(line: dict[str, Any]) -> None:
    line.update(outcome="failed:too_long", placement=None, chosen=None)


def _mishear(line: dict[str, Any]) -> None:
    for take in line["takes"]:
        take["heard"] = "no se entiende nada de nada"


def _hurry(line: dict[str, Any]) -> None:
    line["placement"]["tempo"] = "23/20"


def _stack(line: dict[str, Any]) -> None:
    line["placement"]["start"] = 0.3
    line["speaker"] = "SPEAKER_00"


def _cut_script(work: WorkDir) -> None:
    """Leave most of the speech without a line."""
    _edit(work.transcription, lambda found: found.update(segments=found["segments"][:1]))


PLANTS: dict[str, Callable[[WorkDir], None]] = {
    "failed_share": lambda work: _lines(work, _fail),
    "undubbed_share": _cut_script,
    "muted_s": lambda work: _track(work, "proof", muted_s=[[1.0, 2.5]]),
    "word_error": lambda work: _lines(work, _mishear),
    "overlaps": lambda work: _lines(work, _stack),
    "tempo_share": lambda work: _lines(work, _hurry),
    "loudness_miss_lu": lambda work: _track(work, "proof", loudness_lufs=-60.0),
    "untranslated_share": lambda work: _lines(
        work, lambda line: line.update(text="There is somebody at the door for you.")
    ),
}
"""Bound -> what plants its fault."""


def test_approved_it_is_published_and_stays_approved_after_another_run(harbour: Harbour) -> None:
    done = harbour.bench.run("approve", harbour.key, "--note", "a joke", "--by", "Ann")
    assert done.code == 0, done.both
    place = harbour.film.with_name("Harbour (1999) - dubbed.mkv")
    assert str(place) in done.out
    assert place.is_file()
    gate = harbour.gate()
    assert (gate["state"], gate["decision"]["by"], gate["decision"]["note"]) == (
        "approved",
        "Ann",
        "a joke",
    )
    assert harbour.bench.run("status").code == 0
    assert harbour.bench.run("purge", "--from", "report", harbour.key).code == 0
    again = harbour.bench.dub(harbour.film, "es,fr")
    assert (again.code, harbour.bench.made()) == (0, ("report",)), again.both
    assert harbour.gate()["state"] == "approved"


def test_a_persons_hold_outlives_a_run_and_leaves_what_is_published(harbour: Harbour) -> None:
    assert harbour.bench.run("approve", harbour.key).code == 0
    held = harbour.bench.run("hold", harbour.key, "--note", "the wrong voice", "--by", "Ben")
    assert (held.code, "held by Ben" in held.out) == (0, True)
    assert harbour.gate()["reasons"][0].endswith("the wrong voice")
    again = harbour.bench.dub(harbour.film, "es,fr")
    assert again.code == 1
    assert harbour.bench.run("status").code == 1
    assert len([*harbour.film.parent.glob("*.mkv")]) == 2


def test_the_job_approves_and_the_sensor_asks_for_the_film(harbour: Harbour) -> None:
    with open_instance(harbour.bench.work_dir) as instance:
        _, cursor = harbour.tick(instance, None)
        ran = defs.resolve_job_def("approve").execute_in_process(
            instance=instance,
            partition_key=harbour.key,
            run_config={
                "ops": {"approve_film": {"config": {"note": "in the UI"}}},
                "resources": {
                    "dubarr": {
                        "config": {
                            "config_file": str(harbour.bench.config),
                            "work_dir": str(harbour.bench.work_dir),
                        }
                    }
                },
            },
        )
        assert ran.success
        requests, _ = harbour.tick(instance, cursor)
    assert requests == [harbour.key]
    assert harbour.gate()["decision"]["by"] == "Dagster's UI"


def test_after_its_days_it_goes_through_by_itself(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = harbour.bench.work
    assert harbour.bench.run("publish", harbour.key).code == 2
    (film,) = held_films(harbour.settings)
    with open_instance(harbour.bench.work_dir) as instance:
        _, cursor = harbour.tick(instance, None)
        _age(harbour.settings, days=8)
        requests, cursor = harbour.tick(instance, cursor)
        assert requests == [], "never, by default"
        harbour.configure(approve_after_days=9)
        assert harbour.tick(instance, cursor)[0] == []
        harbour.configure(approve_after_days=7)
        with monkeypatch.context() as patch:
            patch.setattr(room, "decide", _no_room)
            assert harbour.tick(instance, cursor)[0] == [], "it fails no tick"
        requests, _ = harbour.tick(instance, cursor)
    assert requests == [film.key]
    decision = json.loads(work.decisions.read_text())["decisions"][-1]
    assert (decision["by"], decision["note"]) == ("dubarr", "nobody decided for 7 days")
    assert harbour.bench.run("publish", harbour.key).code == 0


def _no_room(*_: Any) -> None:
    raise DiskFull("no room left on the disk")


def _age(settings: Settings, days: float) -> None:
    from dataclasses import replace

    for film in [*held_films(settings)]:
        remember(replace(film, since_s=film.since_s - 86_400 * days), settings)
