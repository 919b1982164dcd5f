"""Services of a stage on the GPUs: side by side where both fit one, else by time slicing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.compute.devices import Device, devices
from dubarr_pipeline.compute.gpu_sharing import (
    MARGIN,
    GpuRequest,
    TimeSlicing,
    plan_share,
)
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.synthesis.xtts import XttsOptions, xtts_process
from dubarr_pipeline.services.http_client import Host
from dubarr_pipeline.services.llm_client import LanguageModelOptions
from dubarr_pipeline.services.llm_process import (
    llm_process,
    memory_need_bytes,
)

Meter = Callable[[], Sequence[Device]]


@contextmanager
def service_hosts(
    settings: Settings, logs: Path, meter: Meter = devices
) -> Iterator[Mapping[str, Host]]:
    """Yield hosts for the services of a stage by kind of engine; all of them end afterwards.

    Two services of ours that both need a GPU are settled here: else each engine starts its own, and
    there are no hosts.

    Raises:
        OutOfMemory: if a service does not fit a GPU even alone.
    """
    options = settings.engine_options
    translator, synthesizer = options["translation"], options["synthesis"]
    own = isinstance(translator, LanguageModelOptions) and translator.serve != "url"
    here = meter() if own and isinstance(synthesizer, XttsOptions) else ()
    if not (here and isinstance(translator, LanguageModelOptions)):
        yield {}
        return
    set_bytes = round(translator.memory_gb * 1e9)
    needs = {
        "llm": set_bytes or memory_need_bytes(translator.model),
        "tts": memory_need_bytes(synthesizer.model),
    }
    asked = {"llm": translator.device, "tts": synthesizer.device}
    plan = plan_share([GpuRequest(name, asked[name], needs[name]) for name in needs], here)
    # vLLM's share of its GPU's memory: the free part, less the voice's need there.
    place, share = plan.places["llm"], translator.memory_share
    for device in here:
        if device.name == place:
            shared = 0 if plan.time_sliced or plan.places["tts"] != place else needs["tts"]
            share = min(share, (device.free_bytes * (1 - MARGIN) - shared) / device.total_bytes)
    llm = llm_process(replace(translator, device=place), logs, share)
    tts = xtts_process(replace(synthesizer, device=plan.places["tts"]), logs)
    hosts: dict[str, Host] = {"translation": llm, "synthesis": tts}
    if plan.time_sliced:
        slicing = TimeSlicing(lambda: next(d.free_bytes for d in meter() if d.name == place))
        hosts = {
            "translation": slicing.slot(
                llm, needs["llm"], translator.serve == "vllm" and translator.sleep
            ),
            "synthesis": slicing.slot(tts, needs["tts"], True),
        }
    try:
        yield hosts
    finally:
        llm.close()
        tts.close()
