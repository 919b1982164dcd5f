"""Dagster's webserver, which shows the films' reports as well: ``/dubarr/report/KEY``.

A page is served from a video's work folder alone, and may run no script: it has the address of the
webserver, which executes what any script of that address sends it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from uvicorn.config import LOGGING_CONFIG

from dubarr_pipeline.compute.json_lines import JsonLines, log_as_asked, logs_json
from dubarr_pipeline.compute.loading import QuickLoading
from dubarr_pipeline.config.settings import user_settings
from dubarr_pipeline.defs.runtime.records import report_address
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.videos import load_video

_DAGSTERS, _START = "dagster_webserver", "open_ipc_subprocess"
"""Dagster's webserver, and what `dagster dev` starts it with."""
_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def report_route(work_dir: Path) -> BaseRoute:
    """Return the route that serves the reports of a work folder."""

    async def page(request: Request) -> Response:
        try:
            video = load_video(request.path_params["key"], work_dir)
        except DubbingError:
            return PlainTextResponse("no such film", 404)
        path = video.work(work_dir).report_page
        if not path.is_file():
            return PlainTextResponse("it has no report yet", 404)
        return FileResponse(path, media_type="text/html", headers=_HEADERS)

    return Route(report_address("{key}"), page)


def main() -> None:
    """Run ``dagster-webserver`` with its own arguments."""
    log_as_asked()
    with QuickLoading():
        from dagster_webserver import app, cli
        from dagster_webserver.webserver import DagsterWebserver

    class ReportingWebserver(DagsterWebserver):
        """Dagster's own, with one page more."""

        def build_routes(self) -> list[BaseRoute]:
            return [report_route(user_settings().work_dir), *super().build_routes()]

    if logs_json():
        for each in LOGGING_CONFIG["formatters"].values():
            each["()"] = JsonLines
    app.DagsterWebserver = ReportingWebserver  # pyright: ignore[reportPrivateImportUsage]
    cli.main()


def develop() -> None:
    """Run ``dagster dev`` with its own arguments, and this webserver in place of Dagster's."""
    from dagster._cli import dev
    from dagster._cli import main as dagster

    start = vars(dev)[_START]

    def start_ours(command: Sequence[str], **options: Any) -> Any:
        ours = ["-m", __spec__.name if __spec__ else __name__]
        theirs = [*command]
        return start([theirs[0], *ours, *theirs[3:]] if _DAGSTERS in command else theirs, **options)

    setattr(dev, _START, start_ours)
    dagster()


if __name__ == "__main__":
    develop() if sys.argv[1:2] == ["dev"] else main()
