"""Telling people: one library (Apprise) for all channels."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from dubarr_pipeline.errors import ServiceUnavailable, SettingsError

_log = logging.getLogger(__name__)

NOTIFY_VARIABLE = "DUBARR_NOTIFY"


def addresses(written: Sequence[str]) -> tuple[str, ...]:
    """All addresses to tell: those of the settings, and those in ``$DUBARR_NOTIFY``."""
    named = os.environ.get(NOTIFY_VARIABLE, "").split()
    return tuple(dict.fromkeys([*written, *named]))


def notify(written: Sequence[str], title: str, text: str) -> int:
    """Tell everybody; returns how many channels there are. An address holds secrets: never logged.

    Raises:
        SettingsError: if an address is none that Apprise knows; it is named by its scheme alone.
        ServiceUnavailable: if a channel did not take it.
    """
    to = addresses(written)
    if not to:
        return 0
    import apprise

    with _silenced("apprise", "urllib3", "requests"):
        _tell(apprise.Apprise(), to, title, text)
    return len(to)


@contextlib.contextmanager
def _silenced(*names: str) -> Iterator[None]:
    """For a time nothing is logged under these names: Apprise writes whole addresses there."""
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _tell(channels: Any, to: Sequence[str], title: str, text: str) -> None:
    for address in to:
        if not channels.add(address):
            scheme = address.partition("://")[0] if "://" in address else "no scheme"
            raise SettingsError(
                f"failures.notify: an address ({scheme}) is none that Apprise knows: see "
                "https://github.com/caronc/apprise/wiki"
            )
    if not channels.notify(body=text, title=title):
        raise ServiceUnavailable(f"{len(to)} channels to tell, and at least one did not take it")
