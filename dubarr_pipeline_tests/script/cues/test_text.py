from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.cues.text import conventions_of, name_key, read_cue

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
    ("* Who gave you the letter?", [("Who gave you the letter?", "song", None, False)]),
    ("-# Please open the window.", [("Please open the window.", "song", None, True)]),
    ("JOHN: # La la la", [("La la la", "song", "JOHN", True)]),
    ("La la la #", [("La la la", "song", None, False)]),
    ("#La la la#", [("La la la", "song", None, False)]),
    ("#I did it my way", [("I did it my way", "song", None, False)]),
    ("La la\nla la ♪", [("La la la la", "song", None, False)]),
    ("# La la\nla la #", [("La la la la", "song", None, False)]),
    ("¶ La la ¶", [("La la", "song", None, False)]),
    ("¶¶ La la", [("La la", "song", None, False)]),
    ("#MeToo is everywhere now", [("#MeToo is everywhere now", "speech", None, False)]),
    ("*Really good* stuff", [("Really good stuff", "speech", None, False)]),
    # Marks of a new speaker.
    ("~ Hi.\n~ Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("~Hi.\n~Hello.", [("Hi.", "speech", None, True), ("Hello.", "speech", None, True)]),
    ("- 42.\n- Really?", [("42.", "speech", None, True), ("Really?", "speech", None, True)]),
    ("~5 degrees.", [("~5 degrees.", "speech", None, False)]),
    ("HI. >> HELLO.", [("HI.", "speech", None, False), ("HELLO.", "speech", None, True)]),
    (">>> Hi.", [("Hi.", "speech", None, True)]),
    # Labels in capitals and in mixed case.
    (">> JOHN: WHO GAVE IT?", [("WHO GAVE IT?", "speech", "JOHN", True)]),
    ("JOHN: WHO GAVE IT?", [("WHO GAVE IT?", "speech", "JOHN", True)]),
    (">> John: Who gave it?", [("Who gave it?", "speech", "John", True)]),
    ("- Mr. Jones: Who?", [("Who?", "speech", "Mr. Jones", True)]),
    ("- Listen: We must go.", [("Listen: We must go.", "speech", None, True)]),
    ("- Look: it rains.", [("Look: it rains.", "speech", None, True)]),
    ("Man 2: Who?", [("Who?", "speech", "Man 2", True)]),
    ("Mary Smith: Who gave it?", [("Who gave it?", "speech", "Mary Smith", True)]),
    ("and my\nfather: he is late", [("and my father: he is late", "speech", None, False)]),
    ("Rule One: Never talk.", [("Rule One: Never talk.", "speech", None, False)]),
    ("2ND GUARD: Halt!", [("Halt!", "speech", "2ND GUARD", True)]),
    ("WOMAN WITH THE RED HAT: Hi.", [("Hi.", "speech", "WOMAN WITH THE RED HAT", True)]),
    # Sounds in capitals.
    ("DOOR SLAMS", [("DOOR SLAMS", "speech", None, False)]),  # all there is, is in capitals
    ("DOOR SLAMS\nWho is it there?", [("Who is it there?", "speech", None, False)]),
    ("PHONE RINGS Hello, who is it?", [("Hello, who is it?", "speech", None, False)]),
    ("Thank you all so much. APPLAUSE", [("Thank you all so much.", "speech", None, False)]),
    ("DOOR OPENS\nWho is it there?", [("Who is it there?", "speech", None, False)]),
    ("The old man. KNOCK AT DOOR", [("The old man.", "speech", None, False)]),
    ("HE SIGHS: Well, we must go.", [("Well, we must go.", "speech", None, False)]),
    (
        "FIRE THE GUN\nand run for your life",
        [("FIRE THE GUN and run for your life", "speech", None, False)],
    ),
    ("HE LAUGHS I know it, my friend.", [("I know it, my friend.", "speech", None, False)]),
    ("- HE LAUGHS\n- I know it well.", [("I know it well.", "speech", None, True)]),
    ("STOP! I said stop right now.", [("STOP! I said stop right now.", "speech", None, False)]),
    ("MUSIC is what I live for.", [("MUSIC is what I live for.", "speech", None, False)]),
    # Other languages.
    ("[speaking Spanish]", [("speaking Spanish", "foreign", None, False)]),
    ("[in Spanish] Where?", [("Where?", "foreign", None, False)]),
    ("[in a low voice] Where?", [("Where?", "speech", None, False)]),
]


