"""Receiver of webhooks from other programs and scripts: ``dubarr serve webhooks``.

It refuses requests without the token, and answers 200 only when the message is on the disk. A
sender's words are never logged as they are, nor is the token.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.options import WebhookOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import DubbingError, RequestRefused, SettingsError
from dubarr_pipeline.library.webhooks.inbox import WebhookIntake
from dubarr_pipeline.library.webhooks.payloads import SENDERS
from dubarr_pipeline.library.webhooks.rest import VideoLookup, error_document, rest_routes
from dubarr_pipeline.services.bearer_auth import OPEN_PATH
from dubarr_pipeline.services.monitoring import MONITORING, Monitor, monitoring_routes
from dubarr_pipeline.services.web import WebApp, WebLimits, WebServer, read_body

_MIN_TOKEN = 16


def webhook_server(
    settings: Settings,
    options: WebhookOptions,
    token: str,
    lookup: VideoLookup | None = None,
    monitor: Monitor | None = None,
) -> WebServer:
    """Return a server that listens for webhooks; its `serve` answers them.

    With a `lookup` it takes and answers people's requests, too, and with a `monitor` those of
    watching programs. Changes in the settings' file count
    from the next request on, but for address, token and limits.

    Every sender shows the `token` as bearer token, password or ``X-Dubarr-Token``.

    Raises:
        SettingsError: if the token is too short, or the address cannot be listened on.
    """
    if len(token) < _MIN_TOKEN:
        raise SettingsError(
            f"the webhook token has under {_MIN_TOKEN} characters: make one by "
            "`openssl rand -hex 32`"
        )
    live = LiveSettings(settings)
    limits = WebLimits(options.most_body_kb * 1024, options.timeout_s)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def receive(request: Request) -> Response:
        sender = request.path_params["sender"].strip("/")
        if sender not in SENDERS:
            choices = ", ".join("/" + each for each in SENDERS)
            raise RequestRefused(404, "unknown_sender", f"post to one of: {choices}")
        body = await read_body(request, limits)
        try:
            form = request.headers.get("content-type", "")
            intake = WebhookIntake(live.current())
            accepted = await run_in_threadpool(intake.take, sender, body, form)
        except RequestRefused:
            raise
        except DubbingError as error:
            raise RequestRefused(500, "failed", str(error)) from error
        return JSONResponse({"accepted": accepted})

    # Radarr and Sonarr may be told to put.
    routes = {("GET", OPEN_PATH): health, **(rest_routes(live, limits, lookup) if lookup else {})}
    routes |= monitoring_routes(monitor, token)
    routes |= {(method, "/{sender:path}"): receive for method in ("POST", "PUT")}
    app = WebApp(routes, token, limits, error_document, MONITORING)
    try:
        return WebServer(app, options.host, options.port)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; "
            "choose another webhooks.port"
        ) from error
