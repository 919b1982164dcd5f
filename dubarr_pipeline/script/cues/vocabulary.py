"""Words by which subtitles tell names, sounds, other languages and credits from speech."""

import re

SENTENCE_ENDS = '.!?…"”»'

NOT_NAMES = frozenset(
    (
        "a advice aka and answer asap attention bad breaking but caution chapter conclusion "
        "correct correction danger date day deal episode example excuse exhibit fact fine first "
        "five four fourth fyi goal good great hello hey hint hurry idea imagine item last later "
        "listen location look luck me meaning message mind mission motive my name narrated never "
        "news next no nobody note nothing now object objective occupation oh ok okay one option "
        "order part password plan please point problem promise ps q question re ready reason "
        "relax remember result right rule scene season second secret sign so solution sorry step "
        "stop subject summary surprise thanks theory think third three time tip title to topic "
        "true truth two update verdict via wait wanted warning well what who why worse worst wow "
        "wrong yeah yes you"
    ).split()
) | {"p.s.", "breaking news", "to do", "in short", "bottom line", "one thing", "for example"}
"""Labels before a colon that announce something and are not names."""

ROLES = frozenset(
    (
        "man woman boy girl child kid baby narrator announcer reporter host guard soldier officer "
        "cop driver nurse doctor teacher waiter waitress clerk operator dispatcher pilot voice "
        "computer robot captain sergeant lieutenant colonel commander king queen prince princess "
        "judge lawyer priest mother father mom dad crowd all both men women boys girls kids "
        "children everyone together others"
    ).split()
)
"""Speakers without a name; accepted in lower case too."""

CHORUS = frozenset(
    "all both crowd men women boys girls kids children everyone together others".split()
)
"""Labels of several people at once: not one speaker."""

_SOUND_STEMS = (
    "sigh laugh chuckl giggl snicker scoff gasp cough groan grunt scream cries crying cry sob "
    "snif whisper shout yell mutter mumbl murmur music applause applaud cheer clap silence door "
    "phone cellphone ring beep bark meow thunder wind gunshot gunfire explosion footstep knock "
    "crash clear throat inhal exhal pant moan whimper wail shriek snor sneez hum whistl boo tut "
    "hiss growl howl roar rumbl buzz chatter indistinct inaudible static siren alarm engine tire "
    "horn honk bell chim click clank clatter rustl creak slam thud bang shatter patter scrap "
    "heartbeat dramatic suspens theme song instrumental sing chant breath gulp swallow kiss spit "
    "burp hiccup snap squeak squeal screech splash rain water bird dog cat horse neigh vehicle "
    "car truck helicopter train gun shot fire blow hit punch panting pause audience crowd "
    "continues speaking speaks stammer stutter echo distort muffl garbl risas música musica "
    "aplausos suspira ríe rires musique soupir lacht musik seufzt gelächter ominous tense eerie "
    "upbeat gentle soft quiet loud mocking sarcastic imitat mimick gargl"
).split()
_SOUND_NOUNS = frozenset(
    "applause laughter music silence thunder gunfire static murmur chatter birdsong gunshot "
    "explosion siren fanfare aplausos risas música rires applaudissements".split()
)
_ASIDE_OF_SPEAKERS = re.compile(
    r"\b(?:I|YOU|YOUR|WE|US|ME|IT'S|DON'T|PLEASE|NO|YES|MY|THIS|THAT)\b"
)
_SOUND = re.compile(
    r"\b(?:" + "|".join(map(re.escape, _SOUND_STEMS)) + r")(?:s|es|ed|ing|ling|ter|le|les|led)?\b",
    re.I,
)
_SOUND_MANNER = re.compile(
    r"^\s*(?:\w+ly|(?!(?:no|some|any|every)?thing|being|during|according|considering)\w+ing\b.*)$",
    re.I,
)
_ASIDE = re.compile(
    r"^\s*(?:i|you|he|she|it|we|they|and|but|or|not|if|the|that|this|what|who)\b", re.I
)
_LANGUAGES = (
    "english spanish french german italian portuguese russian japanese chinese mandarin cantonese "
    "korean arabic hebrew hindi dutch swedish norwegian danish finnish polish czech greek turkish "
    "latin catalan ukrainian romanian hungarian vietnamese thai farsi persian urdu gaelic welsh "
    "elvish klingon dothraki foreign native alien"
).replace(" ", "|")
FOREIGN = re.compile(
    r"^(?:(?:speak|talk|chant|sing|shout|continu|curs|pray|repl|respond|whisper)\w*\s+(?:in\s+)?"
    rf"|in\s+|replying in\s+)(?:{_LANGUAGES})\b",
    re.I,
)
"""A description that what is said is not in the film's own language."""

