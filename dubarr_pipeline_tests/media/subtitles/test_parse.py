"""Subtitle text: encodings, markup, and files that no standard foresaw."""
# ruff: noqa: E501, RUF001 - tables of odd files and of many scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.media.subtitles.encoding import decode_text
from dubarr_pipeline.media.subtitles.parse import TimedText, parse_cues, plain_ass, plain_text

TEXTS = {
    "en": "I can't believe it's you – after all these years…\nNaïve café, “quoted”.",
    "es": "¿Qué te trae a la tierra de los guardianes?\nEstoy buscando a alguien. ¡Mañana!",
    "fr": "C'est là que l'été commence, à côté du château, où l'œuvre s'achève.",
    "de": "Eine gefährliche Suche für eine einsame Jägerin.\nÜber große Füße.",
    "pt": "Não há razão para isso, irmão. Você já não está só.",
    "pl": "Zażółć gęślą jaźń. Nie wiem, gdzie są moje książki, ale źle się czuję.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "ru": "Что привело тебя в земли привратников?\nЯ ищу кое-кого. Очень дорогого?",
    "el": "Τι σε φέρνει στη γη των φυλάκων; Ψάχνω κάποιον.",
    "tr": "Seni koruyucuların ülkesine getiren nedir? Şişli'de güneş ışığı.",
    "he": "מה מביא אותך לארץ השומרים? אני מחפשת מישהו.",
    "ar": "ما الذي أتى بك إلى أرض الحراس؟ أبحث عن شخص ما.",
    "ja": "この刃には暗い過去がある。\n多くの罪なき者の血を流してきた。",
    "zh": "这把剑有一段黑暗的过去。\n它曾让许多无辜的人流血。",
    "ko": "이 칼에는 어두운 과거가 있다. 무고한 피를 많이 흘렸지.",
    "th": "ดาบเล่มนี้มีอดีตอันมืดมน",
}
ENCODINGS = [
    *(("en", e) for e in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")),
    *(("es", e) for e in ("cp1252", "utf-16-be", "utf-8")),
    *(("fr", e) for e in ("cp1252",)),
    *(("de", e) for e in ("cp1252",)),
    *(("pt", e) for e in ("cp1252",)),
    *(("pl", e) for e in ("cp1250", "iso8859_2")),
    *(("cs", e) for e in ("cp1250",)),
    *(("ru", e) for e in ("cp1251", "koi8_r", "utf-16-le", "utf-16")),
    *(("el", e) for e in ("cp1253",)),
    *(("tr", e) for e in ("cp1254",)),
    *(("he", e) for e in ("cp1255",)),
    *(("ar", e) for e in ("cp1256",)),
    *(("ja", e) for e in ("cp932", "euc_jp", "iso2022_jp", "utf-16-le")),
    *(("zh", e) for e in ("gb18030", "utf-16-be")),
    *(("ko", e) for e in ("cp949",)),
    *(("th", e) for e in ("cp874",)),
]


def srt(text: str) -> str:
    return f"1\r\n00:00:01,000 --> 00:00:02,500\r\n{text}\r\n\r\n"


@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
def test_a_short_file_whose_language_is_known(language: str, encoding: str):
    text = srt(TEXTS[language])
    assert decode_text(text.encode(encoding), language) == text


@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
def test_a_short_file_whose_language_is_not_known(language: str, encoding: str):
    text = srt(TEXTS[language])
    assert decode_text(text.encode(encoding)) == text


def test_a_few_damaged_bytes_do_not_spoil_utf8():
    data = (srt(TEXTS["ru"]) * 20).encode()
    damaged = data[:300] + b"\xff\xc3" + data[300:]
    assert decode_text(damaged).count("\ufffd") <= 4
    assert "привратников" in decode_text(damaged)


def misread(text: str, encoding: str) -> str:
    """UTF-8 read as another encoding; bytes that it lacks become control characters."""
    shown = (bytes([byte]).decode(encoding, errors="replace") for byte in text.encode())
    return "".join(
        chr(byte) if letter == "\ufffd" else letter
        for byte, letter in zip(text.encode(), shown, strict=True)
    )


MISREAD = [
    "I don’t know. ♪ La la ♪ “Café” – naïve…",
    *(TEXTS[t] for t in ("es", "fr", "de", "ru", "zh")),
]


@pytest.mark.parametrize("text", MISREAD)
@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "cp1250", "cp1251", "cp1254", "mac_roman", "cp437", "cp850"]
)
def test_text_that_was_encoded_twice_is_mended(text: str, encoding: str):
    assert decode_text(misread(text, encoding).encode()) == text
    assert decode_text(misread(text, encoding).encode("utf-8-sig")) == text


