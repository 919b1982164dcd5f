"""Subtitle text: encodings, markup, and files that no standard foresaw."""
# ruff: noqa: E501, RUF001 - tables of odd files and of many scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.media.subtitle_encoding import decode_text
from dubarr_pipeline.media.subtitle_markup import plain_ass, plain_text
from dubarr_pipeline.media.subtitle_parse import TimedText, parse_cues

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


def test_ass_keeps_the_dialogue_only():
    assert cues(ASS, "ass") == [
        (1000, 2000, "One, with, commas\nand lines"),
        (5000, 6500, "♪ La la la ♪"),
        (7000, 8000, "♪ kara ♪"),
        (9000, 10_000, "Last"),
    ]


def test_ass_says_so_itself_and_may_lack_its_format_line():
    bare = "\n".join(line for line in ASS.splitlines() if not line.startswith("Format"))
    assert cues(bare, "srt") == cues(ASS, "ass")


def test_ass_with_other_columns():
    text = "[Events]\nFormat: Start, End, Style, Text\nDialogue: 0:00:01.00,0:00:02.00,D,One, two"
    assert cues(text, "ass") == [(1000, 2000, "One, two")]


def test_ass_names_speakers_where_it_tells_them_apart():
    line = "Dialogue: 0,0:00:0{}.00,0:00:09.00,Default,{},0,0,0,,Hi"
    text = "[Events]\n" + "\n".join(
        line.format(i, n) for i, n in enumerate(("Ann", "Bob", "NTP", ""))
    )
    assert [c[2] for c in cues(text, "ass")] == ["ANN: Hi", "BOB: Hi", "Hi", "Hi"]
    alone = "[Events]\n" + line.format(1, "Ann")
    assert [c[2] for c in cues(alone, "ass")] == ["Hi"]


def test_placed_dialogue_stays_where_all_is_placed():
    line = "Dialogue: 0,0:00:0{}.00,0:00:09.00,Default,,0,0,0,,{{\\pos(1,2)}}Line {}"
    text = "[Events]\n" + "\n".join(line.format(i, i) for i in range(5))
    assert len(cues(text, "ass")) == 5


@given(st.text(max_size=300), st.sampled_from(["srt", "vtt", "ass"]))
def test_any_text_gives_ordered_cues_with_length(text: str, form: str):
    found = parse_cues(text + "\n00:00:05,000 --> 00:00:01,000\nx\n\n" + text, form)
    assert found == sorted(found, key=lambda cue: cue.start_ms)
    assert all(isinstance(c, TimedText) and c.end_ms > c.start_ms and c.text for c in found)
