"""A Dagster project of somebody's own, with a dubbing library put into it."""

import os

import dagster as dg

from dubarr_pipeline import build_definitions

workshop = dg.ResourceDefinition.hardcoded_resource("a workshop that is not dubarr's")
videos = dg.DynamicPartitionsDefinition(name="videos")


@dg.asset(partitions_def=videos, required_resource_keys={"workshop"})
def poster(context: dg.AssetExecutionContext) -> str:
    """Paint a poster."""
    return f"a poster for {context.partition_key}, by {context.resources.workshop}"


# Steps in processes of their own, forked from one that has loaded dubarr.
forked = {"forkserver": {"preload_modules": ["dubarr_pipeline.defs.code_location"]}}
executor = dg.multiprocess_executor.configured({"max_concurrent": 2, "start_method": forked})
own = dg.Definitions([poster], resources={"workshop": workshop}, executor=executor)
dubbing = build_definitions(work_dir=os.environ["FILM_WORK"], key_prefix=["cinema"])
defs = dg.Definitions.merge(own, dubbing)
