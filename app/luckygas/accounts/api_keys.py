"""The routes by which admins manage API keys."""

from datetime import UTC, datetime, timedelta

from flask import url_for

from luckygas.access import Permission, Role
from luckygas.accounts import service, usage
from luckygas.accounts.keys import Key
from luckygas.accounts.schemas_keys import (
    KeyIn,
    KeyOut,
    KeyPage,
    KeyQuery,
    KeyUsesOut,
    NewKeyOut,
    RotationIn,
    shown,
)
from luckygas.db.session import current_session
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.pagination import page_of

blueprint = Blueprint("keys", __name__, url_prefix=f"{API}/keys", tag="API keys")

_USE_SHOWN = timedelta(days=90)


@blueprint.post("", auth=Permission.KEYS_WRITE)
@blueprint.input(KeyIn, arg_name="wanted")
@blueprint.output(NewKeyOut, status_code=201)
def create(wanted: KeyIn) -> tuple[dict, int, dict[str, str]]:
    """Give out a key; the answer has its secret, which is shown this once."""
    now = datetime.now(UTC)
    service.forbid_more_than(current_principal(), role=wanted.role, scopes=wanted.scopes)
    key = service.create_key(
        current_session(),
        pepper=resources().settings.api_key_pepper,
        name=wanted.name,
        role=wanted.role,
        tier=wanted.tier,
        scopes=wanted.scopes,
        owner_id=current_principal().person_id,
        expires_at=now + timedelta(days=wanted.days),
    )
    return _revealed(key, now)


@blueprint.get("", auth=Permission.KEYS_READ, standby=True)
@blueprint.input(KeyQuery, location="query", arg_name="query")
@blueprint.output(KeyPage)
def find(query: KeyQuery) -> dict:
    """List keys, newest first."""
    now = datetime.now(UTC)
    page = page_of(
        query,
        lambda before, count: service.find_keys(
            current_session(),
            prefix=query.prefix.removeprefix("lg_live_"),
            owner_id=query.owner_id,
            before_number=before,
            count=count,
        ),
        key="number",
    )
    return page | {"items": [shown(row, now=now) for row in page["items"]]}


@blueprint.get("/<short:key_id>", auth=Permission.KEYS_READ)
@blueprint.output(KeyOut)
def read(key_id: str) -> dict:
    """Read one key, never its secret."""
    return shown(service.get_key(current_session(), key_id=key_id), now=datetime.now(UTC))


@blueprint.get("/<short:key_id>/uses", auth=Permission.KEYS_READ, standby=True)
@blueprint.output(KeyUsesOut)
def uses(key_id: str) -> dict:
    """Tell how often a key was used on each of the last 90 days."""
    service.get_key(current_session(), key_id=key_id)
    days = usage.of_key(current_session(), key_id=key_id, since=resources().today() - _USE_SHOWN)
    return {"items": days, "total": sum(day.requests for day in days)}


@blueprint.post("/<short:key_id>/rotation", auth=Permission.KEYS_WRITE, problems=[service.KeyState])
@blueprint.input(RotationIn, arg_name="rotation")
@blueprint.output(NewKeyOut, status_code=201)
def rotate(key_id: str, rotation: RotationIn) -> tuple[dict, int, dict[str, str]]:
    """Give out a successor that may do the same; the old key ends within seven days."""
    now = datetime.now(UTC)
    old = service.get_key(current_session(), key_id=key_id)
    service.forbid_more_than(current_principal(), role=Role(old.role), scopes=old.scopes)
    key = service.rotate_key(
        current_session(),
        pepper=resources().settings.api_key_pepper,
        key_id=key_id,
        now=now,
        expires_at=now + timedelta(days=rotation.days),
    )
    return _revealed(key, now)


@blueprint.delete("/<short:key_id>", auth=Permission.KEYS_WRITE)
@blueprint.output(KeyOut)
def revoke(key_id: str) -> dict:
    """Make a key useless: at once for everything but lists, for those within five seconds."""
    now = datetime.now(UTC)
    return shown(service.revoke_key(current_session(), key_id=key_id, now=now), now=now)


def _revealed(key: Key, now: datetime) -> tuple[dict, int, dict[str, str]]:
    row = service.get_key(current_session(), key_id=key.id)
    return {"key": shown(row, now=now), "secret": key.reveal()}, 201, {"Location": url_for(".read", key_id=key.id)}
