"""Everything that can go wrong on purpose, in one shape.

Services raise these; `web.problems` turns them into `application/problem+json` (RFC 9457). `code` is the part that
programs may rely on, `detail` is for people and says what was wrong with which value and what to do about it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused value: `field` is its dotted path in the body or its query parameter."""

    field: str
    message: str


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the RFC's own word
    """A failure with an answer for the caller; subclasses fix its HTTP status, code and title."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    innocent: bool = False
    """Whether honest callers come to it, other than to its kind, so that nothing is held against them."""

    def __str__(self) -> str:
        """Return the sentence for people."""
        return self.detail

    @classmethod
    def catalogue(cls) -> Iterator[type[Self]]:
        """Yield every kind of problem that can be sent, those of the domains included."""
        for kind in cls.__subclasses__():
            yield kind
            yield from kind.catalogue()


class Hopeless(Exception):  # noqa: N818 - a verdict
    """Trying again would not help until somebody changes something; the message says what."""


class MalformedRequest(Problem):
    """The request cannot be understood at all."""

    status, code, title = 400, "malformed_request", "The request cannot be read"


class Unauthenticated(Problem):
    """The caller did not prove who they are."""

    status, code, title = 401, "unauthenticated", "A valid API key or session is needed"


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", "The caller may not do that"


class NotFound(Problem):
    """There is no such thing."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(Problem):
    """The address exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "This address does not take that method"


class EditedMeanwhile(Problem):
    """Somebody else changed it since the caller read it."""

    status, code, title = 412, "edited_meanwhile", "Somebody else changed this meanwhile"

    @classmethod
    def check(cls, thing: str, *, seen: Collection[int], found: int) -> None:
        """Raise it unless the version that is stored is one that the caller saw."""
        if found not in seen:
            named = " or ".join(map(str, sorted(seen))) or "what you named"
            raise cls(f"{thing} is at version {found}, not {named}: read it again, then send your change again")


class WrongState(Problem):
    """The request makes sense, but not as things are now."""

    status, code, title = 409, "wrong_state", "This cannot be done as things are"


class PayloadTooLarge(Problem):
    """The body exceeds the limit."""

    status, code, title = 413, "payload_too_large", "The body is too large"


class UnsupportedMediaType(Problem):
    """The body is not JSON, or does not say that it is."""

    status, code, title = 415, "unsupported_media_type", "The body must be JSON"


class Invalid(Problem):
    """The request was understood and breaks a rule; `errors` names each field."""

    status, code, title = 422, "validation_failed", "The request breaks a rule"

    @classmethod
    def because(cls, *errors: FieldError) -> Self:
        """Build the problem from its field errors, at least one."""
        names = ", ".join(error.field for error in errors)
        return cls(f"correct {names} and send the request again", errors=errors)


@contextmanager
def in_field(name: str) -> Iterator[None]:
    """Blame what the block does not find on the field `name` of the body, which named it."""
    try:
        yield
    except NotFound as error:
        raise Invalid.because(FieldError(name, f"{error.detail}: create it first")) from None


class InternalError(Problem):
    """A defect of ours."""

    status, code, title = 500, "internal_error", "Something broke on our side"


class OutcomeUnknown(Problem):
    """The database went while it was told to keep a change, and did not say any more whether it had."""

    status, code, title = 504, "outcome_unknown", "It may have been done, or not"


class Unavailable(Problem):
    """Something that this request needs is away for the moment."""

    status, code, title = 503, "unavailable", "Please try again shortly"