def test_text_that_was_encoded_three_times_is_mended():
    text = "I don’t know where the café is…"
    assert decode_text(misread(misread(text, "cp1252"), "cp1252").encode()) == text


def test_one_wrong_apostrophe_among_right_letters_is_mended():
    assert decode_text("Donâ€™t! ♪ é ñ ü".encode()) == "Don’t! ♪ é ñ ü"
    assert decode_text("don鈥檛 know".encode()) == "don’t know"


@pytest.mark.parametrize(
    "text", ["CAFÉ… DÉJÀ”", "AMANHÃ… NÃO É ASSIM", "“CAFÉ”", "ŽIŽKA…", "ÄÖÜ…", *TEXTS.values()]
)
def test_right_text_is_not_mended(text: str):
    assert decode_text(text.encode()) == text


@given(st.binary(max_size=300))
def test_any_bytes_become_text(data: bytes):
    assert isinstance(decode_text(data, "en"), str)
    assert isinstance(decode_text(data), str)


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<i>Hello</i>", "Hello"),
        ('<font color="#ffff00">Hello</font>', "Hello"),
        ("<B><I>Hello</I></B> <u>you</u>", "Hello you"),
        ("{\\an8}Up here", "Up here"),
        ("{y:i}Old way", "Old way"),
        ("One\\NTwo", "One\nTwo"),
        ("One<br>Two<br/>Three", "One\nTwo\nThree"),
        ("Tom &amp; Jerry &lt;3", "Tom & Jerry <3"),
        ("I <3 you, 1 < 2 and 3 > 2", "I <3 you, 1 < 2 and 3 > 2"),
        ("{not markup} at all", "{not markup} at all"),
        ("♪ La la ♪", "♪ La la ♪"),
        ("- Who?\n- Me!", "- Who?\n- Me!"),
        ("ROGER: Hello", "ROGER: Hello"),
        ("[door slams]", "[door slams]"),
        ("<v Roger>Hello", "ROGER: Hello"),
        ("<v.loud Roger Smith>Hello</v>", "ROGER SMITH: Hello"),
        ("<v Ann>Hi</v>\n<v Bob>Hi you</v>", "ANN: Hi\nBOB: Hi you"),
        ("<v Ann>Hi</v> <v Bob>Hi you</v>", "ANN: Hi\nBOB: Hi you"),
        ("<c.yellow>Col</c>our <lang en>x</lang>", "Colour x"),
        ("<00:00:01.000>Kara<00:00:02.000>oke", "Karaoke"),
        ("<ruby>漢<rt>かん</rt></ruby>字", "漢字"),
        ("\u202bRight\u202c to\u00a0left\u200f", "Right to left"),
        ("  a  \n\n\n  b\t c ", "a\nb c"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("", ""),
    ],
)
def test_markup_of_srt_and_webvtt(marked: str, plain: str):
    assert plain_text(marked) == plain


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("{\\i1}Hello{\\i0} you", "Hello you"),
        ("One\\NTwo\\nThree\\hFour", "One\nTwo Three Four"),
        ("{\\p1}m 0 0 l 100 0 100 100{\\p0}", ""),
        ("Before{\\an7\\p1}m 0 0 l 1 1{\\p0}After", "BeforeAfter"),
        ("{\\p4}m 0 0 l 100 0", ""),
        ("{\\pos(10,10)\\fnArial}Text", "Text"),
        ("{a comment}Text", "Text"),
        ("{unclosed Text", "{unclosed Text"),
    ],
)
def test_markup_of_ass(marked: str, plain: str):
    assert plain_ass(marked) == plain


