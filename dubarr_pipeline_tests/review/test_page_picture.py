"""Pictures whose codec no browser plays: the page shows a copy, and says so while it is made."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.config.options import ReviewOptions
from dubarr_pipeline.library.videos import save_video
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.review.server import review_server
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline_tests.fixtures.browser import browser
from dubarr_pipeline_tests.fixtures.keyboard import Keyboard
from dubarr_pipeline_tests.fixtures.review_film import KEY, TOKEN

pytestmark = pytest.mark.slow


def test_a_picture_that_no_browser_plays_is_shown_by_a_copy(room: ReviewRoom, tmp_path: Path):
    source = tmp_path / "film.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=10:duration=8", "-c:v", "libx265"]
    ffmpeg.run([*picture, "-preset", "ultrafast", "-y", ffmpeg.file_url(source)])
    video = replace(room.video(KEY), source=source, identity=identify(source))
    save_video(video, room.settings.work_dir)
    server = review_server(room, ReviewOptions(port=0), TOKEN)
    with closing(server.web), browser() as seen:
        thread = threading.Thread(target=server.web.serve, daemon=True)
        thread.start()
        page = Keyboard(seen)
        page.go(f"{server.address}{KEY}#token={TOKEN}", "window.review?.grid.active")
        assert page.read("review.store.film.picture.kind") == "proxy"
        page.wait("review.player.video?.videoWidth > 0", 60)
        assert page.read("review.picture.video.error") is None
        assert [path for path in seen.fetched if "picture" in path]
        page.go("about:blank", "true")
        server.web.stop()
        thread.join(20)
