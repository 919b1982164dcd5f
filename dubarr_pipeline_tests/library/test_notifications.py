"""An address of a channel holds its secret: it comes into no log and no message."""

from __future__ import annotations

import logging

import pytest

from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.library.failures import NOTIFY_VARIABLE, notify

SECRET = "S3CRETT0KEN"


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (f"slack://{SECRET}", SettingsError),
        (f"nonsense://{SECRET}", SettingsError),
        (f"{SECRET}", SettingsError),
        (f"json://user:{SECRET}@127.0.0.1:1/{SECRET}", ServiceUnavailable),
    ],
)
def test_the_secret_of_a_channel_is_logged_nowhere(
    address: str,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    monkeypatch.setenv(NOTIFY_VARIABLE, address)
    with pytest.raises(error) as told:
        notify((), "title", "text")
    said = capfd.readouterr()
    assert SECRET not in "".join((str(told.value), caplog.text, said.out, said.err))
    assert logging.getLogger("apprise").level == logging.DEBUG, "as it was"
