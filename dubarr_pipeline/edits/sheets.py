"""The lines of a language as a sheet for a translator, out and in again.

A sheet that comes back becomes facts, or errors with their rows, and then no facts at all: a person
corrects the sheet and sends it again. What it may change are ``text`` and ``comment``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dubarr_pipeline.edits.checks import fault_of_value
from dubarr_pipeline.edits.model import EditsRefused, FactError, FilmEdits, LineEdits, ProposedFact
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import srt_clock, srt_document, srt_text
from dubarr_pipeline.spans import Span, to_seconds

COLUMNS = ("id", "start", "end", "speaker", "original", "text", "comment", "check")
"""Columns of a sheet, in order; more may stand beside them.

``check`` tells what a translator has changed from what others have changed meanwhile.
"""
CHANGEABLE = ("text", "comment")
Separator = Literal[",", ";", "\t"]
SEPARATORS: tuple[Separator, ...] = (",", ";", "\t")
MOST_ROWS = 20_000
_CLOCK = r"(\d\d:\d\d):(\d\d)[,.](\d{3})"
_ARROW = re.compile(rf"{_CLOCK}\s*-->\s*{_CLOCK}")

_SHEET_ERROR = r"#(?:NAME|REF|VALUE|DIV/0|N/A|NULL|NUM|SPILL|CALC|FIELD)|Err:\d{3}"
"""What spreadsheets write in the place of a formula that they cannot compute."""
_COMPUTED = re.compile(rf"=|{_SHEET_ERROR}")
_TRUTHS = "true|false|wahr|falsch|vrai|faux|verdadero|falso|vero"
_CONVERTED = re.compile(rf"(?=.{{1,24}}$)(?=.*\d)[\d\W]*(?:[^\W\d_]+[\d\W]*)?|(?i:{_TRUTHS})")
"""What a spreadsheet may take for a number, a date, a time or a truth, and write otherwise."""
_GUARDED_COLUMNS = ("speaker", "original", "text", "comment")
_CHECK = re.compile(r"T([0-9a-f]{6})C([0-9a-f]{6})")
_UNSAID = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A row of a sheet.

    Attributes:
        id: lasting id of the line.
        start_s, end_s: of the original, on the player's clock.
        speaker: name, or id of the speaker without one.
        text: what is said in the sheet's language; empty where nothing is.
    """

    id: str
    start_s: float
    end_s: float
    speaker: str
    original: str
    text: str
    comment: str = ""
    locked: bool = False

    def cells(self) -> dict[str, str]:
        """Return the row as a sheet has it, by column."""
        text, comment = plain_cell(self.text), plain_cell(self.comment)
        return {
            "id": self.id,
            "start": _clock(self.start_s),
            "end": _clock(self.end_s),
            "speaker": plain_cell(self.speaker),
            "original": plain_cell(self.original),
            "text": text,
            "comment": comment,
            # Letters first: no spreadsheet takes it for a number.
            "check": f"T{_digest(text)}C{_digest(comment)}",
        }


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row that came in.

    Attributes:
        number: from 1, the header or the file's first line.
        computed: columns that hold a formula, unless the text is what went out: some programs take
            the guard off as they open a file.
    """

    number: int
    cells: Mapping[str, str]
    computed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SheetChanges:
    """Changes that a sheet holds.

    Attributes:
        facts: to be added.
        locked: ids of lines that it would change, and that stay as they are.
    """

    facts: tuple[ProposedFact, ...]
    locked: tuple[str, ...]


def sheet_lines(
    film: FilmEdits, language: str, texts: Mapping[int, str], offset_s: float = 0.0
) -> tuple[SheetLine, ...]:
    """Return the lines of a film as they stand in a language.

    `texts` are the wordings of the last run by index, for lines without one of a person's;
    `offset_s` is that of `ExtractedAudio`, from the sound's clock to the player's.
    """
    edits, rate, found = film.lines.get(language, {}), film.script.rate, list[SheetLine]()
    spoken = language == film.script.language
    for line in film.script.lines:
        said = edits.get(line.index, LineEdits())
        text = line.text if spoken else said.text or texts.get(line.index, "")
        found.append(
            SheetLine(
                film.ids[line.index],
                max(0.0, to_seconds(line.span.start, rate) + offset_s),
                max(0.0, to_seconds(line.span.end, rate) + offset_s),
                film.names.get(line.speaker, line.speaker),
                line.text,
                text,
                said.comment or "",
                said.locked,
            )
        )
    return tuple(found)


def export_csv(lines: Iterable[SheetLine], separator: Separator = ",") -> bytes:
    """Return lines as CSV: UTF-8 with a byte order mark, by which Excel knows it, and CRLF.

    What a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in lines:
        cells = line.cells()
        cells |= {n: f"'{cells[n]}" for n in _GUARDED_COLUMNS if _needs_guard(cells[n])}
        writer.writerow(cells.values())
    return out.getvalue().encode("utf-8-sig")


