"""Pictures whose codec no browser plays: the page shows a copy, and says so while it is made."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.picture import ProxyMaker
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline_tests.fixtures.review_film import KEY
from dubarr_pipeline_tests.fixtures.review_page import shown

pytestmark = pytest.mark.slow


def made(folder: Path, *arguments: str, seconds: int = 8, sound: bool = False) -> Path:
    source = folder / "film.mkv"
    given = ["-f", "lavfi", "-i", f"testsrc=size=128x96:rate=10:duration={seconds}"]
    given += ["-f", "lavfi", "-i", f"sine=duration={seconds}"] if sound else []
    ffmpeg.run([*given, *arguments, "-y", ffmpeg.file_url(source)])
    return source


def test_a_picture_that_no_browser_plays_is_shown_by_a_copy(room: ReviewRoom, tmp_path: Path):
    source = made(tmp_path, "-c:v", "libx265", "-preset", "ultrafast")
    with shown(room, source) as page:
        assert page.read("review.store.film.picture.kind") == "proxy"
        page.wait("review.player.video?.videoWidth > 0", 60)
        assert page.read("review.picture.video.error") is None
        assert [path for path in page.browser.fetched if "picture" in path]


def test_sound_that_no_browser_plays_takes_nothing_from_the_picture(
    room: ReviewRoom, tmp_path: Path
):
    """Chromium decodes H.264, and not the AC-3 beside it: the dub is heard from our own WAV."""
    h264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "ac3")
    with shown(room, made(tmp_path, *h264, sound=True)) as page:
        assert page.read("review.store.film.picture.kind") == "source"
        page.wait("review.player.video?.videoWidth > 0")
        assert page.read("review.picture.proxy") is False
        page.press(" ")
        page.wait("review.picture.video.getVideoPlaybackQuality().totalVideoFrames > 3")
        page.wait("review.player.audio.webkitAudioDecodedByteCount > 0")
        page.press(" ")


def test_a_copy_in_the_making_begins_at_the_playhead(
    room: ReviewRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The last piece waits until this one is seen; then the whole is shown at the same time."""
    encode, first = ProxyMaker._encode, threading.Event()
    numbers: list[int] = []

    def slowly(maker: ProxyMaker, view: FilmView, making: Any, number: int) -> None:
        numbers.append(number)
        while number == 1 and making.wanted != 2 and not first.wait(0.05):
            pass
        if number == 3:
            first.wait(60)
        encode(maker, view, making, number)

    monkeypatch.setattr(ProxyMaker, "_encode", slowly)
    source = made(tmp_path, "-c:v", "libx265", "-preset", "ultrafast", seconds=200)
    with shown(room, source) as page:
        page.read("review.player.seek(130)")
        page.wait("review.picture.piece === 120 && review.player.video?.videoWidth > 0", 60)
        page.wait("Math.abs(review.picture.video.currentTime - 10) < 0.2")
        assert [each for each in numbers if each != 1] in ([0, 2], [0, 2, 3])
        first.set()
        whole = room.settings.work_dir / ".review" / KEY / "picture.mp4"
        page.read(
            "void setInterval(() => fetch(review.picture.address, {headers: {Range: 'bytes=0-0'}})"
            ".then(a => { window.whole = a.ok && !a.headers.get('X-Start-S'); }), 200)"
        )
        page.wait("window.whole", 60)
        assert probe(whole).duration_s == pytest.approx(200, abs=0.2)
        page.read("review.player.seek(65)")
        page.wait("review.picture.piece === null && !review.picture.video.seeking")
        page.wait("Math.abs(review.picture.video.currentTime - 65) < 0.2")
    assert sorted(numbers) == [0, 1, 2, 3]
    assert [path.name for path in whole.parent.iterdir() if "picture" in path.name] == [whole.name]
