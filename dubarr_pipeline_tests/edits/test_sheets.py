"""Sheets go out and in: unchanged they say nothing, wrong ones say where and apply nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from dubarr_pipeline.edits.model import EditsRefused
from dubarr_pipeline.edits.sheets import (
    SEPARATORS,
    SheetChanges,
    SheetLine,
    export_csv,
    export_srt,
    import_csv,
    import_srt,
    sheet_lines,
)
from dubarr_pipeline.edits.workbooks import export_xlsx, import_xlsx
from dubarr_pipeline_tests.fixtures.edited_film import edited_film, fact

LINES = (
    SheetLine("L01", 1.0, 2.5, "Ann", "We need a boat.", "Hace falta un barco."),
    SheetLine("L02", 3723.4567, 3725.0, "Bob", "- No.", "-No.", comment="=ok?"),
    SheetLine("L03", 3726.0, 3727.0, "Ann", 'So: "five, six"; 7', "Cinco,\nseis;\t«siete»"),
    SheetLine("L04", 3728.0, 3729.0, "Ann", "Hm.", ""),
    SheetLine("L05", 3730.0, 3731.0, "Ann", "Fixed.", "Fijo.", locked=True),
)
Export = Callable[[Sequence[SheetLine]], bytes]
Import = Callable[[bytes, Sequence[SheetLine]], SheetChanges]
FORMS: dict[str, tuple[Export, Import]] = {
    "csv": (export_csv, import_csv),
    "xlsx": (export_xlsx, import_xlsx),
    "srt": (export_srt, import_srt),
}
TEXTS = st.text(st.sampled_from("aé'=+-@#\t\n\r ,;\"NA/0_x\x07\u2028日"), max_size=12)


@pytest.mark.parametrize("form", FORMS)
def test_a_sheet_that_comes_back_unchanged_changes_nothing(form: str) -> None:
    out, back = FORMS[form]
    assert back(out(LINES), LINES) == SheetChanges((), ())


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_no_text_changes_on_its_way(form: str, text: str, other: str) -> None:
    out, back = FORMS[form]
    lines = [replace(LINES[0], text=text, original=other, comment=other), LINES[1]]
    assert back(out(lines), lines) == SheetChanges((), ())


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_a_new_text_arrives_as_it_was_written(text: str) -> None:
    new = f"x{text}"
    sheets = import_csv(csv_of(text=new), LINES), import_xlsx(xlsx_of("F2", new), LINES)
    for found in sheets:
        (one,) = found.facts
        assert (one.target, one.target_id, one.field) == ("line", "L01", "text")
        assert one.value.split() == new.replace("\x07", "").split()


@pytest.mark.parametrize("text", ["007", "1/2", "12:30", "May 5", "1e5", "Verdadero", "'90s", "=1"])
def test_what_a_spreadsheet_would_convert_is_guarded(text: str) -> None:
    lines = [replace(LINES[0], text=text), *LINES[1:]]
    out = export_csv(lines)
    assert f",'{text}," in out.decode()
    assert import_csv(out, lines) == SheetChanges((), ())
    assert import_csv(out.replace(f",'{text},".encode(), f",{text},".encode()), lines).facts == ()
    kept = out.replace(f",'{text},".encode(), b",'Siete y media de la tarde,")
    (one,) = import_csv(kept, lines).facts
    assert one.value == "Siete y media de la tarde"


def test_a_program_may_take_the_guards_off() -> None:
    guarded = export_csv(LINES).replace(b"'=ok?", b"=ok?").replace(b"'-No.", b"-No.")
    assert import_csv(guarded, LINES) == SheetChanges((), ())
    assert import_xlsx(xlsx_of("G3", "=ok?"), LINES) == SheetChanges((), ()), "taken for a formula"


def test_what_others_have_changed_meanwhile_is_kept_or_named() -> None:
    now = [replace(LINES[0], text="Falta un barco.", comment="Bob's"), *LINES[1:]]
    assert import_csv(export_csv(LINES), now) == SheetChanges((), ()), "Ann changed nothing there"
    assert import_csv(csv_of(text="Falta un barco."), now).facts == (), "both wrote the same"
    with pytest.raises(EditsRefused, match="by now, of somebody else: export the sheet anew"):
        import_csv(csv_of(text="Un barco, por favor."), now)
    commented = [replace(LINES[0], comment="Bob's"), *LINES[1:]]
    (one,) = import_csv(csv_of(text="Un barco."), commented).facts
    assert one.field == "text"


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_other_programs_are_read(separator, encoding: str) -> None:
    plain = export_csv(LINES, separator).decode("utf-8-sig")
    for ends in ("\r\n", "\n"):
        text = plain.replace("\r\n", ends)
        assert import_csv(text.encode(encoding), LINES) == SheetChanges((), ())
    with_hint = f"sep={separator}\r\n{plain}"
    assert import_csv(with_hint.encode(), LINES) == SheetChanges((), ())


def test_changed_rows_are_facts_in_any_order_and_others_may_be_missing() -> None:
    rows = list(csv.reader(io.StringIO(export_csv(LINES).decode("utf-8-sig"))))
    rows[1][5], rows[1][6] = "Necesitamos un barco.", "shorter?"
    rows[2][6] = ""
    rows[4][5] = "Ajá."
    rows[5][5] = "Otra."
    out = io.StringIO()
    csv.writer(out).writerows([rows[0], rows[5], rows[4], rows[2], rows[1]])
    found = import_csv(out.getvalue().encode(), LINES)
    assert [(each.target_id, each.field, each.value) for each in found.facts] == [
        ("L04", "text", "Ajá."),
        ("L02", "comment", None),
        ("L01", "text", "Necesitamos un barco."),
        ("L01", "comment", "shorter?"),
    ]
    assert found.locked == ("L05",)


def csv_of(**changes: str) -> bytes:
    """The sheet with cells of its second row (line 2 of the file) changed."""
    rows = list(csv.DictReader(io.StringIO(export_csv(LINES).decode("utf-8-sig"))))
    rows[0] |= changes
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    ("data", "row", "fault"),
    [
        (csv_of(id="L99"), 2, "there is no line 'L99'"),
        (csv_of(id="L02"), 2, "start is"),
        (csv_of(start="0h00m02.000s"), 2, "start is .* and was .* changed on the page"),
        (csv_of(end=""), 2, "end is ''"),
        (csv_of(speaker="Bob"), 2, "speaker is 'Bob' and was 'Ann'"),
        (csv_of(original="We need boats."), 2, "original is"),
        (csv_of(check="1"), 2, "check is '1': put back"),
        (csv_of(text=""), 2, "text is empty"),
        (csv_of(text="=SUM(A1)"), 2, "text holds a formula"),
        (csv_of(comment=" =1+1"), 2, "comment holds a formula"),
        (csv_of(text="#NAME?"), 2, "text holds a formula"),
        (csv_of(text="x" * 4_001), 2, "text: .* at most 4000"),
        (csv_of(text="x" * 200_000), None, "it is no CSV: field larger"),
        (export_csv(LINES).replace(b"text", b"texto", 1), None, "no column text: keep the header"),
        (export_csv(LINES).replace(b"comment", b"text", 1), None, "no column comment"),
        (export_csv(LINES).replace(b"comment", b"comment,id", 1), None, "column id twice"),
        (export_csv(LINES).replace(b"L02", b"L01"), 3, "stands in two rows|start is"),
        (export_csv(LINES) + export_csv(LINES)[-60:], None, "two rows|ends before|no line"),
        (export_csv(LINES)[3:].replace(b"barco", b"barc\xf3"), 2, "UTF-8: save it as"),
        (b"", None, "no column id, start"),
        (b"L01,1\n", None, "no column"),
        (b"\xff\xfe\x00", 1, "no UTF-16"),
        (csv_of(id="L0\x001"), 2, "no line|line contains NUL"),
    ],
)
def test_a_wrong_csv_is_named_with_its_row(data: bytes, row: int | None, fault: str) -> None:
    with pytest.raises(EditsRefused, match=fault) as refused:
        import_csv(data, LINES)
    if row:
        assert refused.value.errors[0].row == row


def test_all_wrong_rows_are_named_at_once() -> None:
    data = export_csv(LINES).replace(b"L01", b"L91").replace(b"L03", b"L93")
    with pytest.raises(EditsRefused) as refused:
        import_csv(data, LINES)
    assert [error.row for error in refused.value.errors] == [2, 4]


def xlsx_of(cell: str, value: object) -> bytes:
    book = load_workbook(io.BytesIO(export_xlsx(LINES)))
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    book.worksheets[0][cell] = value  # type: ignore[assignment]
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_no_cell_of_a_workbook_is_computed() -> None:
    sheet = load_workbook(io.BytesIO(export_xlsx(LINES))).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value} == {"s"}
    assert (sheet["F3"].value, sheet["G3"].value) == ("-No.", "=ok?")


def test_a_text_that_looks_like_a_number_stays_one() -> None:
    (one,) = import_xlsx(xlsx_of("F2", 7), LINES).facts
    assert one.value == "7"


@pytest.mark.parametrize(
    ("cell", "value", "row", "fault"),
    [
        ("F2", "=1+1", 2, "text holds a formula, '=1\\+1'"),
        ("A3", "L77", 3, "there is no line 'L77'"),
        ("B2", "0:01", 2, "start is"),
        ("F1", "texto", None, "no column text"),
        ("F2", True, 2, "which is no text"),
        ("F2", None, 2, "text is empty"),
    ],
)
def test_a_wrong_cell_of_a_workbook_is_named_with_its_row(
    cell: str, value: object, row: int | None, fault: str
) -> None:
    with pytest.raises(EditsRefused, match=fault) as refused:
        import_xlsx(xlsx_of(cell, value), LINES)
    assert refused.value.errors[0].row == row


def test_what_is_no_workbook_is_refused() -> None:
    for data in (b"PK\x03\x04 no zip", b"", export_csv(LINES), export_xlsx(LINES)[:-200]):
        with pytest.raises(EditsRefused, match="no workbook") as refused:
            import_xlsx(data, LINES)
        assert refused.value.errors[0].row is None


def test_an_empty_workbook_has_no_columns() -> None:
    out = io.BytesIO()
    Workbook().save(out)
    with pytest.raises(EditsRefused, match="no column id"):
        import_xlsx(out.getvalue(), LINES)


SRT = export_srt(LINES).decode()


@pytest.mark.parametrize(
    ("text", "row", "fault"),
    [
        (SRT.replace("00:00:01,000", "00:00:01,100"), 2, "no line at 00:00:01,100"),
        (SRT.replace("Hace falta un barco.\n", ""), 2, "text is empty"),
        (SRT + "\n" + SRT, 19, "no line at"),
        ("", None, "no subtitle"),
        ("hello", None, "no subtitle"),
    ],
)
def test_wrong_subtitles_are_named_with_their_line(text: str, row: int | None, fault: str) -> None:
    with pytest.raises(EditsRefused, match=fault) as refused:
        import_srt(text.encode(), LINES)
    assert refused.value.errors[0].row == row


def test_a_changed_subtitle_is_a_fact() -> None:
    text = SRT.replace("Hace falta un barco.", "Necesitamos\nun barco.").replace("\n", "\r\n")
    (one,) = import_srt(f"\ufeff{text}".encode(), LINES).facts
    assert (one.target_id, one.value) == ("L01", "Necesitamos\nun barco.")


def test_a_films_sheet_has_what_is_said_and_comes_in_as_facts(tmp_path: Path) -> None:
    film = edited_film(tmp_path)
    film.state("es", fact("text", "Hola.", film.ids[0]), fact("comment", "ok", film.ids[1]))
    film.state("en", fact("name", "Ann", "SPEAKER_00", target="speaker"))
    lines = sheet_lines(film.edits, "es", {1: "No.", 0: "Buenos días."}, offset_s=0.5)
    assert [line.text for line in lines] == ["Hola.", "No.", "", "", "", ""]
    assert (lines[0].speaker, lines[0].start_s, lines[1].comment) == ("Ann", 1.5, "ok")
    changed = export_csv(lines[1:]).replace(b",No.,ok,", b",Que no.,ok,")
    film.state("es", *import_csv(changed, lines).facts)
    assert film.edits.lines["es"][1].text == "Que no."
    source = sheet_lines(film.edits, "en", {})
    assert source[0].text == source[0].original == "Good morning, we need a boat."