def import_csv(data: bytes, lines: Sequence[SheetLine]) -> SheetChanges:
    """Return what a CSV file changes; comma, semicolon or tab, as its header shows.

    Raises:
        EditsRefused: with each row that cannot be.
    """
    text = _decoded(data)
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.\r?", first):
        # A hint of Excel's, which shows it as no row.
        first, text = rest.partition("\n")[0], rest
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[SheetRow] = []
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        check_columns(header)
        for number, cells in enumerate(reader, start=2):
            if any(cells):
                found = dict(zip(header, map(str.strip, cells), strict=False))
                computed = {name for name, cell in found.items() if _COMPUTED.match(cell)}
                rows.append(SheetRow(number, found, frozenset(computed)))
    except csv.Error as error:
        raise refused_sheet(f"it is no CSV: {error}", len(rows) + 2) from error
    return changes(rows, lines)


def export_srt(lines: Iterable[SheetLine]) -> bytes:
    """Return the texts of lines as subtitles at the times of the original; UTF-8."""
    return srt_document((_cue(line) for line in lines), 1000).encode()


def import_srt(
    data: bytes, lines: Sequence[SheetLine], since: Mapping[str, Collection[str]] | None = None
) -> SheetChanges:
    """Return what subtitles change; each stands at the times of its line.

    Of lines that others have changed `since` they went out, by id, the texts that they may have had
    then: those stay as they are now.

    Raises:
        EditsRefused: with each subtitle that cannot be, by the number of its line in the file.
    """
    at: dict[str, list[SheetLine]] = {}
    # Of lines at the same times those with a text were exported.
    for line in sorted(lines, key=lambda each: not each.text):
        at.setdefault(_srt_times(line), []).append(line)
    rows, errors = list[SheetRow](), list[FactError]()
    for number, times, text in _srt_blocks(_decoded(data)):
        if not at.get(times):
            words = f"there is no line at {times}: times are changed on the page"
            errors.append(FactError("", words, number))
            continue
        line = at[times].pop(0)
        cells = line.cells()
        before = {srt_text(each) for each in (since or {}).get(line.id, ())}
        if srt_text(text) not in {srt_text(line.text), *before}:
            if line.id in (since or {}):
                words = f"text is {line.text[:60]!r} by now, of somebody else: export them anew"
                errors.append(FactError(line.id, words, number))
            cells["text"] = text
        rows.append(SheetRow(number, cells))
    if errors:
        raise EditsRefused(tuple(errors))
    if not rows:
        raise refused_sheet("it holds no subtitle that could be read")
    return changes(rows, lines)


def _cue(line: SheetLine) -> Cue:
    start, end = round(line.start_s * 1000), round(line.end_s * 1000)
    return Cue(Span(start, max(start, end)), line.text)


def _srt_times(line: SheetLine) -> str:
    span = _cue(line).span
    return f"{srt_clock(span.start, 1000)} --> {srt_clock(span.end, 1000)}"


def _srt_blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the line, the times and the text of each subtitle of a file."""
    number, times, said = 0, "", list[str]()
    for at, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], start=1):
        if found := _ARROW.fullmatch(line.strip()):
            number, times, said = at, "{}:{},{} --> {}:{},{}".format(*found.groups()), []
        elif times and line.strip():
            said.append(line.strip())
        elif times:
            yield number, times, "\n".join(said)
            times = ""


def changes(rows: Sequence[SheetRow], lines: Sequence[SheetLine]) -> SheetChanges:
    """Return what rows change in the lines that they name; rows may be in any order, or missing.

    Raises:
        EditsRefused: with each row that cannot be.
    """
    if len(rows) > MOST_ROWS:
        raise refused_sheet(f"it has more than {MOST_ROWS:,} rows", MOST_ROWS)
    known, seen = {line.id: line for line in lines}, set[str]()
    facts, locked, errors = list[ProposedFact](), list[str](), list[FactError]()
    for row in rows:
        name = row.cells.get("id", "").strip()
        if fault := _fault_of_row(row, known.get(name), name in seen):
            errors.append(FactError(name, fault, row.number))
            continue
        seen.add(name)
        line = known[name]
        new = list(_facts_of_row(row, line))
        if line.locked and new:
            locked.append(name)
        else:
            facts += new
    if errors:
        raise EditsRefused(tuple(errors))
    return SheetChanges(tuple(facts), tuple(locked))


def check_columns(header: Sequence[str]) -> None:
    """Check that a sheet has all columns, once each. Raises `EditsRefused`."""
    if missing := [name for name in COLUMNS if name not in header]:
        raise refused_sheet(
            f"the sheet has no column {', '.join(missing)}: keep the header as it was"
        )
    if twice := [name for name in COLUMNS if header.count(name) > 1]:
        raise refused_sheet(f"the sheet has the column {', '.join(twice)} twice")


def plain_cell(text: str) -> str:
    """Return a text as a cell holds it: one kind of line end, nothing that no sheet can hold."""
    return _UNSAID.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that an export put before it."""
    return cell[1:] if cell.startswith("'") and _needs_guard(cell) else cell


