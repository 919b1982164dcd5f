"""From the text of a file, and the speech under it, to lines, dropped cues, and cues to be said."""

from __future__ import annotations

import pytest

from dubarr_pipeline.media.subtitles.parse import Cue, parse_cues
from dubarr_pipeline.script.cues.layout import CueLayout, SoundClock, lay_out, spoken_cues
from dubarr_pipeline.spans import Span

RATE = 1000
CLOCK = SoundClock(RATE, 25_000)
AT = (
    (1500, 4670),
    (5800, 7250),
    (9200, 11_310),
    (13_000, 15_590),
    (17_200, 19_090),
    (21_000, 23_030),
)
SPEECH = [Span(*at) for at in AT]
TEXT = (
    "Good evening, my friend. I have a letter for you.",
    "Who gave you the letter?",
    "The old man at the station.",
    "We must go to the house before the night.",
    "I do not know where the key is.",
    "Please open the window and wait.",
)
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def srt(*rows: tuple[int, int, str]) -> list[Cue]:
    return [Cue(Span(start, end), text) for start, end, text in rows]


def six(**changed: str) -> list[Cue]:
    """The six lines, some of them with another text: `line_0="..."`."""
    texts = [changed.get(f"line_{i}", text) for i, text in enumerate(TEXT)]
    return srt(*((*at, text) for at, text in zip(AT, texts, strict=True)))


def ass(*rows: tuple[int, int, str, str, str]) -> list[Cue]:
    """The cues of an ASS file of events: start, end in ms, style, actor, text."""

    def clock(ms: int) -> str:
        return f"0:00:{ms / 1000:05.2f}"

    lines = (
        f"Dialogue: 0,{clock(start)},{clock(end)},{style},{actor},0,0,0,,{text}"
        for start, end, style, actor, text in rows
    )
    found = parse_cues(ASS + "\n".join(lines), "ass")
    return [Cue(Span(c.start_ms, c.end_ms), c.text, c.name, c.style, c.sign) for c in found]


def kinds(layout: CueLayout, kind: str) -> list[str]:
    return [piece.text for piece in layout.pieces if piece.kind == kind]


def dropped(layout: CueLayout, cues: list[Cue]) -> list[tuple[str, str]]:
    return [(cues[i].text, reason) for i, reason in layout.dropped.items()]


def test_lines_that_read_like_credits_are_spoken_where_there_is_speech() -> None:
    cues = six(
        line_0="Timing is everything, my friend, by the way.",
        line_2="Translation by hand",
        line_3="Subtitles by my brother",
        line_4="Rip it out by the roots!",
        line_5="Download it at www.example.com",
    )
    layout = lay_out(cues, SPEECH, CLOCK)
    assert (kinds(layout, "speech"), layout.dropped) == ([cue.text for cue in cues], {})


def test_credits_without_speech_and_advertisements_are_dropped_by_name() -> None:
    extra = srt((11_400, 12_900, "Subtitles by somebody"), (9300, 11_000, "www.opensubtitles.org"))
    layout = lay_out(cues := [*six(), *extra], SPEECH, CLOCK)
    assert kinds(layout, "speech") == list(TEXT)
    assert dropped(layout, cues) == [
        ("www.opensubtitles.org", "credits"),
        ("Subtitles by somebody", "credits"),
    ]


def test_a_credit_over_the_speech_of_another_line_is_dropped() -> None:
    layout = lay_out([*six(), *srt((1500, 4600, "Subtitles by somebody"))], SPEECH, CLOCK)
    assert kinds(layout, "speech") == list(TEXT)


@pytest.mark.parametrize("actors", [("Staff A", "Guest"), ("Title Clerk", "Signora Rossi")])
def test_actors_are_only_named(actors: tuple[str, str]) -> None:
    rows = [(*at, "Default", actors[i % 2], TEXT[i]) for i, at in enumerate(AT)]
    layout = lay_out(ass(*rows), SPEECH, CLOCK)
    assert [(p.text, p.name) for p in layout.pieces] == [
        (text, actors[i % 2]) for i, text in enumerate(TEXT)
    ]


