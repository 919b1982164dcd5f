"""A program of Dagster's that logs as the environment asks: ``python -m ... MODULE ARGUMENTS``."""

import runpy
import sys
from importlib import import_module

from dubarr_pipeline.compute.json_lines import log_as_asked
from dubarr_pipeline.compute.loading import QuickLoading

if __name__ == "__main__":
    log_as_asked()
    with QuickLoading():
        import_module("dagster")
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
