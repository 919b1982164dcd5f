"""A person repairs a film that was really dubbed: the page, its server and its runs together.

`docs/screenshots/make` runs these very tests on the demo, for the pictures of `docs/review.md`.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dubarr_pipeline.demo.video import demo_video
from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import Bench, stats
from dubarr_pipeline_tests.fixtures.browser import Browser, browser
from dubarr_pipeline_tests.fixtures.keyboard import Keyboard

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("DUBARR_PICTURES")
MOST_BYTES = 150_000
RUN_S = 240.0
FEW_COLOURS = Image.Quantize.MAXCOVERAGE
"""Keeps small spots of colour, such as a speaker's, which the others take for their neighbours'."""
OPEN = "window.review?.grid.active && review.lane.wave?.getDecodedData()"


@dataclass
class Review:
    """A dubbed film, the server of its page, and a browser that has it open in Spanish."""

    bench: Bench
    link: str
    page: Keyboard

    @property
    def film(self) -> str:
        return self.link.partition("#")[0]

    def open(self, lang: str = "es") -> None:
        self.page.go(f"{self.film}?lang={lang}", OPEN)

    def facts(self, language: str = "es") -> list[Any]:
        self.page.wait("!review.store.queue.length && !review.store.pumping")
        return list(read_edits_document(self.bench.work, language).facts)

    def line(self, words: str) -> Any:
        """Put a value of the active line into words: an expression over `line`."""
        return self.page.read(f"(line => {words})(review.store.line(review.grid.active))")

    def render(self) -> None:
        """Have the edits rendered, and wait for the end of the run."""
        self.facts()
        self.page.click("Render")
        self.page.wait("document.querySelector('.runs')?.innerText === 'Rendered'", RUN_S)
        self.page.wait("!review.store.lines.some(line => line.badges.includes('stale'))")

    def shoot(self, name: str, folder: Path) -> None:
        """Take a picture, small enough for the pages for people."""
        path = folder / f"{name}.png"
        self.page.browser.shoot(path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(256, FEW_COLOURS, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        assert path.stat().st_size <= MOST_BYTES


def heard(work: WorkDir, language: str) -> bytes:
    """A digest of what a dubbed track decodes to."""
    track = ["-i", ffmpeg.file_url(work.track(language)), "-f", "md5", "-"]
    return ffmpeg.run(track).stdout


def takes(work: WorkDir) -> int:
    """How many takes were ever spoken for the film."""
    return work.journal.read_text(encoding="utf-8").count('"kind":"take"')


@pytest.fixture(scope="module")
def seen() -> Iterator[Browser]:
    with browser() as found:
        found.size(1280, 800)
        yield found


@pytest.fixture(scope="module")
def served(
    seen: Browser, dubbed_once: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Review]:
    folder = tmp_path_factory.mktemp("reviewed")
    bench = Bench(folder / "work")
    if PICTURES:
        assert bench.dub(demo_video(folder), "es,ca").code == 0
    else:
        shutil.copytree(dubbed_once.work_dir, bench.work_dir)
    server = bench.start("review", bench.work.root.name)
    try:
        assert server.stdout
        yield Review(bench, server.stdout.readline().strip(), Keyboard(seen))
    finally:
        server.send_signal(signal.SIGINT)
        bench.finish(server)


@pytest.fixture
def review(served: Review) -> Review:
    served.page.go(served.link, OPEN)
    return served


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(PICTURES) if PICTURES else tmp_path


@pytest.fixture(autouse=True)
def _no_exceptions(seen: Browser) -> Iterator[None]:
    yield
    assert seen.exceptions == []


def test_a_film_opens_by_its_link_with_picture_and_waveforms(review: Review, pictures: Path):
    assert "#" not in review.page.read("location.href")
    review.page.wait("review.player.video?.videoWidth > 0")
    assert review.page.read("review.player.video.muted")
    assert review.page.read("review.lane.regions.getRegions().length") >= 2
    assert review.page.read("document.documentElement.scrollWidth") == 1280
    assert review.page.browser.errors == []
    review.shoot("review", pictures)


def test_the_film_plays_with_the_chosen_sound(review: Review):
    """The picture is H.264 with AC-3 or FLAC beside it: what is heard is never its own sound."""
    review.page.press(" ")
    review.page.wait("review.player.mode === 'film' && review.player.time > 1")
    assert review.page.read("review.player.audio.webkitAudioDecodedByteCount") > 0
    assert "sound/dub.wav" in review.page.read("review.player.audio.src")
    review.page.press("1")
    review.page.wait("review.player.audio.src.includes('sound/original.wav')")
    review.page.wait("!review.player.audio.paused && review.player.audio.readyState > 2")
    apart = "review.player.video.currentTime - review.player.offset - review.player.time"
    assert abs(review.page.read(apart)) < 0.25
    review.page.press(" ")
    assert review.page.read("review.player.mode") is None
    review.page.press("2")


def test_a_line_is_cut_alike_from_every_sound(review: Review):
    review.page.read("review.grid.activate(review.store.lines[0].id)")
    review.page.press("s")
    review.page.wait("review.player.cuts.playing?.startedAt")
    for what in ("original", "voice", "bed"):
        review.page.read(f"review.player.choose('{what}')")
    lengths = (
        "[...review.player.cuts.buffers.values()].map(each => [each.start, each.buffer.length])"
    )
    cuts = review.page.read(lengths)
    assert len(cuts) == 4
    assert len({tuple(each) for each in cuts}) == 1
    review.page.read("review.player.stop()")
    review.page.press("2")


def test_a_person_repairs_a_film_step_by_step(review: Review, seen: Browser, pictures: Path):
    """Each step goes on where the one before has left the film."""
    mend_a_text(review, pictures)
    name_a_speaker(review)
    take_everything_back_and_do_it_again(review)
    comment_in_two_tabs(review, seen)
    lock_a_line(review)
    approve_too_early(review)
    hear_a_line_and_render(review)
    split_a_line(review)


def mend_a_text(review: Review, pictures: Path) -> None:
    """A mended text is a fact, and its line is stale."""
    review.page.read(
        "review.grid.activate(review.store.lines.find(line => line.dub.includes('timbre')).id)"
    )
    review.page.press("Enter")
    review.page.read("document.querySelector('.box').select()")
    review.page.write("¡Silencio! Oigo una campana.")
    review.shoot("review-edit", pictures)
    review.page.press("Enter")
    (fact,) = review.facts()
    assert (fact.field, fact.revision, fact.value) == ("text", 1, "¡Silencio! Oigo una campana.")
    review.page.wait("review.store.language.stale")
    review.page.wait("document.querySelector('.rows').innerText.includes('stale')")
    assert review.page.read("document.querySelector('.runs .main').innerText") == "Render"
    review.page.press("Escape")
    review.page.press("ArrowUp")
    night(review.page.browser, "dark")
    review.page.wait("getComputedStyle(document.body).backgroundColor === 'rgb(20, 22, 26)'")
    review.page.wait("review.lane.wave.getDecodedData()")
    review.shoot("review-stale", pictures)
    night(review.page.browser, "light")


def night(seen: Browser, scheme: str) -> None:
    """Have the page look as by day (``light``) or by night (``dark``)."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    seen.tell("Emulation.setEmulatedMedia", features=[feature])


