"""Contents: what Dagster loads for `dubarr serve library`, and what `dubarr dub` runs."""

import dagster as dg

from dubarr_pipeline.defs.code_location import build_definitions

defs = build_definitions(executor=dg.in_process_executor)
