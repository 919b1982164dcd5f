from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging, sys, threading, warnings
import dagster as dg
from dubarr_pipeline.compute.json_lines import log_as_asked
log_as_asked()
log = logging.getLogger("dubarr_pipeline.segments.line")
log.debug("unseen")
log.info("of\\n%s lines", 2, extra={"line": 7})
warnings.warn("soon gone", FutureWarning)
logging.getLogger("uvicorn.error").error("theirs")
from dagster._utils.log import configure_loggers
configure_loggers()
logging.getLogger("dagster.daemon").info("of the daemon")
@dg.asset
def made(context):
    log.warning("in a run", extra={"line": 8})
    context.log.info("by Dagster")
    raise ValueError("its words")
with dg.DagsterInstance.ephemeral(settings={"python_logs": {
    "managed_python_loggers": ["dubarr_pipeline"], "python_log_level": "INFO"}}) as store:
    dg.materialize([made], instance=store, raise_on_error=False)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("caught")
thread = threading.Thread(target=lambda: [][1])
thread.start()
thread.join()
raise SystemError("uncaught")
"""


def run(form: str) -> list[str]:
    environment = {**os.environ, "DUBARR_LOG_FORMAT": form}
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    return (ran.stdout + ran.stderr).splitlines()


def test_whatever_a_process_writes_is_one_object_a_line() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in run("json")]
    found = {each["message"]: each for each in lines}
    assert len(found) == len(lines), "nothing is written twice"
    assert "unseen" not in found
    assert found["of the daemon"]["logger"] == "dagster.daemon"
    assert found["of\n2 lines"]["line"] == 7
    assert found["of\n2 lines"]["level"] == "INFO"
    assert found["theirs"]["logger"] == "uvicorn.error"
    assert any("soon gone" in message for message in found)
    in_run = found["in a run"]
    assert (in_run["logger"], in_run["line"]) == ("dubarr_pipeline.segments.line", 8)
    assert (in_run["stage"], len(in_run["run"])) == ("made", 36)
    assert found["by Dagster"]["run"] == in_run["run"]
    failed = next(each for each in lines if each.get("event") == "STEP_FAILURE")
    assert "ValueError: its words" in failed["error"]
    assert "ZeroDivisionError" in found["caught"]["error"]
    assert sum("IndexError" in each.get("error", "") for each in lines) == 1
    assert lines[-1]["level"] == "CRITICAL"
    assert lines[-1]["message"].endswith("ends: uncaught")
    assert all(each["time"].endswith("Z") for each in lines)


def test_without_a_wish_it_is_for_people() -> None:
    lines = run("text")
    assert "Traceback (most recent call last):" in lines
    assert not [line for line in lines if line.startswith("{")]
