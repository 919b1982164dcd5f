"""Growing pauses between attempts, and the HTTP answers after which another attempt may help.

One policy for everything that is tried again: HTTP calls, downloads, media servers, failed runs,
and processes that are restarted.
"""

import random
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

TRANSIENT_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers that may differ the next time: time-outs, overload, and servers that are starting."""
_MAX_DOUBLINGS = 30
"""Beyond this the limit has long been reached, and a float would overflow at 1024."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double after every failure in a row.

    Attributes:
        first_s: pause after the first failure.
        limit_s: longest pause.
        jitter: share by which a pause varies at random in both directions, so that clients that
            failed together do not come back together.
    """

    first_s: float = 1.0
    limit_s: float = 30.0
    jitter: float = 0.0

    def pause_s(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row; 0 without any."""
        if failures <= 0:
            return 0.0
        pause_s = min(self.first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), self.limit_s)
        return pause_s * random.uniform(1.0 - self.jitter, 1.0 + self.jitter)


def retry_after_s(header: str | None, limit_s: float) -> float:
    """Return the pause that a server requests in ``Retry-After`` (RFC 9110, 10.2.3) within a limit.

    It is in seconds, or a date; anything else counts as no request.
    """
    try:
        pause_s = float(header or 0.0)
    except ValueError:
        try:
            pause_s = parsedate_to_datetime(header or "").timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    # A comparison with NaN is false: such a header requests nothing.
    return min(limit_s, pause_s) if pause_s > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Terms on which a process that ends is started again.

    Attributes:
        backoff: pauses before the restarts.
        max_restarts: in a row; then it is given up. None: never.
        steady_s: a process that ran this long has its earlier deaths forgotten.
        grace_s: from TERM to KILL when it is stopped.
    """

    backoff: Backoff = field(default_factory=Backoff)
    max_restarts: int | None = 5
    steady_s: float = 60.0
    grace_s: float = 10.0


class Restarts:
    """Deaths of one process since it last ran steadily, under a policy."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.deaths = 0

    def note_death(self, lived_s: float) -> None:
        """Count a death after so many seconds of life."""
        self.deaths = 1 if lived_s >= self.policy.steady_s else self.deaths + 1

    @property
    def pause_s(self) -> float:
        """Seconds to wait before the next start; 0 before the first."""
        return self.policy.backoff.pause_s(self.deaths)

    @property
    def exhausted(self) -> bool:
        """True if it has died too often to be started again."""
        most = self.policy.max_restarts
        return most is not None and self.deaths > most
