"""What can be launched: the whole way of a video, or parts of it."""

import dagster as dg

from dubarr_pipeline.records import stage_key

STAGES: tuple[str, ...] = (
    "vocals",
    "diarization",
    "transcript",
    "context",
    "refs",
    "segments",
    "mix",
    "mux",
    "report",
)
"""The stages, in the order in which a video passes them."""

dub = dg.define_asset_job(
    "dub",
    selection=dg.AssetSelection.assets(*(stage_key(stage) for stage in STAGES)),
    description="Dub a video: every stage, keeping what stands.",
)
