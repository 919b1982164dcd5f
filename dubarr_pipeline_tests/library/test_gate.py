"""The gate's judgement: bounds, decisions of people, and what an approval covers."""

from __future__ import annotations

import json
import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.library import gate as room
from dubarr_pipeline.library.gate import (
    Gate,
    GateFigure,
    decide,
    gate_document,
    gate_of,
    held_films,
    inherit_decisions,
    judge,
    note_held,
    options_for,
    read_figures,
    write_figures,
)
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work

BOUNDS = GateOptions()


def failing(value: float = 0.2, *marks: str) -> GateFigure:
    lines = dict(enumerate(marks or ("a", "b")))
    return GateFigure("failed_share", value, "2 of 10 lines failed", lines)


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return WorkDir(tmp_path)


@pytest.mark.parametrize(
    "name", [each.name for each in fields(GateOptions) if each.name != "approve_after_days"]
)
def test_every_bound_holds_just_over_and_passes_at_it(name: str) -> None:
    bounds = replace(BOUNDS, undubbed_s=60.0)
    bound = float(getattr(bounds, name))
    for value, state in ((bound, "passed"), (bound + 1e-6, "held")):
        gate = judge({"es": (GateFigure(name, value, "so much"),)}, None, bounds)
        assert gate.state == state
        assert [f"({name} allows" in each for each in gate.reasons] == [True] * (state == "held")


def test_no_limit_of_seconds_by_default_and_a_later_versions_figure_is_passed_over() -> None:
    rows = (GateFigure("undubbed_s", 9e4, "all of it"), GateFigure("of_later", 1.0, "new"))
    assert judge({"es": rows}, None, BOUNDS).state == "passed"


def test_a_film_that_an_earlier_version_finished_is_unknown(work: WorkDir) -> None:
    assert gate_of(work, BOUNDS).state == "unknown"
    decide(work, BOUNDS, "hold", "Ann", "")
    assert gate_of(work, BOUNDS).state == "held"
    decide(work, BOUNDS, "approve", "Ann", "")
    assert gate_of(work, BOUNDS).state == "approved"


def test_an_approval_covers_what_was_seen_and_less(work: WorkDir) -> None:
    write_figures(work, {"es": (failing(),), "ca": ()})
    gate = gate_of(work, BOUNDS)
    assert gate.reasons == ("es: 2 of 10 lines failed: lines 0, 1 (failed_share allows 5 %)",)
    assert gate.languages["ca"] == ()
    made = decide(work, BOUNDS, "approve", " Ann ", "a joke nobody misses")
    assert (made.by, made.accepted["es"][0].lines) == ("Ann", {0: "a", 1: "b"})
    assert gate_of(work, BOUNDS).state == "approved"
    # Made again with fewer faults, with one in another place, with one more, in another language.
    for figure, state in (
        (failing(0.1, "b"), "approved"),
        (failing(0.2019), "approved"),
        (failing(0.2, "a", "c"), "held"),
        (failing(0.3), "held"),
        (replace(failing(), name="untranslated_share"), "held"),
    ):
        write_figures(work, {"es": (figure,)})
        assert gate_of(work, BOUNDS).state == state, figure
    assert "approved by Ann" in gate_of(work, BOUNDS).reasons[-1]
    write_figures(work, {"es": (), "fr": (failing(),)})
    assert gate_of(work, BOUNDS).state == "held"


def test_a_persons_hold_outlives_good_figures_until_a_person_lets_it_go(work: WorkDir) -> None:
    write_figures(work, {"es": ()})
    decide(work, BOUNDS, "hold", "Ben", "the wrong voice")
    gate = gate_of(work, BOUNDS)
    assert (gate.state, gate.by_person) == ("held", True)
    assert gate.reasons[0].startswith("held by Ben, ")
    assert gate.reasons[0].endswith(": the wrong voice")
    decide(work, BOUNDS, "approve", "Ann", "")
    assert gate_of(work, BOUNDS).state == "approved"
    document = gate_document(gate_of(work, BOUNDS), read_figures(work))
    assert document["decision"]["by"] == "Ann"
    assert json.loads(json.dumps(document)) == document


