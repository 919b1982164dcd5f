"""Alias of `defs.runtime.liveness`, for `dagster.yaml` files written before it moved."""

from dubarr_pipeline.defs.runtime.liveness import WatchedRunLauncher as WatchedRunLauncher
