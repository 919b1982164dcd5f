"""The sheet of a language as a workbook, XLSX."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from dubarr_pipeline.edits.model import EditsRefused, FactError
from dubarr_pipeline.edits.sheets import (
    COLUMNS,
    MOST_ROWS,
    SheetChanges,
    SheetLine,
    SheetRow,
    changes,
    check_columns,
    refused_sheet,
    unguarded,
)

_MOST_BYTES = 200_000_000
"""Size of a workbook's parts when they are unpacked."""
_WIDTHS = {"id": 14, "start": 14, "end": 14, "speaker": 16, "original": 60, "text": 60}


def export_xlsx(lines: Iterable[SheetLine]) -> bytes:
    """Return lines as a workbook whose cells are all text, which no spreadsheet computes."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    sheet: Any = book.active
    sheet.title, sheet.freeze_panes = "lines", "A2"
    sheet.append(COLUMNS)
    for row, line in enumerate(lines, start=2):
        for column, (name, text) in enumerate(line.cells().items(), start=1):
            cell = sheet.cell(row, column)
            # A text that looks guarded is guarded once more: the import takes one off.
            cell.value = f"'{text}" if unguarded(text) != text else text
            cell.data_type, cell.number_format, cell.quotePrefix = "s", "@", True
            cell.alignment = Alignment(wrap_text=name not in ("id", "start", "end"), vertical="top")
    for column, name in enumerate(COLUMNS, start=1):
        head = sheet.cell(1, column)
        head.font = Font(bold=True)
        sheet.column_dimensions[head.column_letter].width = _WIDTHS.get(name, 30)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def import_xlsx(data: bytes, lines: Sequence[SheetLine]) -> SheetChanges:
    """Return what the first sheet of a workbook changes.

    Raises:
        EditsRefused: with each row that cannot be.
    """
    rows: list[SheetRow] = []
    errors: list[FactError] = []
    header: list[str] = []
    for number, cells in enumerate(_cells(data), start=1):
        if not header:
            header = [str(cell.value or "").strip().casefold() for cell in cells]
            check_columns(header)
            continue
        known = {n: cell for n, cell in zip(header, cells, strict=False) if n in COLUMNS}
        found: dict[str, str] = dict.fromkeys(COLUMNS, "")
        for name, cell in known.items():
            found[name], fault = _text_of(cell)
            if fault:
                errors.append(FactError(found["id"], f"{name} {fault}", number))
        if any(found.values()):
            computed = {name for name, cell in known.items() if cell.data_type in ("f", "e")}
            rows.append(SheetRow(number, found, frozenset(computed)))
    if errors:
        raise EditsRefused(tuple(errors))
    check_columns(header)
    return changes(rows, lines)


def _cells(data: bytes) -> list[tuple[Any, ...]]:
    """Return the rows of the first sheet. Raises `EditsRefused` if it is no workbook."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > _MOST_BYTES:
                raise refused_sheet(
                    f"the workbook unpacks to more than {_MOST_BYTES // 1_000_000} MB"
                )
        with warnings.catch_warnings():
            # Of styles that other programs leave out.
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(data), read_only=True)
            sheet: Any = book.worksheets[0]
            sheet.reset_dimensions()
            rows = list(sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=50))
            book.close()
            return rows
    except EditsRefused:
        raise
    except (
        *(zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, TypeError),
        *(AttributeError, IndexError, OSError, SyntaxError, EOFError, RuntimeError),
    ) as error:
        raise refused_sheet(f"it is no workbook (.xlsx) that can be read: {error}") from error


def _text_of(cell: Any) -> tuple[str, str]:
    """Return the text of a cell, and why it is none."""
    value = cell.value
    if value is None:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.15g}", ""
    return str(value), f"holds {value!r}, which is no text: format the cell as text"
