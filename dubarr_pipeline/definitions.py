"""Contents: what Dagster loads for `dubarr serve library`, and what `dubarr dub` runs."""

import dagster as dg

from dubarr_pipeline.compute.json_lines import log_as_asked
from dubarr_pipeline.defs.code_location import build_definitions, chosen_executor

# Runs, and steps on other machines, begin here.
log_as_asked()
defs: dg.Definitions = build_definitions(executor=chosen_executor())
