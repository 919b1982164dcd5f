"""The asset `cast`: what is known of a series' people; its partitions are series, not videos.

Films add to it by themselves, in their stage `segments`. So materializing it adds nothing: it puts
the references of the characters right, and records the memory as it is.
"""

from pathlib import Path

import dagster as dg

from dubarr_pipeline.defs.distributed.exchange import shared_memories
from dubarr_pipeline.defs.distributed.step_tags import CPU, QUEUE_TAG
from dubarr_pipeline.defs.library_names import LibraryNames
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.series_records import (
    cast_metadata,
    cast_version,
)
from dubarr_pipeline.defs.runtime.stage_run import OWNERS
from dubarr_pipeline.defs.runtime.status import failing_once
from dubarr_pipeline.defs.stages import CAST
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.series.corrections import peoples_word
from dubarr_pipeline.library.series.memory import SeriesFolder
from dubarr_pipeline.library.series.references import sweep_references, with_references


def cast_asset(names: LibraryNames, retries: dg.RetryPolicy | None = None) -> dg.AssetsDefinition:
    """Return the asset of a library's casts."""

    @dg.asset(
        key=names.key(CAST),
        partitions_def=names.series,
        group_name=names.group,
        owners=OWNERS,
        kinds={"json"},
        code_version="1",
        op_tags={QUEUE_TAG: CPU},
        retry_policy=retries,
        required_resource_keys={names.resource},
    )
    def cast(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Remember the people of a series: voices, names, references, glossary (`cast.json`)."""
        with failing_once():
            settings = resource_of(context, names).settings()
            with shared_memories(context.instance, settings, names):
                return _recorded(context.partition_key, settings.work_dir)

    return cast


def _recorded(series: str, work_dir: Path) -> dg.MaterializeResult:
    """Put the references of a series' characters right; return its memory as it is."""
    folder = SeriesFolder.of(series, work_dir)
    if not folder.cast.is_file():
        raise ArtifactError(f"nothing is known of {series}: dub an episode")
    with folder.alone():
        memory = folder.read()
        assert memory is not None
        word = peoples_word(memory)
        memory = with_references(memory, folder, work_dir, word, memory.characters)
        sweep_references(memory, folder)
        folder.write(memory)
    return dg.MaterializeResult(
        metadata=cast_metadata(memory, folder),
        data_version=dg.DataVersion(cast_version(folder)),
    )
