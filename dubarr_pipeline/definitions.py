"""Contents: the stages in their order, the jobs that run them, and what they are handed."""

import dagster as dg

from dubarr_pipeline.assets.context import context
from dubarr_pipeline.assets.diarization import diarization
from dubarr_pipeline.assets.mix import mix
from dubarr_pipeline.assets.mux import mux
from dubarr_pipeline.assets.refs import refs
from dubarr_pipeline.assets.report import report
from dubarr_pipeline.assets.segments import segments
from dubarr_pipeline.assets.transcript import transcript
from dubarr_pipeline.assets.vocals import vocals
from dubarr_pipeline.failure_sensor import failures
from dubarr_pipeline.jobs import dub, publish
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.sensors import media_folder, publishing, webhook_inbox
from dubarr_pipeline.tidying import daily_housekeeping, housekeeping

defs = dg.Definitions(
    assets=[vocals, diarization, transcript, context, refs, segments, mix, mux, report],
    jobs=[dub, publish, housekeeping],
    schedules=[daily_housekeeping],
    sensors=[media_folder, webhook_inbox, publishing, failures],
    resources={"workshop": Workshop()},
    executor=dg.in_process_executor,
)
