"""What every engine that asks the language model of section ``[llm]`` needs to be here."""

from __future__ import annotations

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.services.llm import LLMService
from dubarr_pipeline.services.llm_process import (
    LanguageModelOptions,
    llm_options,
    missing_model,
    missing_program,
)


def llm_needs(options: LanguageModelOptions) -> tuple[Need, ...]:
    """The server that runs already; or the program and the model of a process of ours. Cheap."""
    if options.serve == "url":
        service = LLMService(llm_options(options, None))
        try:
            present = service.reachable()
        finally:
            service.close()
        return (Need("service", f"LLM at {options.url}", present, "start it, or set llm.url"),)
    program, cure = missing_program(options), missing_model(options)
    return (
        Need(
            "program",
            options.executable or options.serve,
            program is None,
            f"install {options.serve} in an environment of its own, and set llm.executable",
        ),
        Need("model", options.model, cure is None, cure or ""),
    )