def _needs_guard(cell: str) -> bool:
    bare = cell.lstrip("'")
    return bool(re.match(r"[=+\-@]", bare) or re.match(_SHEET_ERROR, bare)) or bool(
        _CONVERTED.fullmatch(bare)
    )


def _facts_of_row(row: SheetRow, line: SheetLine) -> Iterable[ProposedFact]:
    before = line.cells()
    for name in CHANGEABLE:
        value = _cell(name, row, before)
        if value != before[name]:
            yield ProposedFact(str(uuid.uuid4()), "line", line.id, name, value or None)


def _fault_of_row(row: SheetRow, line: SheetLine | None, seen: bool) -> str:
    """Return why a row cannot be; empty if it can."""
    if missing := [name for name in COLUMNS if name not in row.cells]:
        return f"the row ends before {missing[0]}"
    if line is None:
        return f"there is no line {row.cells['id'][:60]!r}: keep the ids, or export the sheet anew"
    if seen:
        return f"line {line.id!r} stands in two rows"
    wanted = line.cells()
    for name in ("start", "end", "speaker", "original"):
        if _cell(name, row, wanted) != wanted[name]:
            if name in row.computed:
                return _formula(name, row)
            cure = "times are changed on the page" if name in ("start", "end") else "put it back"
            return f"{name} is {row.cells[name][:60]!r} and was {wanted[name][:60]!r}: {cure}"
    if not _CHECK.fullmatch(plain_cell(row.cells["check"])):
        return f"check is {row.cells['check'][:60]!r}: put back what stood there"
    return next(filter(None, (_fault_of_cell(name, row, wanted) for name in CHANGEABLE)), "")


def _fault_of_cell(name: str, row: SheetRow, wanted: Mapping[str, str]) -> str:
    value = _cell(name, row, wanted)
    if value == wanted[name]:
        return ""
    if name in row.computed:
        return _formula(name, row)
    if _exported(name, row) != _digest(wanted[name]):
        return f"{name} is {wanted[name][:60]!r} by now, of somebody else: export the sheet anew"
    return "" if name == "comment" and not value else fault_of_value(name, value)


def _formula(name: str, row: SheetRow) -> str:
    return f"{name} holds a formula, {row.cells[name][:60]!r}: write it as text"


def _cell(name: str, row: SheetRow, wanted: Mapping[str, str]) -> str:
    """Return a cell without its guard; one that is as it went out as the line has it by now.

    A program may have taken the guard off, and a new text may have kept that of the old one.
    """
    raw = plain_cell(row.cells[name])
    for text in (raw, unguarded(raw)):
        if wanted[name] == text or _exported(name, row) == _digest(text):
            return wanted[name]
    guarded = raw.startswith("'") and (_needs_guard(raw) or _needs_guard(wanted[name]))
    return raw[1:] if guarded else raw


def _exported(name: str, row: SheetRow) -> str:
    """Return the digest of a cell as it went out; empty of what may not be changed."""
    found = _CHECK.fullmatch(plain_cell(row.cells["check"]))
    return found[1 + CHANGEABLE.index(name)] if found and name in CHANGEABLE else ""


def _digest(cell: str) -> str:
    return hashlib.blake2b(" ".join(cell.split()).encode(), digest_size=3).hexdigest()


def _decoded(data: bytes) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its mark, as Excel writes it."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        name = encoding.upper().removesuffix("-SIG")
        words = f'byte {error.start} is no {name}: save it as "CSV UTF-8"'
        raise refused_sheet(words, row) from error


def refused_sheet(message: str, row: int | None = None) -> EditsRefused:
    """Return the error of a sheet that is refused as a whole."""
    return EditsRefused((FactError("", message, row),))


def _clock(seconds: float) -> str:
    """Return a time in a form that no spreadsheet takes for a number, a date or a time."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000}h{ms // 60_000 % 60:02}m{ms // 1000 % 60:02}.{ms % 1000:03}s"
