"""Dagster's store and processes: records, plan, status, runs, run queue, liveness, server."""
