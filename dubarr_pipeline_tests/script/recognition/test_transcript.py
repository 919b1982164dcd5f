from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.layout import SoundClock
from dubarr_pipeline.script.model import Transcript, Turn
from dubarr_pipeline.script.recognition.passages import Passage
from dubarr_pipeline.script.recognition.transcript import HeardFilm, transcribe
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words, texts, words

LENGTH = 40_000


def film(*cues: Cue, turns: tuple[Turn, ...] = ()) -> HeardFilm:
    speech = (Span(0, LENGTH),)
    return HeardFilm(SoundClock(RATE, LENGTH), speech, turns, cues, "en")


def said(found: Transcript) -> list[str]:
    return [word.text for segment in found.segments for word in segment.words]


@st.composite
def passages(draw: st.DrawFn) -> list[Passage]:
    heard = draw(heard_words())
    cuts = sorted(draw(st.lists(st.integers(0, len(heard)), max_size=6)))
    edges = [0, *cuts, len(heard)]
    return [Passage(heard[a:b], draw(st.sampled_from(["en", "es"]))) for a, b in pairwise(edges)]


TURNS = st.lists(
    st.builds(
        lambda start, length, who: Turn(Span(start, start + length), f"SPEAKER_{who:02d}"),
        st.integers(0, 6000),
        st.integers(1, 2000),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(passages(), TURNS)
def test_our_code_adds_no_error_to_the_recognisers_words(
    heard: list[Passage], turns: list[Turn]
) -> None:
    found = transcribe(heard, film(turns=tuple(turns)))
    assert said(found) == texts([word for passage in heard for word in passage.words])
    assert not found.dropped
    starts = [segment.span.start for segment in found.segments]
    assert starts == sorted(starts)
    for one, other in pairwise(found.segments):
        assert one.span.end <= other.span.start
    for segment in found.segments:
        assert 0 <= segment.span.start <= segment.span.end <= LENGTH


def errors(found: list[str], wanted: str) -> int:
    """Words to change, add or leave out (Levenshtein), marks and capitals apart."""
    one = ["".join(c for c in w.casefold() if c.isalnum()) for w in found]
    other = ["".join(c for c in w.casefold() if c.isalnum()) for w in wanted.split()]
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, above = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (a != b)))
    return row[-1]


def test_subtitles_lessen_the_recognisers_errors() -> None:
    true = "Xaman told Ishtar to wait. The scales of Dremora are burning, and Kveta knows it."
    heard = "shaman told each tar to wait the skales of dremorra are burning and queta knows it"
    cues = [
        Cue(Span(60, 240), "Xaman told Ishtar to wait."),
        Cue(Span(240, 560), "The scales of Dremora are\nburning, and Kveta knows it."),
    ]
    alone = transcribe([Passage(words(heard), "en")], film())
    helped = transcribe([Passage(words(heard), "en")], film(*cues))
    assert errors(said(alone), true) == 6
    assert errors(said(helped), true) <= 1
    assert len(helped.edits) >= 4
    assert all(e.source == "subtitles" for e in helped.edits)


def test_songs_and_foreign_words_of_the_subtitles_stay_original() -> None:
    cues = [
        Cue(Span(0, 180), "♪ Row, row, row your boat ♪"),
        Cue(Span(400, 580), "[speaking Spanish]\nNo hablo español"),
        Cue(Span(900, 1080), "Where is the old boat now?"),
    ]
    heard = [
        Passage(words("row row row your boat"), "en"),
        Passage(words("where is the old boat now", 900), "en"),
    ]
    speech = (Span(0, 180), Span(400, 580), Span(900, 1080))
    scene = HeardFilm(SoundClock(RATE, LENGTH), speech, (), tuple(cues), "en")
    found = transcribe(heard, scene)
    assert [(s.kind, s.text) for s in found.segments] == [
        ("song", "row row row your boat"),
        ("speech", "Where is the old boat now?"),
    ]


def test_what_was_not_said_is_counted() -> None:
    heard = [Passage(words("We sail.") + words("Thanks for watching!", 200, probability=0.3), "en")]
    found = transcribe(heard, film())
    assert found.segments[0].text == "We sail."
    assert found.dropped == {"phantom_phrase": 3}
