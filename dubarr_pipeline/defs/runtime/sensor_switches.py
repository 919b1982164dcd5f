"""Switches of the sensors that watch folders and take news, without a server that runs.

Dagster keeps a switch under the names of code location, repository and sensor.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._time import get_current_timestamp

WATCHING = ("media_folder", "webhook_inbox")
"""Sensors that are off until a person, or set-up, switches them on."""
_REPOSITORY = RemoteRepositoryOrigin(
    RegisteredCodeLocationOrigin("dubarr_pipeline.definitions"), "__repository__"
)


def sensors_off(instance: dg.DagsterInstance) -> list[str]:
    """Return those of the sensors that are off."""
    return [name for name in WATCHING if not _is_on(_stored(instance, name))]


def switch_on(instance: dg.DagsterInstance, names: Sequence[str]) -> None:
    """Switch sensors on; the daemon looks at its next turn."""
    for name in names:
        stored, now_s = _stored(instance, name), get_current_timestamp()
        if stored is None:
            data = SensorInstigatorData(
                last_sensor_start_timestamp=now_s, sensor_type=SensorType.STANDARD
            )
            state = InstigatorState(
                _origin(name), InstigatorType.SENSOR, InstigatorStatus.RUNNING, data
            )
            instance.add_instigator_state(state)
        elif not _is_on(stored):
            data = stored.sensor_instigator_data or SensorInstigatorData()
            running = stored.with_status(InstigatorStatus.RUNNING)
            instance.update_instigator_state(
                running.with_data(data.with_sensor_start_timestamp(now_s))
            )


def _origin(name: str) -> RemoteInstigatorOrigin:
    return RemoteInstigatorOrigin(_REPOSITORY, name)


def _stored(instance: dg.DagsterInstance, name: str) -> InstigatorState | None:
    origin = _origin(name)
    return instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())


def _is_on(state: InstigatorState | None) -> bool:
    return state is not None and state.is_running
