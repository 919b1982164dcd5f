"""The monitor of an installation: checks and figures, made with the first question."""

from collections.abc import Sequence
from functools import cache

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.services.monitoring import HealthCheck, Monitor

_MOST_S = 20.0
"""Seconds after which a scrape without figures is told so."""


def monitor_of(live: LiveSettings) -> Monitor:
    """Return the monitor of an installation; nothing is loaded before it is asked."""

    @cache
    def checks():
        from dubarr_pipeline.defs.operations.health import HealthChecks

        return HealthChecks(live)

    @cache
    def figures():
        from dubarr_pipeline.defs.operations.figures import AGE_S, Figures
        from dubarr_pipeline.defs.operations.watch import KeptAnswer

        return KeptAnswer(Figures(live).text, AGE_S, _MOST_S)

    def health() -> Sequence[HealthCheck]:
        return checks().run()

    return Monitor(health, lambda: figures().get())
