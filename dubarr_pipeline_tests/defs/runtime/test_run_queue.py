from __future__ import annotations

import heapq
from pathlib import Path
from typing import TYPE_CHECKING, cast

import dagster as dg
import pytest
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.test_utils import create_run_for_test
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.defs.runtime.records import FILM_TAGS, stage_key
from dubarr_pipeline.defs.runtime.run_queue import FairRunCoordinator, ranks, wants_gpu
from dubarr_pipeline_tests.fixtures.film_shelf import register

if TYPE_CHECKING:
    from dagster._core.workspace.context import BaseWorkspaceRequestContext


@pytest.mark.parametrize(
    ("job", "stages", "wants"),
    [
        ("dub", None, True),
        ("publish", None, False),
        ("dub_file", None, False),
        ("approve", None, False),
        ("__ASSET_JOB", ["published"], False),
        ("__ASSET_JOB", ["mux", "report", "published"], False),
        ("__ASSET_JOB", ["segments", "published"], True),
    ],
)
def test_publishing_wants_no_gpu(job: str, stages: list[str] | None, wants: bool):
    asked = frozenset(stage_key(stage) for stage in stages) if stages else None
    assert wants_gpu(dg.DagsterRun(job_name=job, asset_selection=asked)) is wants


LIBRARIES = st.lists(st.sampled_from(["films", "series", "kids"]), max_size=60)


def test_a_late_short_library_goes_in_between_a_long_queue():
    films = ranks({}, ["films"] * 5)
    assert films == [0, 1, 2, 3, 4]
    # Two of the films have been started since.
    assert ranks({"films": films[2:]}, ["series", "series", "films"]) == [2, 3, 5]


def test_a_library_that_was_idle_saves_up_no_claim():
    assert ranks({"films": [500, 501]}, ["series"]) == [500]


@given(st.lists(LIBRARIES, max_size=5))
def test_while_two_libraries_wait_neither_gets_two_ahead(arrivals: list[list[str]]):
    waiting: dict[str, list[int]] = {}
    order = 0
    queue: list[tuple[int, int, str]] = []
    for arriving in arrivals:
        for library, rank in zip(arriving, ranks(waiting, arriving), strict=True):
            waiting.setdefault(library, []).append(rank)
            heapq.heappush(queue, (rank, order, library))
            order += 1
    served: dict[str, int] = {}
    while queue:
        _, _, library = heapq.heappop(queue)
        served[library] = served.get(library, 0) + 1
        still = {each for _, _, each in queue}
        for other in still - {library}:
            # All came to an empty queue, so that their turns can be counted from its start.
            assert served[library] <= served.get(other, 0) + 1


def test_a_run_of_the_ui_gets_the_tags_of_its_film(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUBARR_WORK_DIR", str(tmp_path / "work"))
    # Dagster queues only what a code server knows.
    monkeypatch.setattr(dg.QueuedRunCoordinator, "submit_run", lambda _, asked: asked.dagster_run)
    (key,) = register([film], tmp_path / "work", None)
    with dg.instance_for_test() as instance:
        queue = FairRunCoordinator()
        queue.register_instance(instance)
        for partition, tags in ((key, {"Film": "tiny", "Language": "es"}), ("gone", {})):
            marks = {"dagster/partition": partition}
            run = create_run_for_test(instance, job_name="publish", tags=marks)
            queue.submit_run(SubmitRunContext(run, cast("BaseWorkspaceRequestContext", None)))
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            assert {name: found.tags[name] for name in FILM_TAGS if name in found.tags} == tags