def cues(text: str, form: str = "srt") -> list[tuple[int, int, str]]:
    return [(c.start_ms, c.end_ms, c.text) for c in parse_cues(text, form)]


ONE, TWO = (1000, 2000, "One"), (3000, 4000, "Two")


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n\n",
        "1\r\n00:00:01,000 --> 00:00:02,000\r\nOne\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nTwo",
        "1\r00:00:01,000 --> 00:00:02,000\rOne\r\r2\r00:00:03,000 --> 00:00:04,000\rTwo\r",
        "\ufeff1\n00:00:01.000 --> 00:00:02.000\nOne\n2\n00:00:03.000 --> 00:00:04.000\nTwo",
        "7\n00:00:01,000 --> 00:00:02,000\nOne\n\n7\n00:00:03,000 --> 00:00:04,000\nTwo",
        "00:00:01,000 --> 00:00:02,000\nOne\n\n00:00:03,000 --> 00:00:04,000\nTwo",
        "2\n00:00:03,000 --> 00:00:04,000\nTwo\n\n1\n00:00:01,000 --> 00:00:02,000\nOne\n",
        "1\n0:0:1,0 --> 0:0:2,0\nOne\n\n2\n00:00:03,0 --> 00:00:04,00\nTwo\n\n",
        "1\n00:00:01 --> 00:00:02\nOne\n\n2\n00:00:03 --> 00:00:04\nTwo\n\n",
        "1\n 00:00:01, 000-->00:00:02 ,000 \nOne\n\n\n\n2\n00: 00: 03,000 --> 00:00:04,000\nTwo\n",
        "1\n00:00:01,000 -> 00:00:02,000\nOne\n2\n00:00:03,000 ---> 00:00:04,000\nTwo",
        "1\n00:00:01,000 --> 00:00:02,000 X1:1 X2:2 Y1:3 Y2:4\nOne\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo",
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo",
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:02,100 --> 00:00:02,200\n \n\n3\n00:00:03,000 --> 00:00:04,000\nTwo",
        "Some header\n\n1\n00:00:01,000 --> 00:00:02,000\n\nOne\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\0",
        "WEBVTT\n\n00:01.000 --> 00:02.000\nOne\n\nNOTE Two --\nlines\n\n00:03.000 --> 00:04.000 align:start\nTwo",
        "WEBVTT - title\nKind: captions\n\nSTYLE\n::cue {}\n\nan id\n00:00:01.000 --> 00:00:02.000\nOne\n\nid 2\n00:00:03.000 --> 00:00:04.000\nTwo\n",
    ],
)
def test_files_that_all_mean_the_same(text: str):
    assert cues(text) == [ONE, TWO]


def test_numbers_that_are_said_are_not_numbering():
    text = "00:00:01,000 --> 00:00:02,000\n42\n00:00:03,000 --> 00:00:04,000\nTwo\n7"
    assert cues(text) == [(1000, 2000, "42"), (3000, 4000, "Two\n7")]


def test_an_empty_line_inside_a_cue_of_srt_loses_nothing():
    text = "1\n00:00:01,000 --> 00:00:02,000\nA\n\nB\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n"
    assert cues(text) == [(1000, 2000, "A\nB"), TWO]


@pytest.mark.parametrize("end", ["00:00:01,000", "00:00:00,500", "00:00:00,000"])
@pytest.mark.parametrize(
    ("following", "expected"), [("00:00:09,000", 1700), ("00:00:01,300", 1300)]
)
def test_cues_without_length_get_the_time_to_read_them(end: str, following: str, expected: int):
    text = f"1\n00:00:01,000 --> {end}\nHey\n\n2\n{following} --> 00:00:10,000\nTwo\n"
    assert cues(text)[0] == (1000, expected, "Hey")


def test_long_text_without_length_gets_60_ms_a_letter():
    assert cues(f"1\n00:00:01,000 --> 00:00:01,000\n{'x' * 50}\n") == [(1000, 4000, "x" * 50)]


ROLLED = (
    "Good evening, my friend.",
    "I have a letter for you.",
    "Who gave you the letter?",
    "No.",
    "No.",
    "We must go to the house",
    "before the night.",
)
"""Two of them are said twice, one after the other."""


