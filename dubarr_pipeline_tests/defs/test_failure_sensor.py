"""The sensor of failures, look by look, over runs that really failed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from sqlalchemy.exc import OperationalError

from dubarr_pipeline.defs import failure_sensor
from dubarr_pipeline.defs.failure_sensor import failures_sensor
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.errors import ServiceUnavailable
from dubarr_pipeline_tests.fixtures.bench import write_config

failures = failures_sensor(PLAIN)


@dataclass
class Looks:
    """The sensor, with what it remembers, and a clock that may be set on."""

    folder: Path
    instance: dg.DagsterInstance
    told: list[str] = field(default_factory=list)
    cursor: str | None = None
    ahead_s: float = 0.0
    channel_is_down: bool = False

    def look(self) -> list[dg.RunRequest]:
        config = write_config(self.folder / "dubarr.toml", {"failures": {"retries": 2}})
        dubarr = DubarrResource(config_file=str(config), work_dir=str(self.folder / "work"))
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"dubarr": dubarr}
        ) as context:
            result = failures(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def fail(self, error: str | Exception | None, stage: str = "segments", **tags: str) -> str:
        """Have a run of a video fail by an error of ours, or by another."""

        @dg.op(name=f"dub__{stage}")
        def fails() -> None:
            if isinstance(error, Exception):
                raise error
            raise dg.Failure("no answer", metadata={"error": error} if error else None)

        @dg.job(name="dub")
        def dub() -> None:
            fails()

        marks = {"dagster/partition": "a-video", "dubarr/library": "films", **tags}
        made = dub.execute_in_process(instance=self.instance, raise_on_error=False, tags=marks)
        assert not made.success
        return made.run_id

    def kill(self, **tags: str) -> str:
        """Have a run of a video fail as one whose process was killed."""
        marks = {"dagster/partition": "a-video", **tags}
        run = self.instance.create_run_for_job(_nothing, tags=marks)
        self.instance.report_run_failed(run, "its process was killed")
        return run.run_id

    def queue(self, again: dg.RunRequest, status: str = "STARTED") -> None:
        """Create the run of a request, as the daemon does."""
        tags = {"dagster/run_key": again.run_key or "", "dagster/partition": "a-video"}
        queued = dg.DagsterRunStatus(status)
        self.instance.create_run_for_job(_nothing, tags=tags, status=queued)


@dg.job(name="dub")
def _nothing() -> None:
    """Nothing: it never comes to work."""


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    with dg.instance_for_test() as instance:
        found = Looks(tmp_path, instance)

        def notify(_: object, __: str, text: str) -> int:
            if found.channel_is_down:
                raise ServiceUnavailable("nobody is there")
            found.told.append(text)
            return 1

        now = time.time
        monkeypatch.setattr(failure_sensor, "notify", notify)
        monkeypatch.setattr(failure_sensor.time, "time", lambda: now() + found.ahead_s)
        assert found.look() == []
        yield found


def test_a_store_that_was_away_is_no_fault_of_the_video(looks: Looks):
    closed = psycopg2.OperationalError("server closed the connection unexpectedly")
    looks.fail(OperationalError("SELECT 1", {}, closed))
    assert looks.look() == []
    (told,) = looks.told
    assert "Dagster's store did not answer" in told
    assert "Next try in 10 minutes" in told
    looks.ahead_s = 660
    (again,) = looks.look()
    assert again.partition_key == "a-video"


def test_what_is_dubbed_is_only_published_again(looks: Looks):
    looks.fail("ServiceUnavailable", "published", Film="A film", Language="es")
    assert looks.look() == []
    assert "a-video, stage published: no answer" in looks.told[0]
    looks.ahead_s = 660
    (again,) = looks.look()
    assert again.asset_selection == [dg.AssetKey(["dub", "published"])]
    assert list(again.tags)[:2] == ["Film", "Language"]
    looks.fail("SettingsError", "published")
    looks.look()
    assert "run `dubarr publish a-video`" in looks.told[-1]


def test_a_clock_that_is_set_back_hides_no_failure_and_delays_no_try(looks: Looks):
    looks.cursor, looks.ahead_s = None, 3 * 3600
    looks.look()
    looks.ahead_s = 0
    looks.fail("ServiceTimeout")
    assert looks.look() == []
    assert len(looks.told) == 1
    looks.ahead_s = -7200
    (again,) = looks.look()
    looks.queue(again)
    assert looks.look() == []
    assert len(looks.told) == 1


def test_a_cause_that_may_pass_is_tried_again_after_its_pause(looks: Looks):
    run_id = looks.fail("ServiceTimeout")
    assert looks.look() == []
    assert looks.told == ["a-video, stage segments: no answer\nNext try in 10 minutes."]
    looks.ahead_s = 590
    assert looks.look() == []
    looks.ahead_s = 601
    (again,) = looks.look()
    assert (again.run_key, again.partition_key) == (f"again/{run_id}", "a-video")
    assert (again.tags["dubarr/attempt"], again.tags["dubarr/library"]) == ("2", "films")
    looks.queue(again)
    assert looks.look() == []
    assert len(looks.told) == 1


def test_the_tries_come_to_an_end(looks: Looks):
    looks.fail("ServiceTimeout", **{"dubarr/attempt": "3"})
    looks.ahead_s = 1e6
    assert looks.look() == []
    assert looks.told[0].endswith(
        "Given up after 3 tries: fix it, then run `dubarr retry a-video`."
    )


def test_a_try_that_was_asked_for_and_never_queued_is_asked_for_again(looks: Looks):
    """The daemon was killed between the sensor and the queue, or the store was away."""
    looks.fail(None)
    looks.look()
    looks.ahead_s = 601
    (first,) = looks.look()
    (second,) = looks.look()
    assert first.run_key == second.run_key
    looks.queue(first)
    assert looks.look() == []


def test_a_failure_that_reaches_the_store_late_is_seen(looks: Looks):
    """Its time was taken before the store's lock, and that of a younger one after it."""
    looks.fail("ServiceTimeout")
    looks.look()
    state = json.loads(looks.cursor or "")
    looks.cursor = json.dumps({**state, "since_s": state["since_s"] + 100, "seen": []})
    looks.look()
    looks.look()
    assert len(looks.told) == 2