@pytest.mark.parametrize(("text", "parts"), SPOKEN)
def test_a_cue_is_taken_apart(text, parts):
    found = read_cue(text, conventions_of([text])).parts
    assert [(p.text, p.kind, p.name, p.new_speaker) for p in found] == parts


@pytest.mark.parametrize(
    "text",
    [
        "www.opensubtitles.org",
        "Synced and corrected by somebody - www.addic7ed.com",
        "Advertise your product or brand here\ncontact www.OpenSubtitles.org today",
        "Support us and become VIP member",
    ],
)
def test_advertisements_of_known_sites_are_dropped(text):
    read = read_cue(text)
    assert (read.parts, read.dropped) == ((), "credits")


@pytest.mark.parametrize(
    "text",
    [
        "Subtitles by somebody",
        "Subtitles by John Smith.",
        "Synced and corrected by somebody",
        "Captions paid for and sponsored by the network",
        "Subtítulos por alguien",
        "Untertitel von jemand",
        "Sous-titres par quelqu'un",
        "Download more at www.example.com",
    ],
)
def test_credits_are_doubted(text):
    read = read_cue(text)
    assert (len(read.parts), read.dropped, read.doubt) == (1, None, "credits")


@pytest.mark.parametrize(
    "text",
    [
        "Go to www.example.com and tell all your friends.",
        "I translated it by hand.",
        "The caption was sponsored by nobody, he said, and laughed.",
        "Translation from the old tongue",
        "Timing is everything, my friend, by the way.",
        "Translation by hand takes time.",
        "Rip it out by the roots!",
        "Corrections by Friday, please.",
    ],
)
def test_talk_about_such_things_is_kept(text):
    read = read_cue(text)
    assert (read.dropped, read.doubt) == (None, None)


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("LONDON, 1944", "caption"),
        ("DISTANT ROLL OF DRUMS", "caption"),
        ("(dans le jardin)", "caption"),
        ("GET OUT OF HERE!", None),
        ("Get out of here", None),
        ("JOHN: GET OUT", None),
        ("- GET OUT", None),
    ],
)
def test_what_may_be_a_sound_or_a_writing_is_doubted(text, doubt):
    script = conventions_of([text, "MARY: The dialogue is in small letters, as everywhere."])
    assert read_cue(text, script).doubt == doubt
    loud = conventions_of([text, "BUT HERE EVERYTHING IS WRITTEN IN CAPITALS, WHATEVER IT IS."])
    assert read_cue(text, loud).doubt == (doubt if text.startswith("(") else None)


@pytest.mark.parametrize("text", ["DOOR SLAMS", "DOG BARKS IN DISTANCE", "APPLAUSE", "SHE SOBS"])
def test_sounds_in_capitals_are_not_spoken(text):
    script = conventions_of([text, "The dialogue itself is in small letters, as everywhere."])
    assert [(p.text, p.kind) for p in read_cue(text, script).parts] == [(text, "nonverbal")]


@pytest.mark.parametrize("text", ["", " \n ", "\u200b", "<i></i>", "{\\an8}"])
def test_empty_cues_are_dropped(text):
    assert read_cue(text).dropped == "empty"


def test_a_label_in_mixed_case_names_somebody_where_others_are_named_likewise():
    script = conventions_of(["Roger: One.", "Roger: Two.", "Mary: Once.", "Plan: Wait.", "A plan."])
    assert script.names == {"roger", "mary"}
    assert read_cue("Roger: Three.", script).parts[0].name == "Roger"
    few, many = ["Mary: Once.", "Hello."], ["Mary: Once.", *["Hello."] * 60]
    assert conventions_of(few).names == {"mary"}
    assert conventions_of(many).names == set()


def test_the_name_of_an_actors_field_only_names():
    (part,) = read_cue("Who is there?", name="Staff A").parts
    assert (part.text, part.name, part.new_speaker) == ("Who is there?", "Staff A", True)
    assert [p.name for p in read_cue("- Hi.\n- Hello.", name="Both").parts] == [None, None]


def test_a_name_known_from_a_label_is_known_in_brackets():
    names = conventions_of(["KING: Hear me."])
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
    read = read_cue(text, conventions_of([text]))
    assert bool(read.parts) == (read.dropped is None)
    assert all(part.text for part in read.parts)
