"""Hours of the day in which nothing is started by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of the day in local time, `start` included and `end` not; it may pass midnight."""

    start: time
    end: time

    def hold(self, now: time) -> bool:
        """Whether a time of day lies within."""
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def parse_hours(text: str) -> Hours:
    """Read ``"22:00-07:30"``.

    Raises:
        ValueError: if it is no such thing; the message shows the form.
    """
    start, _, end = text.partition("-")
    try:
        hours = Hours(_time(start), _time(end))
    except ValueError:
        raise ValueError(f"quiet hours {text!r}: write them as '22:00-07:30'") from None
    if hours.start == hours.end:
        raise ValueError(f"quiet hours {text!r} hold no time: leave them out, or mend them")
    return hours


def _time(text: str) -> time:
    return datetime.strptime(text.strip(), "%H:%M").time()


def is_quiet(written: tuple[str, ...], now: time) -> bool:
    """Whether one of the stretches holds at a time of day."""
    return any(parse_hours(text).hold(now) for text in written)
