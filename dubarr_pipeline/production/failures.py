"""The stable names under which the report counts lines that failed."""

from __future__ import annotations

from dubarr_pipeline.errors import (
    BadReply,
    EngineError,
    LineError,
    OutOfMemory,
    ServiceError,
    ServiceTimeout,
)

LINE_FAILURES = (ServiceError, EngineError)
"""What may end one line while the others go on. Anything else ends the production."""


def failure_name(error: Exception, service: str) -> str:
    """Name the failure of a line by the error that ended it.

    Args:
        error: what was raised.
        service: which service was being asked: ``"llm"`` or ``"tts"``.
    """
    if isinstance(error, LineError):
        return error.failure
    names = {
        ServiceTimeout: "timeout",
        BadReply: "bad_reply",
        ServiceError: "unavailable",
        OutOfMemory: "out_of_memory",
    }
    known = (name for kind, name in names.items() if isinstance(error, kind))
    return f"{service}_{next(known, 'failed')}"
