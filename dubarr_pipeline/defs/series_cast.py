"""The asset `cast`: what is known of a series' people; its partitions are series, not videos.

Films add to it by themselves, in their stage `segments`. So materializing it adds nothing: it puts
the references of the characters right, and records the memory as it is.
"""

import dagster as dg

from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.records import stage_key
from dubarr_pipeline.defs.runtime.series_records import (
    cast_metadata,
    cast_version,
    series_partitions,
)
from dubarr_pipeline.defs.runtime.stage_run import GROUP, OWNERS
from dubarr_pipeline.defs.runtime.status import as_failure
from dubarr_pipeline.defs.stages import CAST
from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.library.series.corrections import peoples_word
from dubarr_pipeline.library.series.memory import SeriesFolder
from dubarr_pipeline.library.series.references import sweep_references, with_references


@dg.asset(
    key=stage_key(CAST),
    partitions_def=series_partitions,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"json"},
    code_version="1",
)
def cast(context: dg.AssetExecutionContext, dubarr: DubarrResource) -> dg.MaterializeResult:
    """Remember the people of a series: voices, names, references, glossary (`cast.json`)."""
    try:
        work_dir = dubarr.settings().work_dir
        folder = SeriesFolder.of(context.partition_key, work_dir)
        if not folder.cast.is_file():
            raise ArtifactError(f"nothing is known of {context.partition_key}: dub an episode")
        with folder.alone():
            memory = folder.read()
            assert memory is not None
            word = peoples_word(memory)
            memory = with_references(memory, folder, work_dir, word, memory.characters)
            sweep_references(memory, folder)
            folder.write(memory)
    except DubbingError as error:
        raise as_failure(error) from error
    return dg.MaterializeResult(
        metadata=cast_metadata(memory, folder),
        data_version=dg.DataVersion(cast_version(folder)),
    )
