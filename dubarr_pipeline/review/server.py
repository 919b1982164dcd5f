"""The review server itself: it listens, and hands out the link with the token."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass

from dubarr_pipeline.config.options import ReviewOptions
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.housekeeping import REVIEWS
from dubarr_pipeline.library.videos import registered
from dubarr_pipeline.review.access import Names
from dubarr_pipeline.review.app import PAGES, review_app
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.services.monitoring import Monitor
from dubarr_pipeline.services.web import WebServer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReviewServer:
    """A server that listens; `web.serve` answers.

    Attributes:
        link: address of the page, with the token in its fragment, which no server and no log sees.
        address: the same without the token.
    """

    web: WebServer
    address: str
    link: str


def review_server(
    room: ReviewRoom, options: ReviewOptions, token: str, monitor: Monitor | None = None
) -> ReviewServer:
    """Return a server that listens for the page and its calls, and for watching programs.

    Raises:
        SettingsError: if the address cannot be listened on.
    """
    forget_gone_films(room)
    app = review_app(room, token, Names.of(options.host, options.address), monitor)
    try:
        web = WebServer(app, options.host, options.port)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; "
            "choose another review.port"
        ) from error
    address = f"{options.address or web.url}{PAGES}/{room.only}"
    return ReviewServer(web, address, f"{address}#token={token}")


def forget_gone_films(room: ReviewRoom) -> None:
    """Remove what is kept for the browser of films that are not here any more."""
    folder = room.settings.work_dir / REVIEWS
    known = {*registered(room.settings.work_dir)}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in known:
            shutil.rmtree(path, ignore_errors=True)
