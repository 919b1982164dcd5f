"""The words by which a subtitle's descriptions, names and advertisements are known."""

from __future__ import annotations

import re

NOT_NAMES = frozenset(
    (
        "a answer aka asap attention breaking caution chapter conclusion correction danger date "
        "day episode example exhibit fact first fourth fyi goal hint idea item last listen "
        "location look meaning message mission motive name narrated news next note now object "
        "objective occupation option order part password plan point problem ps q question re "
        "reason remember result rule scene second season secret sign solution step subject summary "
        "theory third time tip title to topic truth update verdict via warning wanted"
    ).split()
) | {"p.s.", "breaking news", "to do", "in short", "bottom line", "one thing", "for example"}
"""Labels before a colon that announce something and name nobody."""

ROLES = frozenset(
    (
        "man woman boy girl child kid baby narrator announcer reporter host guard soldier officer "
        "cop driver nurse doctor teacher waiter waitress clerk operator dispatcher pilot voice "
        "computer robot crowd all both men women boys girls kids children everyone together others"
    ).split()
)
"""Who speaks when the script gives no name; accepted in small letters too."""

CHORUS = frozenset(
    "all both crowd men women boys girls kids children everyone together others".split()
)
"""Labels that stand for several people at once: no one speaker."""

_SOUND_STEMS = (
    "sigh laugh chuckl giggl snicker scoff gasp cough groan grunt scream cries crying cry sob snif "
    "whisper shout yell mutter mumbl murmur music applau cheer clap silence door phone cellphone "
    "ring beep bark meow thunder wind gunshot gunfire explosion footstep knock crash clear throat "
    "inhal exhal pant moan whimper wail shriek snor sneez hum whistl boo tut hiss growl howl roar "
    "rumbl buzz chatter indistinct inaudible static siren alarm engine tire horn honk bell chim "
    "click clank clatter rustl creak slam thud bang dramatic suspens theme song instrumental sing "
    "chant breath gulp swallow kiss spit burp hiccup scoff snap squeak squeal screech splash rain "
    "water bird dog cat horse neigh vehicle car truck helicopter train gun shot fire blow hit "
    "punch panting pause audience crowd continues speaking speaks stammer stutter echo distort "
    "muffl garbl risas música musica aplausos suspira ríe rires musique soupir lacht musik seufzt "
    "gelächter ominous tense eerie upbeat gentle soft quiet loud mocking sarcastic imitat mimick "
    "gargl"
).split()
_SOUND = re.compile(
    r"\b(?:" + "|".join(map(re.escape, _SOUND_STEMS)) + r")(?:s|es|ed|ing|ling|ter|le|les|led)?\b",
    re.I,
)
_MANNER = re.compile(
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
    r"|ondertiteling\b)",
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
    """Whether anything in it can be spoken: a letter or a digit in any script."""
    return any(character.isalnum() for character in text)


def is_sound(inside: str) -> bool:
    """Whether what stands in brackets describes a sound or a manner: "door slams", "sighs"."""
    return bool(_SOUND.search(inside) or _MANNER.match(inside))


def is_described_sound(inside: str) -> bool:
    """Whether round brackets hold a sound rather than an aside that is spoken: "(and the dog)"."""
    return is_sound(inside) and len(inside.split()) <= 5 and not _ASIDE.match(inside)


def is_starred_sound(inside: str) -> bool:
    """Whether asterisks hold a sound ("*sighs*") rather than a stressed word ("*really*")."""
    return bool(_SOUND.search(inside))


def is_credit(text: str) -> bool:
    """Whether a cue is the subtitler's name or an advertisement: nobody speaks it."""
    if _CREDITS.search(text) or _SITES.search(text):
        return True
    rest, addresses = _ADDRESS.subn(" ", text)
    return addresses > 0 and len([w for w in rest.split() if has_words(w)]) <= 3
