"""`If-Match`: whoever changes something names the version that they saw, and is refused when somebody was faster.

The ETag of something that has a version begins with it, so a tag names one, and so does the version alone in quotes,
which every list shows, too. What else of the answer changed meanwhile, such as what a customer owes, refuses nobody.
"""

import re
from functools import wraps
from typing import Any, Final

from flask import request

from luckygas.errors import Problem
from luckygas.web.blueprint import View

HEADER: Final = "If-Match"

IF_MATCH: Final = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "The ETag of what you saw, or its version in quotes; who saw an older one changes nothing",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,10}(-[0-9a-f]+)?"$', "examples": ['"3"']},
}
"""The header in the OpenAPI document."""

_TAG: Final = re.compile(r"([0-9]{1,10})(-[0-9a-f]+)?")


class VersionMissing(Problem):
    """The caller does not say what they saw."""

    status, code, title = 428, "version_missing", "A change must name the version that it saw"


def tag(version: int, digest: str) -> str:
    """Return the tag of an answer with this digest, about something of this version."""
    return f"{version}-{digest}"


def versioned(view: View) -> View:
    """Give a view that changes something the versions that its caller saw, as `seen`; it raises `EditedMeanwhile`."""

    @wraps(view)
    def view_of_seen(*args: Any, **kwargs: Any) -> Any:
        return view(*args, seen=_seen(), **kwargs)

    view_of_seen.is_versioned = True
    return view_of_seen


def is_versioned(view: View) -> bool:
    """Tell whether a registered view wants the header."""
    return getattr(view, "is_versioned", False)


def _seen() -> frozenset[int]:
    """Return the versions that this request names; what names none of ours matches nothing."""
    given = request.if_match
    if not given or given.star_tag:
        raise VersionMissing(
            f'send {HEADER} with the ETag of what you saw, or with its version in quotes, such as "3": read it first '
            "if you did not"
        )
    # What is compressed on the way gets a weak tag.
    found = (_TAG.fullmatch(tag) for tag in given.as_set(include_weak=True))
    return frozenset(int(match[1]) for match in found if match)