_CREDITS = re.compile(
    r"^\W*(?:(?:english\s+|closed\s+)?(?:sub(?:title|bing|b?ed)s?|captions?|captioned"
    r"|captioning|transcript(?:ion|s)?|"
    r"translat(?:ion|ed)|sync(?:ed|hronized|ro)?|re-?sync(?:ed)?|rip(?:ped)?|encoded|corrected"
    r"|corrections|timing)"
    r"\b[^.!?\n]{0,40}\b(?:by|sponsored)\b"
    r"|subt[íi]tulos?\s+(?:por|de)\b|traducci[óo]n\s+(?:de|por)\b|traducido "
    r"por|untertitel(?:ung)?\s*(?:von|:)"
    r"|sous-titr(?:es|age)\s*(?:par|:|de)|sottotitoli\s+(?:a "
    r"cura|di|:)|legendas?\s+(?:por|de)\b|subt[íi]tols\s+(?:de|per)\b"
    r"|ondertiteling\b"
    r"|(?:subtitles?|captions?|translation|subt[íi]tulos?|traducci[óo]n|traduction|legendas?"
    r"|sottotitoli|übersetzung)\s*:)",
    re.I,
)
_SITES = re.compile(
    r"opensubtitles|addic7ed|subscene|podnapisi|yify|yts\.|tvsubtitles|subdivx|osdb\.link"
    r"|napiprojekt|"
    r"advertise your product or brand|become (?:a )?vip member|remove all ads from|support us "
    r"and become",
    re.I,
)
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|org|net|tv|info|io)\b\S*", re.I)


def has_words(text: str) -> bool:
    """Return whether anything in it can be spoken: a letter or a digit in any script."""
    return any(character.isalnum() for character in text)


def is_sound(inside: str) -> bool:
    """Return whether the text in brackets describes a sound or a manner: "door slams", "sighs"."""
    return bool(_SOUND.search(inside) or _SOUND_MANNER.match(inside))


def is_described_sound(inside: str) -> bool:
    """Return whether round brackets hold a sound, not an aside that is spoken: "(and the dog)"."""
    return is_sound(inside) and len(inside.split()) <= 5 and not _ASIDE.match(inside)


def is_starred_sound(inside: str) -> bool:
    """Return whether asterisks hold a sound ("*sighs*"), not a stressed word ("*really*")."""
    return bool(_SOUND.search(inside))


def is_shown_sound(text: str) -> bool:
    """Return whether words in capitals can be nothing but a sound: "DOG BARKS", "APPLAUSE"."""
    if (
        not text.isupper()
        or text[-1] in SENTENCE_ENDS
        or ":" in text
        or _ASIDE_OF_SPEAKERS.search(text)
    ):
        return False
    found = [match[0].casefold() for match in _SOUND.finditer(text)]
    # Sounds are described in the present tense.
    return any(
        word in _SOUND_NOUNS or (word not in _SOUND_STEMS and not word.endswith("ed"))
        for word in found
    )


def is_sound_beside_speech(text: str) -> bool:
    """Return whether words in capitals before or after others are a sound: "DOOR OPENS Hi."."""
    if is_shown_sound(text):
        return True
    loud = text.isupper() and text[-1] not in SENTENCE_ENDS and ":" not in text
    said = _ASIDE_OF_SPEAKERS.search(text)
    return loud and " " in text and not said and bool(_SOUND.search(text))


def is_advertisement(text: str) -> bool:
    """Return whether a cue names a site that puts advertisements into subtitles."""
    return bool(_SITES.search(text))


def is_credit(text: str) -> bool:
    """Return whether a cue reads like the subtitler's name, or an advertisement."""
    if is_advertisement(text):
        return True
    if found := _CREDITS.search(text):
        words = re.findall(r"[^\W\d_]\w*", text[found.end() :])
        # A sentence that goes on in small letters is somebody's speech.
        return text.rstrip()[-1] not in SENTENCE_ENDS or not any(w[0].islower() for w in words)
    rest, addresses = _ADDRESS.subn(" ", text)
    return addresses > 0 and len([w for w in rest.split() if has_words(w)]) <= 3
