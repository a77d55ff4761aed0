import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from luckygas.config import Settings
from luckygas.db import login

ROLE = "luckygas_replaced"
OLD, NEW = "the-old-one", "the-new-one"


@pytest.fixture
def url(superuser: psycopg.Connection, settings: Settings) -> Iterator[str]:
    """Return where a role of our own has to show its password, which is the old one."""
    superuser.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(OLD)))
    parts = conninfo_to_dict(settings.database_url)
    yield f"postgresql://{ROLE}@127.0.0.1:{parts['port']}/postgres"
    superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


def connect(url: str, password: str) -> None:
    login.Connection.connect(url, password=password).close()


def connect_async(url: str, password: str) -> None:
    async def go() -> None:
        await (await login.AsyncConnection.connect(url, password=password)).close()

    asyncio.run(go())


BOTH_WAYS = pytest.mark.parametrize("way", [connect, connect_async])


@BOTH_WAYS
def test_who_knows_both_passwords_gets_in_before_and_after_the_change(
    url: str, superuser: psycopg.Connection, way: Callable[[str, str], None]
) -> None:
    way(url, f"{OLD}\n{NEW}")
    superuser.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(NEW)))
    way(url, f"{OLD}\n{NEW}")
    way(url, NEW)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        way(url, OLD)


@BOTH_WAYS
def test_a_server_that_is_away_is_asked_once(closed_port: int, way: Callable[[str, str], None]) -> None:
    with pytest.raises(psycopg.OperationalError, match="refused"):
        way(f"postgresql://{ROLE}@127.0.0.1:{closed_port}/postgres", f"{OLD}\n{NEW}")


@BOTH_WAYS
def test_no_password_shows_in_what_is_said_of_a_refusal(url: str, way: Callable[[str, str], None]) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        way(url, "never-was\nnor-this")
    assert "never-was" not in str(caught.value)
    assert "nor-this" not in str(caught.value)
