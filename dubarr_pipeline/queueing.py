"""Alias of `defs.runtime.run_queue`, for `dagster.yaml` files written before it moved."""

from dubarr_pipeline.defs.runtime.run_queue import FairRunCoordinator as FairRunCoordinator