def rolling_srt(shown: list[tuple[int, int, str]]) -> str:
    def clock(ms: int) -> str:
        return f"00:00:{ms // 1000:02},{ms % 1000:03}"

    return "\n".join(f"{clock(a)} --> {clock(b)}\n{text}\n" for a, b, text in shown)


def youtube(join: str = "\n", blank: str = " ") -> list[tuple[int, int, str]]:
    """What YouTube's recogniser shows: the old line above the new one, then the new one alone."""
    shown: list[tuple[int, int, str]] = []
    for i, line in enumerate(ROLLED):
        above = ROLLED[i - 1] if i else blank
        shown.append((i * 3000, i * 3000 + 2990, f"{above}{join}{line}"))
        shown.append((i * 3000 + 2990, i * 3000 + 3000, f"{line}\n{blank}"))
    return shown


@pytest.mark.parametrize(("join", "blank"), [("\n", " "), ("\n", ""), (" ", "")])
def test_captions_of_a_recogniser_say_each_line_once_at_its_own_time(join: str, blank: str):
    shown = youtube(join, blank)
    expected = [(i * 3000, i * 3000 + 2990, line) for i, line in enumerate(ROLLED)]
    assert cues(rolling_srt(shown)) == expected
    webvtt = "WEBVTT\nKind: captions\n\n" + rolling_srt(shown).replace(",", ".")
    assert cues(webvtt.replace(" my", "<00:00:00.500><c> my</c>"), "vtt") == [
        (start, end, text.replace(",", ".")) for start, end, text in expected
    ]


@pytest.mark.parametrize("rows", [2, 3, 4])
@pytest.mark.parametrize("gap_ms", [0, 40])
def test_a_broadcast_that_rolls_up_says_each_line_once(rows: int, gap_ms: int):
    lines = [*ROLLED[:3], *ROLLED[4:]]
    shown = [
        (i * 2000, i * 2000 + 2000 - gap_ms, "\n".join(lines[max(0, i - rows + 1) : i + 1]))
        for i in range(len(lines))
    ]
    assert cues(rolling_srt(shown)) == [
        (start, end, line) for (start, end, _), line in zip(shown, lines, strict=True)
    ]


@pytest.mark.parametrize("letters", [1, 2, 5])
def test_captions_that_are_typed_live_are_whole_lines(letters: int):
    lines = [*ROLLED[:3], *ROLLED[4:]]
    shown: list[tuple[int, int, str]] = []
    times: list[tuple[int, int]] = []
    for i, line in enumerate(lines):
        begin = len(shown) * 60
        for end in range(letters, len(line) + letters, letters):
            row = "\n".join([*lines[max(0, i - 2) : i], line[:end].rstrip()])
            shown.append((len(shown) * 60, len(shown) * 60 + 60, row))
        times.append((begin, len(shown) * 60))
    assert cues(rolling_srt(shown)) == [(*t, text) for t, text in zip(times, lines, strict=True)]


def test_a_screen_that_is_cleared_rolls_on():
    a, b, c, d, e = ROLLED[0], ROLLED[1], ROLLED[2], ROLLED[5], ROLLED[6]
    shown = [(0, 2000, a), (2000, 4000, f"{a}\n{b}"), (9000, 11000, c)]
    shown += [(11000, 13000, f"{c}\n{d}"), (13000, 15000, f"{d}\n{e}")]
    assert [text for *_, text in cues(rolling_srt(shown))] == [a, b, c, d, e]


def test_people_who_repeat_themselves_are_not_rolling():
    said = ["No.", "No. No.", "No, no, no.", *["Happy birthday to you."] * 2]
    said += ["Happy birthday, dear Anna.", "Happy birthday to you.", "What did you say?"]
    said += ["I said it again.", "I said it again. Twice.", "Fine.", "Fine. Let us go."]
    shown = [(i * 2000, i * 2000 + 2000, text) for i, text in enumerate(said)]
    assert cues(rolling_srt(shown)) == shown


