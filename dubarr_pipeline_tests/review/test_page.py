"""The page over a made-up film of 2,000 lines, in a real browser, by mouse and keyboard."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dubarr_pipeline_tests.fakes.review_server import (
    DUB,
    HOSTILE,
    KEY,
    SOURCE,
    MadeUpFilm,
    review_server,
)
from dubarr_pipeline_tests.fixtures.browser import Browser, browser
from dubarr_pipeline_tests.fixtures.keyboard import Keyboard

pytestmark = pytest.mark.slow

COUNT, MANY = 120, 2000
MOST_ROWS = 60
CUT_BYTES = 44 + 2 * 8000 * 2
"""A line of two seconds, as it is cut: 16 bits, mono, 8 kHz."""


@dataclass
class Desk:
    """A browser in front of the page of the film."""

    film: MadeUpFilm
    page: Keyboard
    address: str

    def open(self) -> None:
        """Open the film as nobody has touched it."""
        for facts in self.film.documents.values():
            facts.clear()
        self.film.output_revision = 0
        self.film.gone = self.film.quick = self.film.deaf = False
        self.film.told_revision = 0
        self.film.orphans.clear()
        self.page.go(self.address, "window.review?.grid.active")
        self.film.asked.clear()
        self.film.sounds.clear()
        self.film.tried.clear()

    def active(self) -> int:
        return self.page.read("review.store.line(review.grid.active).index")

    def row(self, number: int) -> str:
        return self.page.read(f"document.getElementById('line-L{number:05}')?.innerText ?? ''")

    def facts(self, language: str = DUB) -> list[dict[str, Any]]:
        self.page.wait("!review.store.queue.length && !review.store.pumping")
        return self.film.documents[language]


@pytest.fixture(scope="module")
def film() -> MadeUpFilm:
    return MadeUpFilm(COUNT)


@pytest.fixture(scope="module")
def server(film: MadeUpFilm) -> Iterator[str]:
    with review_server(film) as url:
        yield url


@pytest.fixture
def long_desk(seen: Browser) -> Iterator[Desk]:
    film = MadeUpFilm(MANY)
    with review_server(film) as url:
        found = Desk(film, Keyboard(seen), f"{url}/review/{KEY}")
        found.page.go(found.address, "window.review?.grid.active")
        yield found
        assert seen.errors == []
        seen.open("about:blank")


@pytest.fixture(scope="module")
def seen() -> Iterator[Browser]:
    with browser() as found:
        found.size(1280, 800)
        yield found


@pytest.fixture
def desk(film: MadeUpFilm, server: str, seen: Browser) -> Iterator[Desk]:
    found = Desk(film, Keyboard(seen), f"{server}/review/{KEY}")
    found.open()
    yield found
    assert [each for each in seen.errors if "a status of 409" not in each] == []


def test_two_thousand_lines_need_few_rows_and_all_are_searched(long_desk: Desk):
    desk = long_desk
    rows = "document.querySelectorAll('.rows .row').length"
    desk.page.wait("review.lane.wave?.getDecodedData()")
    most = desk.page.read(
        f"""(async () => {{
          const found = [];
          for (let at = 0; at <= 1; at += 0.1) {{
            review.grid.view.scrollTop = at * review.grid.view.scrollHeight;
            await new Promise(requestAnimationFrame);
            found.push({rows});
          }}
          return Math.max(...found);
        }})()"""
    )
    assert 10 < most <= MOST_ROWS
    assert "1999" in desk.page.read("document.querySelector('.rows').innerText")
    assert desk.film.sounds == []
    assert desk.page.read("document.querySelectorAll('video, audio').length") <= 3
    desk.page.press("Ctrl+f")
    desk.page.write("número 1777 de")
    desk.page.wait("review.grid.active === 'L01777'")
    assert "1 of 1" in desk.page.read("document.querySelector('.filters').innerText")


def test_nothing_is_wider_than_the_window(desk: Desk, seen: Browser):
    for width in (1280, 1920):
        seen.size(width, 800)
        assert desk.page.read("document.documentElement.scrollWidth") == width
    seen.size(1280, 800)


def test_problems_are_visited_in_their_order(desk: Desk):
    problems = sorted([*range(10, COUNT, 50), *range(39, COUNT, 40)])
    assert desk.active() == problems[0]
    for wanted in problems[1:4]:
        desk.page.press("F8")
        assert desk.active() == wanted
        assert desk.page.read(
            """(() => {
              const row = document.querySelector('.row.active').getBoundingClientRect();
              const view = review.grid.view.getBoundingClientRect();
              return row.top >= view.top && row.bottom <= view.bottom;
            })()"""
        )
    desk.page.press("Shift+F8")
    assert desk.active() == problems[2]


def test_a_line_is_heard_by_one_cut_of_its_span(desk: Desk):
    desk.page.press("s")
    desk.page.wait("document.body.dataset.playing === 'cut'")
    desk.page.wait("document.body.dataset.playing === ''")
    assert desk.film.sounds == [CUT_BYTES]
    desk.page.press("s")
    desk.page.wait("document.body.dataset.playing === 'cut'")
    assert len(desk.film.sounds) == 1
    desk.page.press(" ")


def test_the_playhead_stays_when_another_sound_is_heard(desk: Desk):
    desk.page.press("s")
    desk.page.wait("review.player.time > review.store.line(review.grid.active).start + 0.2")
    switched = desk.page.read(
        """(async () => {
          const clock = review.player.cuts.context;
          const before = [review.player.time, clock.currentTime];
          await review.player.choose("original");
          const after = [review.player.time, clock.currentTime];
          const voices = [...review.player.cuts.playing.voices.keys()];
          return [after[0] - before[0] - (after[1] - before[1]), voices];
        })()"""
    )
    assert abs(switched[0]) < 0.05
    assert switched[1] == ["dub", "original"]
    desk.page.press("2")
    assert desk.page.read("review.player.what") == "dub"
    assert len(desk.film.sounds) == 2
    desk.page.press(" ")


def test_a_text_is_stored_on_enter_and_taken_back_to_the_beginning(desk: Desk):
    before = desk.page.read("document.querySelector('.box').value")
    desk.page.press("Enter")
    desk.page.write("¡Otra frase! ")
    desk.page.press("Enter")
    (fact,) = desk.facts()
    assert (fact["target_id"], fact["field"], fact["revision"]) == ("L00010", "text", 1)
    assert fact["value"].endswith("¡Otra frase!")
    assert desk.active() == 11
    desk.page.wait("document.getElementById('line-L00010').innerText.includes('stale')")
    assert "¡Otra frase!" in desk.row(10)
    desk.page.press("Escape")
    desk.page.press("l")
    desk.page.wait("document.getElementById('line-L00011').innerText.includes('locked')")
    for _ in range(2):
        desk.page.press("Ctrl+z")
    desk.page.wait("review.store.documents.get('es').facts.length === 4")
    desk.page.wait("review.grid.active === 'L00010'")
    assert [fact.get("undoes") for fact in desk.facts()][2:] == [
        fact["id"] for fact in desk.facts()[1::-1]
    ]
    assert desk.page.read("document.querySelector('.box').value") == before
    desk.page.press("Ctrl+z")
    desk.page.wait("document.body.innerText.includes('Nothing of yours is left to undo')")
    desk.page.press("Ctrl+y")
    desk.page.wait("document.querySelector('.box').value.endsWith('¡Otra frase!')")
    assert len(desk.facts()) == 5


def test_esc_stores_nothing(desk: Desk):
    desk.page.press("Enter")
    desk.page.write("sq1")
    assert desk.page.read("document.querySelector('.box').value").endswith("sq1")
    assert desk.page.read("document.body.dataset.playing") == ""
    desk.page.press("Escape")
    assert desk.facts() == []
    assert "sq1" not in desk.row(10)
    assert desk.film.sounds == []


def test_an_empty_text_is_named_and_goes_nowhere(desk: Desk):
    desk.page.press("Enter")
    desk.page.read("document.querySelector('.box').value = ''")
    desk.page.press("Enter")
    desk.page.wait("document.body.innerText.includes('A line cannot be empty')")
    desk.page.press("Ctrl+Enter")
    assert desk.facts() == []
    assert desk.film.tried == []
    desk.page.press("Escape")


def test_a_rest_of_two_seconds_stores_too(desk: Desk):
    desk.page.press("Enter")
    desk.page.write(" Y ya.")
    desk.page.wait("review.store.documents.get('es').facts.length === 1")
    assert desk.page.read("document.activeElement.className") == "box"


def test_a_text_that_looks_like_markup_is_text(desk: Desk):
    desk.page.read("review.grid.activate('L00003')")
    assert desk.page.read("document.querySelector('.box').value") == HOSTILE
    assert HOSTILE in desk.row(3)
    assert HOSTILE in desk.page.read("document.querySelector('.inspector').innerText")
    desk.page.press("l")
    desk.facts()
    assert desk.page.read("[window.hurt, document.querySelectorAll('#app img').length]") == [
        None,
        0,
    ]


def test_the_keyboard_alone_is_enough(desk: Desk):
    desk.page.press("ArrowDown")
    assert desk.active() == 11
    desk.page.press("t")
    desk.page.press("o")
    desk.page.press("[")
    desk.page.press(".")
    desk.page.press("Delete")
    desk.page.wait("!review.store.line('L00011')")
    told = [(fact["field"], fact["value"]) for fact in desk.facts()]
    assert told[:2] == [("take", "f000000b"), ("keep_original", True)]
    assert [name for name, _ in told[2:]] == ["start_s", "start_s"]
    assert told[3][1] - told[2][1] == pytest.approx(0.04)
    assert [fact["field"] for fact in desk.facts(SOURCE)] == ["remove"]
    desk.page.press("Ctrl+z")
    desk.page.wait("review.store.line('L00011')")
    desk.page.press("Ctrl+g")
    desk.page.write("99")
    desk.page.press("Enter")
    desk.page.wait("review.grid.active === 'L00099'")
    desk.page.press("F1")
    desk.page.wait("document.querySelector('dialog[open]')")
    desk.page.press("Escape")
    desk.page.wait("!document.querySelector('dialog')")


def test_every_control_has_a_name_and_a_visible_focus(desk: Desk):
    nameless = desk.page.read(
        """[...document.querySelectorAll('button, select, input, textarea, a')]
          .filter(each => !(each.innerText || each.getAttribute('aria-label') ||
            each.closest('label')?.innerText)).map(each => each.outerHTML)"""
    )
    assert nameless == []
    outlines = set[str]()
    for _ in range(12):
        desk.page.press("Tab")
        outlines.add(desk.page.read("getComputedStyle(document.activeElement).outlineStyle"))
    assert outlines == {"solid"}


def test_two_people_and_one_field_make_a_person_pick(desk: Desk):
    """Another page stores a text; this one has not heard of it."""
    other = {"id": "theirs", "target": "line", "target_id": "L00010", "field": "text"}
    desk.page.read("review.store.hearOf = async () => {}")
    desk.film.state(DUB, {"revision": 0, "by": "Marta", "facts": [{**other, "value": "Suyo."}]})
    desk.page.press("Enter")
    desk.page.write(" Mío.")
    desk.page.press("Enter")
    desk.page.wait("document.querySelector('dialog[open]')")
    shown = desk.page.read("document.querySelector('dialog').innerText")
    assert [words for words in ("Suyo.", "Mío.", "Marta") if words not in shown] == []
    assert len(desk.film.documents[DUB]) == 1
    desk.page.click("Keep mine")
    assert [fact["value"][-4:] for fact in desk.facts()] == ["uyo.", "Mío."]


def test_two_people_and_two_lines_are_both_stored(desk: Desk):
    other = {"id": "theirs", "target": "line", "target_id": "L00012", "field": "text"}
    desk.page.read("review.store.hearOf = async () => {}")
    desk.film.state(DUB, {"revision": 0, "by": "Marta", "facts": [{**other, "value": "Suyo."}]})
    desk.page.press("l")
    assert [fact["field"] for fact in desk.facts()] == ["text", "locked"]
    assert not desk.page.read("document.querySelector('dialog')")
    assert "Suyo." in desk.row(12)


def test_what_another_page_stores_is_shown_here(desk: Desk):
    other = {"id": "theirs", "target": "line", "target_id": "L00012", "field": "text"}
    time.sleep(0.3)
    desk.film.state(DUB, {"revision": 0, "by": "Marta", "facts": [{**other, "value": "Suyo."}]})
    desk.page.wait("document.getElementById('line-L00012').innerText.includes('Suyo.')")


def test_merging_two_speakers_asks_whose_name_stays(desk: Desk):
    desk.page.click("Speakers …")
    desk.page.read("document.querySelector('dialog td button').click()")
    desk.page.click("Next")
    desk.page.wait("document.querySelectorAll('dialog').length === 2")
    assert "Whose name and voice stay?" in desk.page.read("document.body.innerText")
    desk.page.click("Brendan (voice: voice-1)")
    (fact,) = desk.facts(SOURCE)
    assert (fact["target_id"], fact["field"], fact["value"]) == ("s1", "merge", {"with": ["s0"]})


def test_split_merge_and_add_state_one_fact_each(desk: Desk):
    desk.page.press("Ctrl+Alt+v")
    desk.page.click("Split")
    desk.page.press("Ctrl+Alt+m")
    desk.page.click("Merge")
    desk.page.press("Alt+Insert")
    desk.page.write("Somebody said this.")
    desk.page.click("Add")
    told = {fact["field"]: fact["value"] for fact in desk.facts(SOURCE)}
    assert list(told) == ["split", "merge", "add"]
    assert " ".join(told["split"]["texts"]) == "This is line 10 of the film."
    assert 30.5 < told["split"]["at_s"] < 32.5
    assert told["merge"]["with"] == ["L00011"]
    assert told["add"]["text"] == "Somebody said this."


def test_a_term_holds_for_the_whole_film(desk: Desk):
    desk.page.click("Words …")
    desk.page.read(
        """(() => {
          const [term, words] = document.querySelectorAll('dialog input');
          [term.value, words.value] = ['Nautilus', 'Náutilus'];
        })()"""
    )
    desk.page.click("Add")
    (fact,) = desk.facts()
    assert (fact["target"], fact["target_id"], fact["value"]) == ("term", "Nautilus", "Náutilus")
    desk.page.wait("document.querySelector('dialog').innerText.includes('Take out')")


def test_an_edit_without_its_line_is_put_where_a_person_says(desk: Desk):
    lost = {"id": "lost", "target": "line", "target_id": "Lgone", "field": "text"}
    desk.film.state(DUB, {"revision": 0, "by": "Marta", "facts": [{**lost, "value": "Adiós."}]})
    anchor = {"start_s": 61.0, "end_s": 62.0, "text": "Farewell.", "speaker": "s0"}
    orphan = {"facts": ["lost"], "reason": "recut", "anchor": anchor, "candidate": "L00020"}
    desk.film.orphans.append(orphan)
    desk.page.go(desk.address, "window.review?.grid.active")
    shown = desk.page.read("document.querySelector('.orphans').innerText")
    assert [
        words for words in ("Farewell.", "Adiós.", "divided otherwise") if words not in shown
    ] == []
    desk.page.click("Put it on line 20: “This is line 20 of the film.”")
    desk.page.wait("document.querySelector('.orphans').hidden")
    told = [(fact["target_id"], fact["value"], fact.get("undoes")) for fact in desk.facts()[1:]]
    assert told == [("Lgone", None, "lost"), ("L00020", "Adiós.", None)]


def test_a_refused_approval_says_why(desk: Desk):
    desk.page.click("Approve …")
    desk.page.write("Heard it all.")
    desk.page.click("Approve")
    desk.page.wait("document.body.innerText.includes('render it first')")
    assert "Held" in desk.page.read("document.querySelector('.gate').innerText")


def test_what_is_heard_is_what_stands_in_the_box(desk: Desk):
    desk.page.press("Enter")
    desk.page.write(" ¿No?")
    desk.page.press("Ctrl+Enter")
    desk.page.wait("document.body.dataset.playing === 'cut'")
    assert [told["text"][-4:] for told in desk.film.tried] == ["¿No?"]
    assert len(desk.facts()) == 1


def test_a_server_that_is_away_loses_nothing(desk: Desk):
    desk.film.gone = True
    desk.page.press("l")
    desk.page.wait("document.body.innerText.includes('The server does not answer')")
    assert desk.film.documents[DUB] == []
    desk.film.gone = False
    desk.page.wait("document.body.innerText.includes('All stored')")
    assert [fact["field"] for fact in desk.facts()] == ["locked"]
    desk.page.browser.errors.clear()


@pytest.mark.parametrize("way", ["slow", "quick", "deaf"])
def test_render_says_what_is_stale_and_when_it_is_not(desk: Desk, way: str):
    """A run may be over before the call that started it is answered, or before anyone listens."""
    desk.film.quick, desk.film.deaf = way == "quick", way == "deaf"
    desk.page.go(desk.address, "window.review?.grid.active")
    desk.page.press("o")
    desk.facts()
    desk.page.wait("document.querySelector('.runs .main')?.innerText === 'Render'")
    desk.page.click("Render")
    desk.page.wait("document.querySelector('.runs')?.innerText === 'Rendered'")
    assert desk.film.output_revision == 1


def test_who_types_goes_on_typing_when_a_run_ends(desk: Desk):
    """The lines are read anew: what is typed next must not be read as keys."""
    desk.page.press("Enter")
    desk.page.write(" Mi")
    desk.page.read("review.finished('')")
    assert desk.page.read("document.activeElement === review.grid.box")
    desk.page.press("l")
    desk.page.press("Enter")
    assert [(fact["field"], fact["value"][-4:]) for fact in desk.facts()][-1] == ("text", " Mil")
    assert {fact["field"] for fact in desk.facts()} == {"text"}


def test_the_focus_stays_on_what_was_pressed(desk: Desk):
    words = "document.activeElement.innerText"
    for chosen in (".chip:nth-child(2)", ".sounds button:nth-child(1)", "[aria-label^=Undo]"):
        desk.page.read(f"document.querySelector('{chosen}').focus()")
        before = desk.page.read(words)
        desk.page.press("Enter")
        desk.facts()
        assert desk.page.read(words) == before


def test_a_run_that_ended_unheard_is_over_here_too(desk: Desk):
    desk.page.read("review.runs.hear({ type: 'run', stage: 'segments', done: 1, total: 2 })")
    desk.page.wait("document.querySelector('.runs progress')")
    desk.page.read("review.runs.catchUp()")
    desk.page.wait("document.querySelector('.runs')?.innerText === 'Rendered'")


def test_of_two_sounds_that_are_chosen_quickly_the_last_is_heard(desk: Desk):
    """The second is chosen while the first is still on its way."""
    desk.page.read("review.actions.original(), review.actions.playLine(), review.actions.dub(), 0")
    desk.page.wait("review.player.cuts.playing?.startedAt")
    assert desk.page.read("[...review.player.cuts.playing.voices.keys()]") == ["dub"]
    assert "non-finite" not in desk.page.read("document.getElementById('notices').innerText")


def test_the_other_pages_open(desk: Desk, server: str, seen: Browser):
    text = seen.open(f"{server}/review/", "The Long Film (2026)", "Spanish", "held")
    assert re.search(r"\bCast\b", text)
    seen.open(f"{server}/review/{KEY}/cast", "Cast of The Long Film", "voice-3", "40 lines")


def test_a_person_says_who_a_speaker_of_the_series_is(desk: Desk):
    desk.page.go(f"{desk.address}/cast", "document.body.innerText.includes('they sound alike')")
    desk.page.click("It is Ada")
    desk.page.wait("document.body.innerText.includes('Not yet in: The Long Film')")
    assert desk.film.corrections == [
        {"target": f"{KEY}/s2", "field": "character", "value": "ada"},
    ]
    assert "they sound alike" not in desk.page.read("document.body.innerText")


def test_a_film_that_is_not_there_is_said(desk: Desk, server: str, seen: Browser):
    seen.open(f"{server}/review/nowhere", "Try again")
    seen.errors.clear()
    assert json.loads(desk.page.read("JSON.stringify(window.review ?? null)")) is None
