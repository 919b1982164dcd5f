"""Contents: what Dagster loads for `dubarr serve library`, and what `dubarr dub` runs."""

from pathlib import Path

from dubarr_pipeline.compute.loading import QuickLoading

with QuickLoading():
    import dagster as dg

    from dubarr_pipeline.compute.json_lines import log_as_asked
    from dubarr_pipeline.defs.code_location import (
        chosen_executor,
        faultless_settings,
        library_definitions,
    )
    from dubarr_pipeline.defs.library_names import PLAIN, names_of

    # Runs, and steps on other machines, begin here.
    log_as_asked()
    _settings = faultless_settings()
    _executor = chosen_executor(_settings)
    _names = names_of(_settings.work_dir) if _settings else PLAIN
    defs: dg.Definitions = library_definitions(_names, _settings, _executor)


def local_definitions(work_dir: Path) -> dg.Definitions:
    """Return those of a work folder with every step in this process, whatever the settings say.

    Raises:
        ArtifactError: if the file with the folder's names is damaged.
    """
    names, here = names_of(work_dir), dg.in_process_executor
    if (names, _executor) == (_names, here):
        return defs
    return library_definitions(names, _settings, here)
