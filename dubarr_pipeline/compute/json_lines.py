"""Log as one JSON object a line, for programs that collect logs: time, level, logger, message.

A line of a run has also ``film``, ``stage`` and ``run``, one about a line of the script ``line``,
one about an event of Dagster's ``event``, and one about an error ``error``. Whatever Dagster
prints for people goes through coloredlogs, which is given our formatter.
"""

import datetime
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

LOG_FORMAT = "DUBARR_LOG_FORMAT"
"""Environment variable by which our processes hand on how they log: ``json``."""
_OURS = "dubarr_pipeline"
_META = "dagster_meta"
_ORIGIN = "origin"


class JsonLines(logging.Formatter):
    """Formatter of one JSON object a line; it takes, and ignores, what other formatters take."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line without a line break."""
        meta: Mapping[str, Any] = getattr(record, _META, None) or {}
        event = meta.get("dagster_event")
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": getattr(record, _ORIGIN, record.name),
            "message": meta.get("orig_message") or record.getMessage(),
            "film": (meta.get("job_tags") or {}).get("dagster/partition"),
            "stage": (meta.get("step_key") or "").rpartition("dub__")[2],
            "run": meta.get("run_id"),
            "line": getattr(record, "line", None),
            "event": getattr(event, "event_type_value", None),
            "error": self._error(record, event),
        }
        named = {name: value for name, value in line.items() if value not in (None, "")}
        return json.dumps(named, ensure_ascii=True, default=str)

    def _error(self, record: logging.LogRecord, event: object) -> str | None:
        if record.exc_info:
            return self.formatException(record.exc_info)
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        return error.to_string() if error is not None else None


class _NoteOrigin(logging.Handler):
    """Notes who wrote a record: Dagster, which passes it on under its own name, keeps extras."""

    def emit(self, record: logging.LogRecord) -> None:
        setattr(record, _ORIGIN, record.name)


def logs_json() -> bool:
    """Return whether this process logs JSON."""
    return any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers)


def log_as_asked() -> None:
    """Log JSON if the environment asks for it."""
    if os.environ.get(LOG_FORMAT) == "json":
        log_json()


def log_json() -> None:
    """Have all of this process, and those that it starts, log JSON; standard error takes it."""
    os.environ[LOG_FORMAT] = "json"
    if logs_json():
        return
    import coloredlogs

    coloredlogs.ColoredFormatter = coloredlogs.BasicFormatter = JsonLines
    known = (logging.getLogger(name) for name in list(logging.root.manager.loggerDict))
    for handler in (each for logger in known for each in logger.handlers):
        handler.setFormatter(JsonLines())
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(_is_unprinted)
    logging.getLogger().addHandler(handler)
    ours = logging.getLogger(_OURS)
    ours.setLevel(logging.INFO)
    ours.addHandler(_NoteOrigin())
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    threading.excepthook = lambda told: _log_crash(*told[:3])


def _is_unprinted(record: logging.LogRecord) -> bool:
    """Return whether Dagster printed a record neither as a run's nor by a handler of its own."""
    above = logging.getLogger(record.name.partition(".")[0])
    printed = any(isinstance(each.formatter, JsonLines) for each in above.handlers)
    return not (printed or hasattr(record, _META))


def _log_crash(kind: Any, error: Any, trace: Any) -> None:
    told = (kind, error, trace)
    logging.getLogger(_OURS).critical("%s ends: %s", sys.argv[0], error, exc_info=told)
