from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.timeline.cue_text import collect_names, name_key, read_cue

SPOKEN = [
    # text, [(text, kind, name, new speaker)]
    ("Hello there.", [("Hello there.", "speech", None, False)]),
    ("Two lines\nof one.", [("Two lines of one.", "speech", None, False)]),
    ("- Hi.\n- Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("-Hi.\n-Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("– Hi.\n— Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("Hi.\n- Hello.", [("Hi.", "speech", None, False), ("Hello.", "speech", None, True)]),
    ("- Hi. - Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("- Well-known - a fact", [("Well-known - a fact", "speech", None, True)]),
    ("-5 degrees.", [("-5 degrees.", "speech", None, False)]),
    ("-- and then", [("-- and then", "speech", None, False)]),
    ("JOHN: Hi.", [("Hi.", "speech", "JOHN", True)]),
    ("JOHN:\nHi.", [("Hi.", "speech", "JOHN", True)]),
    ("JOHN (on phone): Hi.", [("Hi.", "speech", "JOHN", True)]),
    ("MRS. O'BRIEN: Hi.", [("Hi.", "speech", "MRS. O'BRIEN", True)]),
    ("MAN 1: Hi.", [("Hi.", "speech", "MAN 1", True)]),
    ("ÉLODIE: Salut.", [("Salut.", "speech", "ÉLODIE", True)]),
    ("ИВАН: Привет.", [("Привет.", "speech", "ИВАН", True)]),
    (
        "JOHN: Hi.\nMARY: Hello.",
        [("Hi.", "speech", "JOHN", True), ("Hello.", "speech", "MARY", True)],
    ),
    ("- JOHN: Hi.\n- No.", [("Hi.", "speech", "JOHN", True), ("No.", "speech", None, True)]),
    (">> JOHN: Hi.", [("Hi.", "speech", "JOHN", True)]),
    (">> Hi.\n>> Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("[John] Hi.", [("Hi.", "speech", "John", True)]),
    ("(JOHN) Hi you.", [("Hi you.", "speech", "JOHN", True)]),
    ("[John, whispering] Hi.", [("Hi.", "speech", "John", True)]),
    ("[man] Hi.", [("Hi.", "speech", "man", True)]),
    ("man: Hi.", [("Hi.", "speech", "man", True)]),
    # Colons that name nobody.
    ("Note: this is it.", [("Note: this is it.", "speech", None, False)]),
    ("NOTE: this is it.", [("NOTE: this is it.", "speech", None, False)]),
    ("Warning: keep out.", [("Warning: keep out.", "speech", None, False)]),
    ("3:45", [("3:45", "speech", None, False)]),
    ("Meet me at 3:45 there.", [("Meet me at 3:45 there.", "speech", None, False)]),
    ("Listen: we must go.", [("Listen: we must go.", "speech", None, False)]),
    ("She said: go.", [("She said: go.", "speech", None, False)]),
    ("Roger: once only.", [("Roger: once only.", "speech", None, False)]),
    ("GREAT: WE DID IT", [("GREAT: WE DID IT", "speech", None, False)]),
    # Sounds.
    ("[door slams]", [("door slams", "nonverbal", None, False)]),
    ("(sighs)", [("sighs", "nonverbal", None, False)]),
    ("*laughs*", [("laughs", "nonverbal", None, False)]),
    ("♪♪", [("♪♪", "nonverbal", None, False)]),
    ("...", [("...", "nonverbal", None, False)]),
    ("[Laughs] Yes.", [("Yes.", "speech", None, False)]),
    ("I know. (sighs) Really.", [("I know. Really.", "speech", None, False)]),
    ("JOHN: [sighs] Yes.", [("Yes.", "speech", "JOHN", True)]),
    ("- [door\nslams]\n- Who?", [("Who?", "speech", None, True)]),
    ("*Really* good.", [("Really good.", "speech", None, False)]),
    ("I (don't) know.", [("I (don't) know.", "speech", None, False)]),
    ("So (and the dog agrees) we go.", [("So (and the dog agrees) we go.", "speech", None, False)]),
    # Songs.
    ("♪ La la la ♪", [("La la la", "song", None, False)]),
    ("♪ La la\nla la ♪", [("La la la la", "song", None, False)]),
    ("♪ La\n♪ la", [("La la", "song", None, False)]),
    ("# La la #", [("La la", "song", None, False)]),
    ("#1 fan of yours", [("#1 fan of yours", "speech", None, False)]),
    ("♪ La ♪\n- Stop!", [("La", "song", None, False), ("Stop!", "speech", None, True)]),
    # Other languages.
    ("[speaking Spanish]", [("speaking Spanish", "foreign", None, False)]),
    ("[in Spanish] Where?", [("Where?", "foreign", None, False)]),
    ("[in a low voice] Where?", [("Where?", "speech", None, False)]),
]


@pytest.mark.parametrize(("text", "parts"), SPOKEN)
def test_a_cue_is_taken_apart(text, parts):
    found = read_cue(text, collect_names([text])).parts
    assert [(p.text, p.kind, p.name, p.new_speaker) for p in found] == parts


@pytest.mark.parametrize(
    "text",
    [
        "Subtitles by somebody",
        "Synced and corrected by somebody",
        "Captions paid for and sponsored by the network",
        "Subtítulos por alguien",
        "Untertitel von jemand",
        "Sous-titres par quelqu'un",
        "www.opensubtitles.org",
        "Download more at www.example.com",
        "Advertise your product or brand here",
    ],
)
def test_advertisements_are_dropped(text):
    read = read_cue(text)
    assert (read.parts, read.dropped) == ((), "credits")


@pytest.mark.parametrize(
    "text",
    [
        "Go to www.example.com and tell all your friends.",
        "I translated it by hand.",
        "The caption was sponsored by nobody, he said, and laughed.",
        "Translation from the old tongue",
    ],
)
def test_talk_about_such_things_is_kept(text):
    assert read_cue(text).dropped is None


@pytest.mark.parametrize("text", ["", " \n ", "\u200b", "<i></i>", "{\\an8}"])
def test_empty_cues_are_dropped(text):
    assert read_cue(text).dropped == "empty"


def test_a_label_in_mixed_case_names_somebody_when_it_comes_twice():
    names = collect_names(["Roger: One.", "Roger: Two.", "Mary: Once."])
    assert names == {"roger"}
    assert read_cue("Roger: Three.", names).parts[0].name == "Roger"


def test_a_name_known_from_a_label_is_known_in_brackets():
    names = collect_names(["KING: Hear me."])
    assert read_cue("[king] Hear me again.", names).parts[0].name == "king"
    assert name_key("KING") == name_key("king")


def test_sounds_taken_out_are_counted():
    assert read_cue("[sighs] Yes. (laughs)\n[door slams]").removed_sounds == 3


words = st.sampled_from("Yes I never thought that you would come here again, old friend.".split())
lines = st.lists(words, min_size=1, max_size=6).map(" ".join)
prefixes = st.sampled_from(["", "- ", "JOHN: ", ">> ", "♪ ", "[John] ", "[sighs] ", "- MARY: "])


@given(st.lists(st.tuples(prefixes, lines), min_size=1, max_size=4))
def test_no_spoken_word_is_lost_or_doubled(cue):
    text = "\n".join(prefix + line for prefix, line in cue)
    spoken = [w for _, line in cue for w in re.findall(r"\w+", line)]
    found = [w for part in read_cue(text).parts for w in re.findall(r"\w+", part.text)]
    assert found == spoken


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    read = read_cue(text, collect_names([text]))
    assert bool(read.parts) == (read.dropped is None)
    assert all(part.text for part in read.parts)
