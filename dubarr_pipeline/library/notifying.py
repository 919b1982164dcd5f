"""Telling people: one library (Apprise) for all channels."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

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

    channels = apprise.Apprise()
    for address in to:
        if not channels.add(address):
            scheme = address.partition("://")[0] if "://" in address else "no scheme"
            raise SettingsError(
                f"failures.notify: an address ({scheme}) is none that Apprise knows: see "
                "https://github.com/caronc/apprise/wiki"
            )
    if not channels.notify(body=text, title=title):
        raise ServiceUnavailable(f"{len(to)} channels to tell, and at least one did not take it")
    return len(to)
