"""Failed runs: tried again where that may help, and reported through Apprise."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dubarr_pipeline import errors
from dubarr_pipeline.config.options import FailureOptions
from dubarr_pipeline.errors import ServiceUnavailable, SettingsError

NOTIFY_VARIABLE = "DUBARR_NOTIFY"
_LASTING = (SettingsError, errors.SourceError, errors.MissingRequirement)
"""Errors after which another try fails in the same way: a wrong setting, a file that is no film, a
program that is not installed."""


def may_pass(error: str | None) -> bool:
    """Return whether the cause of an error, known by its name, may pass."""
    kind = getattr(errors, error or "", None)
    return kind in (None, errors.SourceMissing) or not issubclass(kind, _LASTING)


PUBLISHING = "published"
"""The asset after the last stage: the film was dubbed, but could not be published."""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed.

    Attributes:
        stage: the stage that failed, where that is known.
        error: the name of the `DubbingError` behind it, or None.
        attempt: number of tries so far; 1 after the first.
    """

    run_id: str
    video: str
    stage: str | None
    error: str | None
    cause: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Retry:
    """Another try that waits for its time."""

    run: FailedRun
    due_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Pending retries by video, kept between two ticks; a newer failure replaces an older one."""

    retries: Mapping[str, Retry] = field(default_factory=dict[str, Retry])

    def after(self, failed: Sequence[FailedRun], options: FailureOptions, now_s: float) -> Waiting:
        """Return the retries with those of failed runs for which another try may help."""
        known = dict(self.retries)
        for run in failed:
            known.pop(run.video, None)
            if may_pass(run.error) and run.attempt <= options.retries:
                known[run.video] = Retry(run, now_s + options.pause_s(run.attempt))
        return replace(self, retries=known)

    def due(self, options: FailureOptions, now_s: float) -> list[FailedRun]:
        """Return the runs whose retry is due.

        A retry that would wait for longer than its pause was planned before the clock was set back:
        it is due at once.
        """
        return [
            each.run
            for each in self.retries.values()
            if not 0 < each.due_s - now_s <= options.pause_s(each.run.attempt)
        ]

    def without(self, asked: Sequence[FailedRun]) -> Waiting:
        """Return the retries that are left when those of some runs are on their way."""
        left = {video: each for video, each in self.retries.items() if each.run not in asked}
        return replace(self, retries=left)


def in_words(run: FailedRun, options: FailureOptions) -> str:
    """Return the message to people about a failed run."""
    where = f"{run.video}, stage {run.stage}" if run.stage else run.video
    if may_pass(run.error) and run.attempt <= options.retries:
        minutes = options.pause_s(run.attempt) / 60
        return f"{where}: {run.cause}\nNext try in {minutes:.0f} minutes."
    tries = f" after {run.attempt} tries" if run.attempt > 1 else ""
    command = "publish" if run.stage == PUBLISHING else "retry"
    return (
        f"{where}: {run.cause}\nGiven up{tries}: fix it, then run `dubarr {command} {run.video}`."
    )


def notify(written: Sequence[str], title: str, text: str) -> int:
    """Notify all recipients, of the settings and of ``$DUBARR_NOTIFY``; return their number.

    An address holds secrets: never logged.

    Raises:
        SettingsError: if Apprise has no handler for an address; it is named by its scheme alone.
        ServiceUnavailable: if a channel did not accept the message.
    """
    recipients = tuple(dict.fromkeys([*written, *os.environ.get(NOTIFY_VARIABLE, "").split()]))
    if not recipients:
        return 0
    import apprise

    # Apprise logs whole addresses.
    with _silenced("apprise", "urllib3", "requests"):
        channels = apprise.Apprise()
        for address in recipients:
            if not channels.add(address):
                scheme = f"{address.partition('://')[0]}://" if "://" in address else "no scheme"
                raise SettingsError(
                    f"failures.notify: Apprise has no handler for an address ({scheme}): see "
                    "https://github.com/caronc/apprise/wiki"
                )
        if not channels.notify(body=text, title=title):
            raise ServiceUnavailable(
                f"failures.notify: at least one of {len(recipients)} channels refused a message"
            )
    return len(recipients)


@contextlib.contextmanager
def _silenced(*names: str) -> Iterator[None]:
    """Suppress all logging under these names."""
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    try:
        for logger in before:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
