"""Words by which subtitles tell names, sounds, other languages and credits from speech."""

import re

from dubarr_pipeline.text.tables import read_table

_WORDS = read_table(__package__, "vocabulary")


def _words(name: str) -> list[str]:
    return re.split(r",\s+", _WORDS[name].strip())


SENTENCE_ENDS = '.!?…"”»'
NOT_NAMES = frozenset(_words("not_names"))
ROLES = frozenset(_words("roles"))
CHORUS = frozenset(_words("chorus"))
_SOUND_STEMS, _SOUND_NOUNS = _words("sound_stems"), frozenset(_words("sound_nouns"))
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
FOREIGN = re.compile(
    r"^(?:(?:speak|talk|chant|sing|shout|continu|curs|pray|repl|respond|whisper)\w*\s+(?:in\s+)?"
    rf"|in\s+|replying in\s+)(?:{'|'.join(_words('languages'))})\b",
    re.I,
)
"""A description that what is said is not in the film's own language."""

_CREDITS = re.compile(
    rf"^\W*(?:{'|'.join(_WORDS['credits'])})".replace("@", "|".join(_WORDS["credited_work"])), re.I
)
_SITES = re.compile("|".join(_WORDS["sites"]), re.I)
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