def test_decisions_outlive_the_work_folder_and_are_all_kept(work: WorkDir) -> None:
    people = [f"person {n}" for n in range(8)]
    deciding = [
        threading.Thread(target=decide, args=(work, BOUNDS, "hold", who, "")) for who in people
    ]
    for each in deciding:
        each.start()
    for each in deciding:
        each.join()
    found = json.loads(work.decisions.read_text())["decisions"]
    assert sorted(each["by"] for each in found) == people
    work.remove()
    assert gate_of(work, BOUNDS).by_person


def test_another_release_inherits_a_hold_and_of_an_approval_the_lines(tmp_path: Path) -> None:
    old, new, next_one = (WorkDir(tmp_path / name) for name in ("old", "new", "next"))
    for work in (old, new, next_one):
        work.root.mkdir()
    muted = GateFigure("muted_s", 3.0, "3.0 s of speech in neither voice")
    write_figures(old, {"es": (failing(), muted)})
    decide(old, BOUNDS, "approve", "Ann", "")
    inherit_decisions(old, new)
    for figures, state in (((failing(),), "approved"), ((failing(), muted), "held")):
        write_figures(new, {"es": figures})
        assert gate_of(new, BOUNDS).state == state
    decide(new, BOUNDS, "hold", "Ben", "not this one")
    inherit_decisions(old, new)
    inherit_decisions(new, next_one)
    assert gate_of(next_one, BOUNDS).by_person
    old.decisions.write_text('{"schema": 1, "decisions": 7}')
    next_one.decisions.unlink()
    inherit_decisions(old, next_one)
    with pytest.raises(ArtifactError, match=r"decisions\.json is damaged"):
        gate_of(next_one, BOUNDS)


def test_a_damaged_record_is_named(work: WorkDir) -> None:
    work.decisions.write_text('{"schema": 1, "decisions": [{"action": "burn"}]}')
    with pytest.raises(ArtifactError, match=r"decisions\.json is damaged"):
        gate_of(work, BOUNDS)


def test_held_films_are_told_once_for_the_same_reasons(tmp_path: Path) -> None:
    settings = parse_settings({}, tmp_path)
    gate = Gate("held", ("es: too much",))
    note_held("film", gate, settings, 10.0)
    (film,) = held_films(settings)
    assert (film.told, film.since_s) == (False, 10.0)
    room.remember(replace(film, told=True), settings)
    note_held("film", gate, settings, 20.0)
    (film,) = held_films(settings)
    assert (film.told, film.since_s) == (True, 10.0)
    note_held("film", replace(gate, reasons=("es: more",)), settings, 30.0)
    (film,) = held_films(settings)
    assert (film.told, film.since_s) == (False, 30.0)
    note_held("film", None, settings, 40.0)
    assert not list(held_films(settings))


def test_bounds_of_a_library_go_before_those_of_all(tmp_path: Path) -> None:
    films = {"path": "/films", "target_langs": ["es"], "gate": {"failed_share": 0.5}}
    shows = {"path": "/shows", "target_langs": ["es"]}
    document = {"gate": {"failed_share": 0.1, "overlaps": 2}, "libraries": {"f": films, "s": shows}}
    settings = parse_settings(document, tmp_path)
    found = [(x.gate.failed_share, x.gate.overlaps) for x in settings.libraries.values()]
    assert found == [(0.5, 2), (0.1, 2)]
    video = finished_work.video(WorkDir(tmp_path))
    assert options_for(video, settings).failed_share == 0.1
    assert options_for(replace(video, library="f"), settings).failed_share == 0.5
    for wrong in ({"failed_shear": 1}, {"failed_share": 2}):
        with pytest.raises(SettingsError, match=r"libraries\.f\.gate"):
            parse_settings({"libraries": {"f": {**films, "gate": wrong}}}, tmp_path)


def test_one_fast_line_of_several_holds_no_film():
    def state(count: int, whole: int, **bounds: float) -> str:
        figure = GateFigure("tempo_share", count / whole, "fast", count=count)
        return judge({"es": (figure,)}, None, GateOptions(**bounds)).state

    assert [state(1, whole) for whole in (2, 3, 4, 40)] == ["passed"] * 4
    assert [state(1, 1), state(2, 2), state(2, 3), state(2, 4)] == ["held"] * 4
    assert state(1, 3, tempo_share=0) == "held"
    failed = GateFigure("failed_share", 1 / 3, "one of three", {2: "m"}, count=1)
    assert judge({"es": (failed,)}, None, GateOptions()).state == "held"