def test_what_stands_behind_an_empty_cue_of_webvtt_is_not_said():
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n\n{}00:03.000 --> 00:04.000\nTwo\n"
    assert cues(text.format("a name\n"), "vtt") == [TWO]
    assert cues(text.format("NOTE said by nobody\n\n"), "vtt") == [TWO]
    assert cues(text.format("One\n\n"), "vtt") == [ONE, TWO]


def times(second: int) -> str:
    return f"00:00:0{second},000 --> 00:00:0{second},900"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"1\n{times(1)}\nA\n\n\ufeff1\n{times(2)}\nB\n\n2\n{times(3)}\nC", "A B C"),
        (f"1\n1\n{times(1)}\nA\n\n2\n2\n{times(2)}\nB\n\n3\n3\n{times(3)}\nC", "A B C"),
        (f"1\n15\n{times(1)}\nA\n\n2\n16\n{times(2)}\nB", "A B"),
        (f"1\n\n{times(1)}\n\nA\n\n\n2\n\n{times(2)}\n\nB\n\n\n3\n\n{times(3)}\n\nC", "A B C"),
        (f"{times(1)}\nA\n\n{times(2)}\nB\n\n{times(3)}\nC\n\n1\n{times(4)}\nD", "A B C D"),
        (f"1\n{times(1)}\n3\n\n2\n{times(2)}\n2\n\n3\n{times(3)}\nGo", "3 2 Go"),
        (f"1\n{times(1)}\nA\n\n2\n{times(2)}\nB\n\n3\n", "A B"),
        (f"1\n{times(1)}\nA\n\n2\n{times(2)}\nB\n3\n", "A B\n3"),
        (f"{times(1)}\n3\n\n{times(2)}\n2\n\n{times(3)}\n1\n\n{times(4)}\nGo", "3 2 1 Go"),
        (f"WEBVTT\n\n1\n{times(1)}\nA\n2\n{times(2)}\nB\n3\n{times(3)}\nC", "A B C"),
    ],
)
def test_numbers_of_cues_are_not_text(text: str, said: str):
    assert " ".join(c[2] for c in cues(text)) == said


def test_negative_times_stay_negative():
    text = "1\n-00:00:02,000 --> -00:00:00,500\nA\n\n2\n−00:00:00,500 --> 00:00:01,000\nB\n"
    assert cues(text) == [(-2000, -500, "A"), (-500, 1000, "B")]
    assert cues("[Events]\nDialogue: 0,-0:00:01.00,0:00:02.00,D,,0,0,0,,Hi") == [
        (-1000, 2000, "Hi")
    ]


