"""CSV, out and in: what a spreadsheet shows is what we have, and none of it runs there.

A cell that begins as a formula does gets an apostrophe in front, which spreadsheets take for "this is text" and which
is taken away again on the way in.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from flask import Response, current_app, request, stream_with_context

from luckygas.errors import FieldError, Invalid, UnsupportedMediaType
from luckygas.web.addresses import LARGEST_ID
from luckygas.web.auth import current_principal
from luckygas.web.reads import Reads
from luckygas.web.validation import shown

MEDIA_TYPE: Final = "text/csv"
ROWS_AT_ONCE: Final = 1000
MOST_LINES: Final = 5000

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def cell(value: object) -> object:
    """Return what stands for `value` in a cell."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def text_of(cell: str) -> str:
    """Return what a cell says."""
    stripped = cell.strip()
    return stripped[1:] if stripped.startswith("'") and stripped[1:].startswith(_FORMULA) else stripped


def export[Row](
    name: str,
    columns: Sequence[str],
    *,
    fetch: Callable[[int, int], Sequence[Row]],
    cells: Callable[[Row], Mapping[str, Any]],
    bom: bool,
) -> Response:
    """Return an answer that is read from the database while it is sent, so that its length does not matter.

    `fetch(before_id, count)` returns at most `count` rows with a smaller `id`, largest first, in a transaction of its
    own. One that fails cuts the answer off, which the client sees, since its end is missing.
    """
    reads, principal = Reads.of(current_app), current_principal().id

    def lines() -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\r\n")
        buffer.write("\ufeff" if bom else "")
        writer.writeheader()
        before_id, more = LARGEST_ID, True
        while more:
            rows = reads.run(principal, lambda: fetch(before_id, ROWS_AT_ONCE))  # noqa: B023 - it is called at once
            writer.writerows({name: cell(value) for name, value in cells(row).items()} for row in rows)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
            more = len(rows) == ROWS_AT_ONCE
            before_id = rows[-1].id if rows else 0

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(stream_with_context(lines()), mimetype=MEDIA_TYPE, headers=headers)


def lines_of_request(columns: Iterable[str], *, required: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of the body, each with its number in the file and the cells that are not empty.

    Raises `Invalid` for what is no such file: another encoding, unknown or missing columns, too many lines.
    """
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType(f"send the file as Content-Type: {MEDIA_TYPE}, not {shown(request.mimetype)}")
    try:
        text = request.get_data().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("not UTF-8: in Excel, save it as CSV UTF-8") from None
    if "\0" in text:
        raise _refused("not text: it has bytes of zero")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        _check_header(names, set(columns), set(required))
        reader.fieldnames = names
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise _refused(f"line {reader.line_num} is not CSV: {error}") from None
    if not lines:
        raise _refused("it has no line below its header")
    if len(lines) > MOST_LINES:
        raise _refused(f"it has {len(lines)} lines: send at most {MOST_LINES} at once")
    if ragged := [number for number, row in lines if None in row or None in row.values()]:
        raise Invalid.because(*(FieldError(f"line {n}", "not as many cells as the header has") for n in ragged))
    return [(n, {name: text for name, raw in row.items() if (text := text_of(raw))}) for n, row in lines]


def _check_header(names: Sequence[str], columns: set[str], required: set[str]) -> None:
    errors = [FieldError(name or "header", "there is no such column: leave it out") for name in set(names) - columns]
    errors += [FieldError(name, "the header lacks it: add the column") for name in required - set(names)]
    errors += [FieldError(name, "it is there twice") for name in set(names) if names.count(name) > 1]
    if errors:
        raise Invalid.because(*sorted(errors, key=lambda error: error.field))


def _refused(reason: str) -> Invalid:
    return Invalid.because(FieldError("body", reason))
