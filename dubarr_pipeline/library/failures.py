"""What becomes of a run that failed: tried again if that may help, and told to those who care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

TRANSIENT = frozenset(
    (
        "DiskFull",
        "OutOfMemory",
        "ServiceTimeout",
        "ServiceUnavailable",
        "SourceMissing",
        "VideoBusy",
    )
)
"""Errors that may be gone by themselves: a mount comes back, a server restarts, room is made. Of
all others (a file that is no film, a wrong setting) a second try makes the same."""


PUBLISHING = "publishing"
"""In place of a stage: the film was dubbed, and could not be put in its place."""


@dataclass(frozen=True, slots=True)
class FailureOptions:
    """What becomes of failed runs.

    Attributes:
        retries: further tries of a run whose cause may pass; 0: none.
        first_pause_minutes: before the first of them; doubled each time.
        longest_pause_minutes: no pause is longer.
        notify: where to tell of failures, as Apprise's addresses (``mailto://``, ``ntfy://``,
            ``discord://`` and a hundred more); those in ``$DUBARR_NOTIFY`` are added.
    """

    retries: int = 3
    first_pause_minutes: float = 10.0
    longest_pause_minutes: float = 720.0
    notify: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError("retries must not be negative")
        if not 0 < self.first_pause_minutes <= self.longest_pause_minutes:
            raise ValueError("0 < first_pause_minutes <= longest_pause_minutes must hold")

    def pause_s(self, attempt: int) -> float:
        """Seconds before a further try, after `attempt` tries, the first included."""
        minutes = min(self.first_pause_minutes * 2.0 ** (attempt - 1), self.longest_pause_minutes)
        return 60.0 * minutes


@dataclass(frozen=True, slots=True)
class FailedRun:
    """One run that failed.

    Attributes:
        video: its partition.
        stage: at which it failed, where that is known.
        error: the name of our error behind it, where it is one.
        cause: in words.
        attempt: how many tries have been made by now; 1 after the first.
    """

    run_id: str
    video: str
    stage: str | None
    error: str | None
    cause: str
    attempt: int = 1

    @property
    def may_pass(self) -> bool:
        """Whether trying it again may help: also where no stage failed, but the run's process."""
        return self.error in TRANSIENT or (self.stage is None and self.error is None)


@dataclass(frozen=True, slots=True)
class Retry:
    """A further try that waits for its time."""

    run: FailedRun
    due_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The tries that wait; what the failure sensor remembers between two looks."""

    retries: Mapping[str, Retry] = field(default_factory=dict[str, Retry])
    """By video: a newer failure takes the place of an older one."""

    def after(self, failed: Sequence[FailedRun], options: FailureOptions, now_s: float) -> Waiting:
        """Add what failed, as far as another try may help."""
        known = dict(self.retries)
        for run in failed:
            known.pop(run.video, None)
            if run.may_pass and run.attempt <= options.retries:
                known[run.video] = Retry(run, now_s + options.pause_s(run.attempt))
        return replace(self, retries=known)

    def due(self, options: FailureOptions, now_s: float) -> tuple[list[FailedRun], Waiting]:
        """Take out the tries whose time has come.

        One that would wait for longer than its pause was planned by a clock that has been set
        back since: it is due at once.
        """

        def waits(retry: Retry) -> bool:
            return 0 < retry.due_s - now_s <= options.pause_s(retry.run.attempt)

        ready = [retry.run for retry in self.retries.values() if not waits(retry)]
        left = {video: retry for video, retry in self.retries.items() if waits(retry)}
        return ready, replace(self, retries=left)


def in_words(run: FailedRun, options: FailureOptions) -> str:
    """What a person is told of a failed run."""
    where = f"{run.video}, stage {run.stage}" if run.stage else run.video
    if run.may_pass and run.attempt <= options.retries:
        minutes = options.pause_s(run.attempt) / 60
        return f"{where}: {run.cause}\nTried again in {minutes:.0f} minutes."
    tries = f" after {run.attempt} tries" if run.attempt > 1 else ""
    command = "publish" if run.stage == PUBLISHING else "retry"
    return f"{where}: {run.cause}\nGiven up{tries}: mend it, then `dubarr {command} {run.video}`."
