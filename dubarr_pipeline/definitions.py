"""Contents: the stages in their order, the jobs that run them, and the resource they share."""

from collections.abc import Mapping

import dagster as dg

from dubarr_pipeline.config.settings import user_settings
from dubarr_pipeline.defs.dub_file import dub_file
from dubarr_pipeline.defs.failure_sensor import failures
from dubarr_pipeline.defs.gate import approve
from dubarr_pipeline.defs.jobs import daily_housekeeping, dub, housekeeping
from dubarr_pipeline.defs.publishing import publish, published, publishing
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.stage_run import stage_asset
from dubarr_pipeline.defs.sensors import media_folder, webhook_inbox
from dubarr_pipeline.defs.series_cast import cast
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.engines.registry import PROFILES, Kind
from dubarr_pipeline.errors import DubbingError


def chosen_engines() -> Mapping[Kind, str]:
    """Return the engines of the user's settings; the embedded profile's if those are faulty."""
    try:
        return user_settings().engines
    except DubbingError:
        return PROFILES["lite"]


defs = dg.Definitions(
    assets=[*(stage_asset(stage, chosen_engines()) for stage in STAGES), published, cast],
    jobs=[dub, dub_file, publish, approve, housekeeping],
    schedules=[daily_housekeeping],
    sensors=[media_folder, webhook_inbox, publishing, failures],
    resources={"dubarr": DubarrResource()},
    executor=dg.in_process_executor,
)
