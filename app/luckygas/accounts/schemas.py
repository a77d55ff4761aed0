"""People and sessions as they travel."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from luckygas.access import Role
from luckygas.accounts.passwords import LONGEST, SHORTEST
from luckygas.web.fields import Body, Instant, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

_PERSON_ROLES = [Role.ADMIN, Role.DISPATCHER, Role.DRIVER]


def _role_of_people(role: Role) -> Role:
    if role not in _PERSON_ROLES:
        raise ValueError(f"no role for people: use one of {', '.join(_PERSON_ROLES)}")
    return role


Login = Annotated[
    str,
    StringConstraints(pattern="^[a-z0-9][a-z0-9._-]{1,39}$"),
    Field(description="Log-in name: 2 to 40 small letters, digits, dots, hyphens, underscores"),
]
Password = Annotated[str, Field(max_length=LONGEST)]
Code = Annotated[
    str,
    StringConstraints(pattern="^[0-9]{6}$"),
    Field(description="What the authenticator app shows", examples=["123456"]),
]
PersonRole = Annotated[Role, AfterValidator(_role_of_people), Field(json_schema_extra={"enum": _PERSON_ROLES})]


class LoginIn(Body):
    """Who wants to log in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"login": "meiling", "password": "correct-horse-9"}]})

    login: Login
    password: Password
    code: Code | None = None


class PersonIn(Body):
    """Somebody who is to log in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"login": "meiling", "name": "陳美玲", "role": "dispatcher"}]}
    )

    login: Login
    name: Annotated[Line, Field(max_length=100)]
    role: PersonRole


class PersonChange(Body):
    """What is to be different about a person; what is left out stays."""

    name: Annotated[Line, Field(max_length=100)] | None = None
    role: PersonRole | None = None
    disabled: Annotated[bool | None, Field(description="A disabled person cannot log in")] = None


class PasswordIn(Body):
    """A person's new password."""

    current: Password
    new: Annotated[Password, Field(min_length=SHORTEST)]


class ProofIn(Body):
    """A person's password, to show that it is them."""

    current: Password


class CodeIn(Body):
    """A code of an authenticator app."""

    code: Code


class PersonOut(Output):
    """Somebody who logs in."""

    id: RowId
    login: str
    name: str
    role: Role
    has_totp: Annotated[bool, Field(description="Whether a code is asked for besides the password")]
    must_change_password: bool
    disabled_at: Instant | None
    created_at: Instant


class NewPasswordOut(Output):
    """A person and a password that is shown this once and has to be changed at the first log-in."""

    person: PersonOut
    password: str


class SessionOut(Output):
    """A session that was begun; its token is in the cookie."""

    person: PersonOut
    csrf_token: Annotated[str, Field(description="Send it as X-CSRF-Token with everything that changes something")]


class TotpOut(Output):
    """A secret to be shared with an authenticator app, shown this once."""

    secret: str
    uri: Annotated[str, Field(description="The same as the app reads it from a QR code")]


class OpenSessionOut(Output):
    """One browser in which a person is logged in."""

    agent: Annotated[str | None, Field(description="What the browser says it is")]
    address: str | None
    created_at: Instant
    seen_at: Annotated[Instant, Field(description="Last use, to a few minutes")]
    expires_at: Instant


class OpenSessions(Output):
    """All browsers in which a person is logged in."""

    items: list[OpenSessionOut]


class EndedOut(Output):
    """How many sessions were ended."""

    ended: int


class PersonQuery(PageQuery):
    """Which people to list."""

    role: PersonRole | None = None


class PersonPage(Output):
    """Some people, newest first."""

    items: list[PersonOut]
    next_cursor: NextCursor
