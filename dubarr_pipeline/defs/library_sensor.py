"""Sensors of a library, made of plain functions."""

import inspect
from collections.abc import Callable

import dagster as dg

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import LibraryNames
from dubarr_pipeline.defs.resources import resource_of

Look = Callable[[dg.SensorEvaluationContext, Settings, LibraryNames], dg.SensorResult]


def library_sensor(
    look: Look, names: LibraryNames, job: str, interval_s: int, is_on: bool
) -> dg.SensorDefinition:
    """Return the sensor that looks so; its name and description are the function's.

    `job` is the one whose runs it requests, and `is_on` says whether it looks from the start.
    """
    status = dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=names.prefixed(look.__name__),
        description=inspect.getdoc(look),
        job_name=names.prefixed(job),
        minimum_interval_seconds=interval_s,
        default_status=status,
        required_resource_keys={names.resource},
    )
    # Called by hand, Dagster hands the resource over twice.
    def sensor(context: dg.SensorEvaluationContext, **_: object) -> dg.SensorResult:
        return look(context, resource_of(context, names).settings(), names)

    return sensor
