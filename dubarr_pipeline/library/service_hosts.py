"""Where the services of a stage run: side by side where both fit a GPU, else in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.engines.synthesis.xtts import XttsOptions, xtts_process
from dubarr_pipeline.models.devices import Device, devices
from dubarr_pipeline.services.llm_process import (
    LanguageModelOptions,
    llm_memory_bytes,
    llm_process,
    llm_sleeps,
)
from dubarr_pipeline.services.model_memory import memory_need_bytes
from dubarr_pipeline.services.processes import ServiceProcess
from dubarr_pipeline.services.server import Host
from dubarr_pipeline.services.sharing import MARGIN, SharePlan, Turns, Wish, plan_share
from dubarr_pipeline.settings import Settings

Meter = Callable[[], Sequence[Device]]
NO_HOSTS: Mapping[str, Host] = {}


@contextmanager
def service_hosts(
    settings: Settings, logs: Path, meter: Meter = devices
) -> Iterator[Mapping[str, Host]]:
    """Hosts for the services of a stage by kind of engine; all of them are gone afterwards.

    Only where two services of ours want a GPU is there anything to settle: else each engine starts
    its own, and there are no hosts.

    Args:
        settings: with the engines and their options.
        logs: folder for the services' logs.
        meter: measures the GPUs.

    Raises:
        OutOfMemory: if a service does not fit a GPU even alone.
    """
    translator, synthesizer = settings.options("translation"), settings.options("synthesis")
    own = isinstance(translator, LanguageModelOptions) and translator.serve != "url"
    here = meter() if own and isinstance(synthesizer, XttsOptions) else ()
    if not (here and isinstance(translator, LanguageModelOptions)):
        yield NO_HOSTS
        return
    needs = {"llm": llm_memory_bytes(translator), "tts": memory_need_bytes(synthesizer.model)}
    asked = {"llm": translator.device, "tts": synthesizer.device}
    plan = plan_share([Wish(name, asked[name], needs[name]) for name in needs], here)
    llm = llm_process(
        replace(translator, device=plan.places["llm"]),
        logs,
        _vllm_share(translator, plan, needs["tts"], here),
    )
    tts = xtts_process(replace(synthesizer, device=plan.places["tts"]), logs)
    try:
        yield _seated(plan, {"translation": llm, "synthesis": tts}, needs, translator, meter)
    finally:
        llm.close()
        tts.close()


def _seated(
    plan: SharePlan,
    processes: Mapping[str, ServiceProcess],
    needs: Mapping[str, int],
    llm: LanguageModelOptions,
    meter: Meter,
) -> Mapping[str, Host]:
    """The processes as they are, or in turns at the GPU that they share."""
    if not plan.turns:
        return processes
    place = plan.places["llm"]
    turns = Turns(lambda: next(d.free_bytes for d in meter() if d.name == place))
    sleeps = {"llm": llm_sleeps(llm), "tts": True}
    return {
        kind: turns.seat(process, needs[process.launch.name], sleeps[process.launch.name])
        for kind, process in processes.items()
    }


def _vllm_share(
    llm: LanguageModelOptions, plan: SharePlan, tts_bytes: int, here: Sequence[Device]
) -> float:
    """Of its GPU's memory so much may vLLM take: what is free, less what the voice needs there."""
    place = next((device for device in here if device.name == plan.places["llm"]), None)
    if place is None:
        return llm.memory_share
    beside = 0 if plan.turns or plan.places["tts"] != place.name else tts_bytes
    free = place.free_bytes * (1 - MARGIN) - beside
    return min(llm.memory_share, free / place.total_bytes)