SIGNS = ("Railway Station", "Tickets", "Platform Four", "No Smoking", "Waiting Room", "Way Out")


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("style", ["Board", "Default", "Signs"])
def test_signs_are_not_spoken_however_many(count: int, style: str) -> None:
    said = [(*at, "Default", "", text) for at, text in zip(AT, TEXT, strict=True)]
    written = [
        (end + 30, end + 1200, style, "", f"{{\\pos(100,200)}}{sign}")
        for (_, end), sign in zip(AT[:count], SIGNS, strict=False)
    ]
    layout = lay_out(cues := ass(*said, *written), SPEECH, CLOCK)
    assert kinds(layout, "speech") == list(TEXT)
    assert dropped(layout, cues) == [(sign, "sign") for sign in SIGNS[:count]]


def test_a_sign_over_the_speech_of_others_is_not_spoken() -> None:
    said = [(*at, "Default", "", text) for at, text in zip(AT, TEXT, strict=True)]
    written = (1600, 4600, "Board", "", "{\\pos(1,2)}Closed")
    assert kinds(lay_out(ass(*said, written), SPEECH, CLOCK), "speech") == list(TEXT)


@pytest.mark.parametrize("style", ["Signs", "Caption", "Board"])
def test_placed_dialogue_is_spoken_where_no_other_line_is(style: str) -> None:
    placed = [(*at, style, "", f"{{\\pos(1,2)}}{t}") for at, t in zip(AT[:3], TEXT, strict=False)]
    said = [(*at, "Default", "", text) for at, text in zip(AT[3:], TEXT[3:], strict=True)]
    assert kinds(lay_out(ass(*placed, *said), SPEECH, CLOCK), "speech") == list(TEXT)
    everything = ass(
        *((*at, style, "", f"{{\\pos(1,2)}}{t}") for at, t in zip(AT, TEXT, strict=True))
    )
    assert kinds(lay_out(everything, SPEECH, CLOCK), "speech") == list(TEXT)
    assert kinds(lay_out(everything, [], CLOCK), "speech") == list(TEXT)


def test_capitals_without_speech_are_no_lines() -> None:
    extra = srt((11_400, 12_600, "DOOR SLAMS"), (19_200, 20_800, "LONDON, 1944"))
    layout = lay_out([*six(line_5="GET OUT OF HERE"), *extra], SPEECH, CLOCK)
    assert kinds(layout, "speech") == [*TEXT[:5], "GET OUT OF HERE"]
    assert kinds(layout, "nonverbal") == ["DOOR SLAMS", "LONDON, 1944"]


def test_cues_before_the_sound_and_behind_it_are_dropped_by_name() -> None:
    extra = srt((-3000, -500, "Before."), (-200, 1300, "Half."), (26_000, 27_000, "After."))
    layout = lay_out(cues := [*extra, *six()], SPEECH, CLOCK)
    assert kinds(layout, "speech") == ["Half.", *TEXT]
    assert layout.pieces[0].span.start >= 0
    assert dropped(layout, cues) == [("Before.", "before the start"), ("After.", "after the end")]


def test_what_is_said_of_a_translation() -> None:
    cues = six(
        line_0="ANA: Buenas noches, amigo mío.\nLUIS: Tengo una carta para ti.",
        line_1="[Suspira] ¿Quién te dio la carta?",
        line_2="# El viejo de la estación. #",
        line_3="~ Tenemos que ir.\n~ Sí.",
        line_4="PORTAZO",
        line_5="LUIS: Abre la ventana y espera, por favor.",
    )
    extra = srt(
        (1500, 4600, "Traducido por Juan"),
        (15_700, 17_000, "Subtítulos: Pedro"),
        (11_400, 12_900, "www.subdivx.com"),
    )
    speech = [span for span in SPEECH if span.start != 17_200]
    assert [(c.span, c.text) for c in spoken_cues([*cues, *extra], speech, RATE)] == [
        (SPEECH[0], "- Buenas noches, amigo mío.\n- Tengo una carta para ti."),
        (SPEECH[1], "¿Quién te dio la carta?"),
        (SPEECH[3], "- Tenemos que ir.\n- Sí."),
        (SPEECH[5], "Abre la ventana y espera, por favor."),
    ]
