from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from dubarr_pipeline.config.options import FailureOptions
from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.library.failures import NOTIFY_VARIABLE, FailedRun, Waiting, in_words, notify

OPTIONS = FailureOptions(retries=2, first_pause_minutes=10, longest_pause_minutes=15)


def failed(error: str | None = "ServiceTimeout", attempt: int = 1, video: str = "a") -> FailedRun:
    return FailedRun(f"run-{video}-{attempt}", video, "segments", error, "no answer", attempt)


@pytest.mark.parametrize(
    ("error", "attempt", "pause_s"),
    [
        ("ServiceTimeout", 1, 600.0),
        ("DiskFull", 2, 900.0),
        ("SourceMissing", 1, 600.0),
        ("ServiceTimeout", 3, None),
        ("NotAVideo", 1, None),
        ("MissingRequirement", 1, None),
        ("LicenceError", 1, None),
        (None, 1, 600.0),
        ("MediaToolError", 1, 600.0),
    ],
)
def test_only_what_may_pass_is_tried_again_and_not_for_ever(
    error: str | None, attempt: int, pause_s: float | None
):
    waiting = Waiting().after([failed(error, attempt)], OPTIONS, 1_000.0)
    if pause_s is None:
        assert waiting == Waiting()
        return
    assert waiting.due(OPTIONS, 1_000.0 + pause_s - 1) == []
    assert waiting.due(OPTIONS, 1_000.0 + pause_s) == [failed(error, attempt)]
    assert waiting.without([failed(error, attempt)]) == Waiting()


def test_a_run_whose_process_was_killed_is_tried_again():
    killed = FailedRun("run", "a", None, None, "its process was killed")
    assert Waiting().after([killed], OPTIONS, 0.0).due(OPTIONS, 600.0) == [killed]


def test_a_newer_failure_takes_the_place_of_an_older_one():
    waiting = Waiting().after([failed(), failed(video="b")], OPTIONS, 0.0)
    waiting = waiting.after([failed("NotAVideo", 2)], OPTIONS, 1.0)
    assert [run.video for run in waiting.due(OPTIONS, 1e12)] == ["b"]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (failed(), "Next try in 10 minutes."),
        (failed(attempt=3), "Given up after 3 tries: fix it, then run `dubarr retry a`."),
        (failed("NotAVideo"), "Given up: fix it"),
    ],
)
def test_people_are_told_what_and_what_next(run: FailedRun, words: str):
    text = in_words(run, OPTIONS)
    assert text.startswith("a, stage segments: no answer\n")
    assert words in text


@pytest.mark.parametrize(
    "wrong",
    [{"longest_pause_minutes": 1}],
)
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=r"retries|pause"):
        FailureOptions(**wrong)  # pyright: ignore[reportArgumentType]


class _Channel(http.server.BaseHTTPRequestHandler):
    told: list[dict[str, str]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).told.append(json.loads(body))
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def channel() -> Iterator[tuple[str, type[_Channel]]]:
    """A channel on loopback that takes JSON, and its Apprise address."""

    class Channel(_Channel):
        told: list[dict[str, str]] = []  # noqa: RUF012 - one list per test

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Channel)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_address[1]}/secret-token", Channel
    server.shutdown()
    server.server_close()


def test_every_channel_is_told(
    channel: tuple[str, type[_Channel]], monkeypatch: pytest.MonkeyPatch
):
    address, received = channel
    monkeypatch.setenv(NOTIFY_VARIABLE, f"{address}/other {address}")
    assert notify((address,), "a title", "a text") == 2
    told = [(each["title"], each["message"]) for each in received.told]
    assert told == [("a title", "a text")] * 2


def test_a_channel_that_refuses_or_an_unknown_address_is_named_without_its_secret(
    channel: tuple[str, type[_Channel]], caplog: pytest.LogCaptureFixture
):
    address, received = channel
    received.status = 500
    with pytest.raises(ServiceUnavailable, match="1 channels"):
        notify((address,), "a title", "a text")
    with pytest.raises(SettingsError, match=r"no handler for an address \(nowhere://\)") as found:
        notify(("nowhere://secret-token",), "a title", "a text")
    assert "secret-token" not in str(found.value)


def test_without_addresses_nobody_is_told():
    assert notify((), "a title", "a text") == 0