def test_overlapping_cues_stay():
    text = "1\n00:00:01,000 --> 00:00:05,000\nOne\n\n2\n00:00:02,000 --> 00:00:03,000\nTwo\n"
    assert cues(text) == [(1000, 5000, "One"), (2000, 3000, "Two")]


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,a note
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}One{\\i0}, with, commas\\Nand lines
Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\blur3}One, with, commas\\Nand lines
Dialogue: 0,0:00:03.00,0:00:04.00,Signs,,0,0,0,,TOKYO STATION
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\pos(20,30)}BAKERY
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
Dialogue: 0,0:00:05.00,0:00:06.50,OP-romaji,,0,0,0,,La la la
Dialogue: 0,0:00:07.00,0:00:08.00,Main,,0,0,0,,{\\k20}ka{\\k30}ra
Dialogue: 0,0:00:09.00,0:00:10.00,Default,,0,0,0,,Last
Dialogue: 0,broken
"""


def test_ass_tells_what_may_be_writing_and_what_is_sung():
    assert [(c.start_ms, c.end_ms, c.text, c.style * c.sign) for c in parse_cues(ASS, "ass")] == [
        (1000, 2000, "One, with, commas\nand lines", ""),
        (3000, 4000, "TOKYO STATION", "Signs"),
        (3000, 4000, "BAKERY", "Default"),
        (5000, 6500, "♪ La la la ♪", ""),
        (7000, 8000, "♪ kara ♪", ""),
        (9000, 10_000, "Last", ""),
    ]


def events(*rows: tuple[float, float, str, str, str]) -> str:
    """An ASS file of events: start, end in seconds, style, actor, text."""
    line = "Dialogue: 0,0:0{:.0f}:{:05.2f},0:0{:.0f}:{:05.2f},{},{},0,0,0,,{}"
    times = [(*divmod(start, 60), *divmod(end, 60)) for start, end, *_ in rows]
    made = (line.format(*t, *row[2:]) for t, row in zip(times, rows, strict=True))
    return "[Events]\n" + "\n".join(made)


def test_a_sign_that_moves_with_every_frame_is_one_sign():
    frames = [
        (3 + n / 24, 3 + (n + 1) / 24, "Default", "", f"{{\\pos({n},9)}}Closed") for n in range(48)
    ]
    said = [(at, at + 1.0, "Default", "", f"Line {at}") for at in (1.0, 3.0, 6.0)]
    assert [
        (c.start_ms, c.end_ms, c.text, c.sign) for c in parse_cues(events(*said, *frames), "ass")
    ] == [
        (1000, 2000, "Line 1.0", False),
        (3000, 4000, "Line 3.0", False),
        (3000, 5000, "Closed", True),
        (6000, 7000, "Line 6.0", False),
    ]


def test_the_same_word_said_twice_stays_two_cues():
    twice = events((1, 2, "Default", "", "No."), (2, 3, "Default", "", "No."))
    assert cues(twice) == [(1000, 2000, "No."), (2000, 3000, "No.")]


@pytest.mark.parametrize(("last", "text"), [(90.0, "♪ Hi ♪"), (400.0, "Hi")])
def test_a_style_named_ed_is_a_song_of_a_minute_and_a_half_or_a_person(last: float, text: str):
    found = cues(events((1, 2, "Ed", "", "Hi"), (last, last + 1, "Ed", "", "Hi")))
    assert [c[2] for c in found] == [text, text]


def test_ass_says_so_itself_and_may_lack_its_format_line():
    bare = "\n".join(line for line in ASS.splitlines() if not line.startswith("Format"))
    assert cues(bare, "srt") == cues(ASS, "ass")


def test_ass_with_other_columns():
    text = "[Events]\nFormat: Start, End, Style, Text\nDialogue: 0:00:01.00,0:00:02.00,D,One, two"
    assert cues(text, "ass") == [(1000, 2000, "One, two")]


def test_ass_names_speakers_where_it_tells_them_apart():
    rows = [(i, 9, "Default", n, "Hi") for i, n in enumerate(("Staff A", "Bob", "NTP", ""))]
    named = parse_cues(events(*rows), "ass")
    assert [(c.text, c.name, c.sign) for c in named] == [
        ("Hi", "Staff A", False),
        ("Hi", "Bob", False),
        ("Hi", "", False),
        ("Hi", "", False),
    ]
    alone = parse_cues(events((1, 9, "Default", "Ann", "Hi")), "ass")
    assert [(c.text, c.name) for c in alone] == [("Hi", "")]


def test_placed_dialogue_stays_where_all_is_placed():
    line = "Dialogue: 0,0:00:0{}.00,0:00:09.00,Default,,0,0,0,,{{\\pos(1,2)}}Line {}"
    text = "[Events]\n" + "\n".join(line.format(i, i) for i in range(5))
    assert len(cues(text, "ass")) == 5


def test_the_voice_of_a_cue_of_webvtt_is_a_name():
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Mr Fox>RUN\n\n00:03.000 --> 00:04.000\n{}\n"
    one, two = parse_cues(text.format("<v Ann>Hi</v>\n<v Bob>Yo</v>"), "vtt")
    assert (one.text, one.name, two.text, two.name) == ("RUN", "Mr Fox", "ANN: Hi\nBOB: Yo", "")


@given(st.text(max_size=300), st.sampled_from(["srt", "vtt", "ass"]))
def test_any_text_gives_ordered_cues_with_length(text: str, form: str):
    found = parse_cues(text + "\n00:00:05,000 --> 00:00:01,000\nx\n\n" + text, form)
    assert found == sorted(found, key=lambda cue: cue.start_ms)
    assert all(isinstance(c, TimedText) and c.end_ms > c.start_ms and c.text for c in found)