def name_a_speaker(review: Review) -> None:
    """A speaker is named for every language."""
    review.page.click("Speakers …")
    review.page.read("document.querySelector('dialog input').select()")
    review.page.write("Anna")
    review.page.press("Tab")
    review.page.wait("review.store.film.speakers[0].name === 'Anna'")
    review.page.press("Escape")
    assert [(fact.field, fact.value) for fact in review.facts("en")] == [("name", "Anna")]
    review.page.wait("document.querySelector('.rows').innerText.includes('Anna')")


def take_everything_back_and_do_it_again(review: Review) -> None:
    for _ in range(2):
        review.page.press("Ctrl+z")
    review.page.wait("!review.store.history().undo.length")
    review.page.wait("!review.store.language.stale")
    review.page.wait("!document.querySelector('.rows').innerText.includes('stale')")
    for _ in range(2):
        review.page.press("Ctrl+y")
    review.page.wait("review.store.history().undo.length === 2")
    assert len(review.facts()) + len(review.facts("en")) == 6


def comment_in_two_tabs(review: Review, seen: Browser) -> None:
    """The tab that nobody looks at hears of nothing, and takes no connection to the server."""
    line = review.page.read("review.store.lines.at(-1).id")

    def comment(tab: Keyboard, words: str) -> None:
        tab.read(f"review.grid.activate('{line}')")
        tab.press("c")
        tab.write(words)
        tab.press("Tab")

    with seen.tab() as other:
        hers = Keyboard(other)
        hers.go(f"{review.film}?lang=es", OPEN)
        review.page.read(_SEEN % "hidden")
        hers.read("localStorage.setItem('dubarr.name', 'Marta')")
        comment(hers, "Hers.")
        hers.wait("!review.store.queue.length && !review.store.pumping")
        hers.read("localStorage.removeItem('dubarr.name')")
        revision = "review.store.documents.get('es').revision"
        assert review.page.read(revision) < hers.read(revision)
        comment(review.page, "Mine.")
        review.page.wait("document.querySelector('dialog[open]')")
        shown = review.page.read("document.querySelector('dialog').innerText")
        assert [words for words in ("Hers.", "Mine.", "Marta") if words not in shown] == []
        review.page.click("Keep theirs")
        assert [fact.value for fact in review.facts() if fact.field == "comment"] == ["Hers."]
        # Looked at again, it catches up, and hears from then on.
        comment(hers, "Hers again.")
        review.page.read(_SEEN % "visible")
        review.page.wait(f"review.store.line('{line}').edits.comment?.endsWith('Hers again.')")
        comment(hers, "At once.")
        review.page.wait(f"review.store.line('{line}').edits.comment?.endsWith('At once.')")
        assert other.exceptions == []


