"""A film at which a run works on another machine, and what people do to it here meanwhile."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.api.gate import approve
from dubarr_pipeline.api.libraries import publish, take_back
from dubarr_pipeline.api.review import ReviewRuns
from dubarr_pipeline.api.videos import prune, purge
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.defs.distributed import leases
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline_tests.fixtures.film_shelf import register

LONG_S = 600.0


@pytest.fixture
def film_elsewhere(film: Path, tmp_path: Path) -> tuple[str, Settings]:
    """A registered film that a live run of another machine has."""
    config = tmp_path / "dubarr.toml"
    config.write_text(
        f'[libraries.films]\npath = "{film.parent}"\ntarget_langs = ["es"]\n'
        'publish = { mode = "beside" }\n'
    )
    settings = load_settings(config, tmp_path / "work")
    (key,) = register([film], settings.work_dir, config, library="films")
    with open_instance(settings.work_dir) as instance, pytest.MonkeyPatch.context() as patch:
        run = dg.DagsterRun("dub", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        assert leases.take(instance, PLAIN.film(key), run.run_id, LONG_S)
    return key, settings


def test_what_people_do_to_a_film_is_refused_while_another_machine_works_at_it(
    film_elsewhere: tuple[str, Settings],
) -> None:
    key, settings = film_elsewhere
    request = (settings.work_dir / key / "video.json").read_bytes()
    for act in (
        lambda: purge(key, None, settings),
        lambda: take_back(key, settings),
        # This is the asset.
        lambda: publish(key, settings),
    ):
        with pytest.raises(VideoBusy, match="elsewhere"):
            act()
    with closing(ReviewRuns(settings)) as runs, pytest.raises(VideoBusy), runs.hold(key):
        pass
    prune(settings, dry_run=False)
    # A decision is theirs alone; the report is left to the run.
    assert approve(key, settings, "Ada").decision
    assert (settings.work_dir / key / "video.json").read_bytes() == request
    with open_instance(settings.work_dir) as instance:
        state = leases.look(instance, PLAIN.film(key))
        assert state
        leases.revoke(instance, PLAIN.film(key), state.token)
    purge(key, None, settings)
    assert not (settings.work_dir / key / "video.json").exists()


def test_a_stage_waits_for_what_a_person_does(tmp_path: Path) -> None:
    settings = load_settings(None, tmp_path)
    done: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    with open_instance(tmp_path) as instance:

        def by_a_person() -> None:
            with (
                leases.hold_film(instance, "film", settings),
                leases.hold_film(instance, "film", settings),
            ):
                inside.set()
                go_on.wait()
                done.append("person")

        person = threading.Thread(target=by_a_person)
        person.start()
        inside.wait()
        with pytest.MonkeyPatch.context() as patch:
            # The first look of the stage finds the film held.
            patch.setattr(leases.time, "sleep", lambda _: go_on.set())
            with leases.film_lease(instance, PLAIN.film("film"), "run", LONG_S) as lease:
                done.append("stage")
        person.join()
    assert done == ["person", "stage"]
    assert lease.token == 2
