"""Contents: what Dagster loads for `dubarr serve library`, and what `dubarr dub` runs."""

import dagster as dg

from dubarr_pipeline.compute.json_lines import log_as_asked
from dubarr_pipeline.defs.code_location import build_definitions, chosen_executor

# Runs, and steps on other machines, begin here.
log_as_asked()
_executor = chosen_executor()
defs: dg.Definitions = build_definitions(executor=_executor)


def local_definitions() -> dg.Definitions:
    """Return the same with every step in this process, wherever the settings send the others'."""
    is_local = _executor is dg.in_process_executor
    return defs if is_local else build_definitions(executor=dg.in_process_executor)