_SEEN = """(() => {
  Object.defineProperty(document, "visibilityState", {get: () => "%s", configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
})()"""


def lock_a_line(review: Review) -> None:
    """A sheet that comes back as it went out states nothing."""
    mended = "review.store.lines.find(line => line.dub.includes('campana'))"
    review.page.read(f"review.grid.activate({mended}.id)")
    review.page.press("l")
    review.page.wait(f"{mended}.badges.includes('locked')")
    before = len(review.facts())
    assert review.page.read(_SHEET % "text") == [0, 0]
    assert review.page.read(_SHEET % "text.replaceAll('campana', 'voz')") == [0, 1]
    review.page.press("Enter")
    review.page.write("?")
    review.page.press("Escape")
    assert len(review.facts()) == before
    review.page.press("Ctrl+z")
    review.page.wait(f"!{mended}.badges.includes('locked')")


_SHEET = """(async () => {
  const film = `/api/v1/films/${review.store.film.key}`;
  const text = await (await fetch(`${film}/export.csv?lang=es`)).text();
  const answer = await fetch(`${film}/import?lang=es&format=csv&dry=1`, {
    method: "POST", headers: {"Content-Type": "application/octet-stream"}, body: %s,
  });
  const {facts, locked} = await answer.json();
  return [facts, locked.length];
})()"""


def approve_too_early(review: Review) -> None:
    """Nobody approves what is not rendered."""
    review.page.wait("review.store.language.stale")
    review.page.click("Approve …")
    review.page.click("Approve")
    review.page.wait("document.getElementById('notices').innerText.includes('not rendered')")
    assert review.page.read("review.store.film.gate.state") != "approved"


def hear_a_line_and_render(review: Review) -> None:
    """One language is mended: the other's track is as it was. Then all is taken back."""
    review.open()
    work = review.bench.work
    first, other, spoken = heard(work, "es"), heard(work, "ca"), takes(work)
    review.page.read(
        "review.grid.activate(review.store.lines.find(line => line.dub.includes('campana')).id)"
    )
    review.page.press("r")
    review.page.wait("review.player.cuts.playing?.startedAt")
    assert takes(work) == spoken + 1
    review.render()
    assert stats(work)["spoken"] == 0
    assert takes(work) == spoken + 1
    assert heard(work, "ca") == other
    assert heard(work, "es") != first

    while review.page.read("review.store.history().undo.length"):
        count = review.page.read("review.store.history().undo.length")
        review.page.press("Ctrl+z")
        review.page.wait(f"review.store.history().undo.length < {count}")
    review.render()
    assert (heard(work, "es"), heard(work, "ca")) == (first, other)
    assert takes(work) == spoken + 1


def split_a_line(review: Review) -> None:
    """A split line is spoken as two in every language."""
    work = review.bench.work
    spoken = takes(work)
    count = review.page.read("review.store.lines.length")
    review.page.read("review.grid.activate(review.store.lines[0].id)")
    review.page.press("Ctrl+Alt+v")
    review.page.click("Split")
    review.page.wait(f"review.store.lines.length === {count + 1}")
    review.render()
    assert takes(work) - spoken == stats(work)["spoken"] == 4
    review.page.wait("review.store.lines.every(line => line.outcome === 'placed')")
    assert review.page.read("review.store.lines.length") == count + 1