def test_a_run_that_was_created_and_never_queued_is_ended_and_tried_again(looks: Looks):
    looks.queue(dg.RunRequest("films/1"), "NOT_STARTED")
    looks.instance.create_run_for_job(_nothing, tags={"dagster/partition": "by-hand"})
    looks.ahead_s = 290
    looks.look()
    looks.ahead_s = 310
    looks.look()
    looks.look()
    assert [told.partition(":")[0] for told in looks.told] == ["a-video"]
    looks.ahead_s = 1_000
    assert [again.partition_key for again in looks.look()] == ["a-video"]


@pytest.mark.parametrize("error", ["NotAVideo", "MissingRequirement"])
def test_what_stays_is_told_and_not_tried_again(looks: Looks, error: str):
    looks.fail(error)
    looks.ahead_s = 1e6
    assert looks.look() == []
    assert len(looks.told) == 1
    assert looks.look() == []
    assert len(looks.told) == 1, "once is enough"


def test_what_dagster_goes_on_with_itself_or_is_not_ours_is_left_to_it(looks: Looks):
    restart = looks.instance.create_run_for_job(_nothing, status=dg.DagsterRunStatus.STARTED)
    looks.kill(**{"dagster/will_retry": "true", "dagster/auto_retry_run_id": restart.run_id})
    looks.fail("ServiceTimeout", **{"dagster/partition": ""})
    looks.ahead_s = 1e6
    assert looks.look() == []
    assert looks.told == []


def test_a_run_that_dagster_could_not_go_on_with_after_all_is_tried_again(looks: Looks):
    run_id = looks.kill(**{"dagster/will_retry": "true"})
    assert (looks.look(), looks.told) == ([], [])
    looks.instance.add_run_tags(run_id, {"dagster/will_retry": "false"})
    assert looks.look() == []
    assert "Next try in 10 minutes." in looks.told[0]
    looks.ahead_s = 601
    (again,) = looks.look()
    assert again.run_key == f"again/{run_id}"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_restart_that_dagster_promised_and_never_queued_is_overdue_after_a_minute(
    looks: Looks, recorded: bool
):
    """Its daemon was killed in between, or the code server did not answer just then."""
    tags = {"dagster/will_retry": "true"}
    if recorded:
        restart = looks.instance.create_run_for_job(_nothing)
        tags["dagster/auto_retry_run_id"] = restart.run_id
    run_id = looks.kill(**tags)
    looks.ahead_s = 50
    assert (looks.look(), looks.told) == ([], [])
    looks.ahead_s = 70
    assert looks.look() == []
    assert "Next try in 10 minutes." in looks.told[0]
    looks.ahead_s = 700
    (again,) = looks.look()
    assert again.run_key == f"again/{run_id}"
    looks.queue(again)
    assert looks.look() == []
    assert len(looks.told) == 1


def test_a_restart_that_came_in_time_is_dagsters_own(looks: Looks):
    run_id = looks.kill(**{"dagster/will_retry": "true"})
    looks.ahead_s = 50
    looks.look()
    restart = looks.instance.create_run_for_job(_nothing, status=dg.DagsterRunStatus.STARTED)
    looks.instance.add_run_tags(run_id, {"dagster/auto_retry_run_id": restart.run_id})
    looks.ahead_s = 1e6
    assert (looks.look(), looks.told) == ([], [])


def test_what_could_not_be_told_is_told_the_next_time(looks: Looks):
    looks.channel_is_down = True
    looks.fail("NotAVideo")
    looks.look()
    looks.look()
    assert looks.told == []
    looks.channel_is_down = False
    looks.look()
    looks.look()
    assert len(looks.told) == 1
    assert json.loads(looks.cursor or "")["untold"] == []


def test_failures_from_before_the_first_look_are_old_news(tmp_path: Path):
    with dg.instance_for_test() as instance:
        before = Looks(tmp_path, instance)
        before.fail("ServiceTimeout")
        before.ahead_s = 0
        time.sleep(1.1)  # the store's clock is looked at with a second's reserve
        before.look()
        assert json.loads(before.cursor or "")["waiting"] == {"retries": {}}
