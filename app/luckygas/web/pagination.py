"""Lists in pages, newest first, by keyset: a page starts below the last id of the one before.

So rows that arrive meanwhile move nothing: whoever walks through sees each row once, and those that existed when the
walk began all. A cursor is opaque to callers; it also says for which list and which filters it was made.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from luckygas.errors import FieldError, Invalid
from luckygas.web.addresses import LARGEST_ID
from luckygas.web.fields import PLAIN_DIGITS, Query

NextCursor = Annotated[
    str | None, Field(description="Pass it as `cursor` for the next page; null on the last", examples=[None])
]

_LAYOUT: Final = struct.Struct(">Q4s")


class PageQuery(Query):
    """What every list takes; a list adds its filters."""

    limit: Annotated[int, Field(ge=1, le=200, description="Most items on a page"), PLAIN_DIGITS] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before, with the same filters")] = None

    def scope(self) -> bytes:
        """Return 4 bytes that differ between lists and between filters."""
        filters = self.model_dump_json(exclude={"limit", "cursor"})
        return hashlib.sha256(f"{type(self).__name__}{filters}".encode()).digest()[:4]


def page_of[Row](query: PageQuery, fetch: Callable[[int, int], Sequence[Row]], *, key: str = "id") -> dict[str, Any]:
    """Return one page as `items` and `next_cursor`, which is None on the last.

    `fetch(before_id, count)` returns at most `count` rows with a smaller `key`, largest first.
    """
    before = LARGEST_ID if query.cursor is None else decode(query.cursor, query.scope())
    rows = fetch(before, query.limit + 1)
    items = rows[: query.limit]
    more = len(rows) > len(items)
    return {"items": items, "next_cursor": encode(getattr(items[-1], key), query.scope()) if more else None}


def encode(last_id: int, scope: bytes) -> str:
    """Return the cursor that continues below `last_id`."""
    return base64.urlsafe_b64encode(_LAYOUT.pack(last_id, scope)).decode()


def decode(cursor: str, scope: bytes) -> int:
    """Return the id below which to continue, or raise `Invalid` for a cursor that was not made for `scope`."""
    try:
        last_id, made_for = _LAYOUT.unpack(base64.b64decode(cursor, altchars="-_", validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise Invalid.because(FieldError("cursor", "not a cursor of ours: take next_cursor as it is")) from None
    if made_for != scope or not 1 <= last_id <= LARGEST_ID:
        raise Invalid.because(FieldError("cursor", "made for other filters: start again without it"))
    return last_id
