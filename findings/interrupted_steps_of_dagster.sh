#!/usr/bin/env bash
# In Dagster an op with a retry policy is tried again when its run is interrupted from the keyboard:
# the interrupt ends the try, the run goes on and ends in success. Without a policy it ends the run.
# Policies are what a step lost with its worker needs, so a run in the caller's own process, which a
# person stops by Ctrl-C, must not carry them.
# Versions: dagster 1.13.27.
# Seen: with a policy 2 tries and success; without one 1 try, and the interrupt reaches the caller.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import signal
from importlib.metadata import version

import dagster as dg

# What starts this script in the background may have it ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def tries_of(policy: dg.RetryPolicy | None) -> tuple[int, str]:
    """The tries of an op that is interrupted in its first, and how the run ended."""
    tries = []

    @dg.op(retry_policy=policy)
    def work() -> None:
        tries.append(1)
        if len(tries) == 1:
            signal.raise_signal(signal.SIGINT)

    @dg.job(executor_def=dg.in_process_executor)
    def film() -> None:
        work()

    try:
        ended = "success" if film.execute_in_process().success else "failure"
    except BaseException as error:
        ended = type(error).__name__
    return len(tries), ended


plain, kept = tries_of(None), tries_of(dg.RetryPolicy(max_retries=2))
print(f"dagster {version('dagster')}")
print(f"without a policy: {plain[0]} try, ended by {plain[1]}")
print(f"with one: {kept[0]} tries, ended in {kept[1]}")
assert plain == (1, "DagsterExecutionInterruptedError"), "interrupts of plain ops have changed"
assert kept == (2, "success"), "an interrupt is not tried again any more"
PYTHON
