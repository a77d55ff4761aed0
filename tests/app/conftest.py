"""A real PostgreSQL and a real Redis; the schema comes from the migrations, each test leaves no trace.

`TEST_DATABASE_URL` is a libpq URI of a superuser, `TEST_REDIS_URL` a URL of a user who may make others.
"""

import dataclasses
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from conformity import ConformingClient
from factories import SECRETS, make_key
from luckygas import volatile
from luckygas.access import Role
from luckygas.accounts import passwords
from luckygas.app import create_app
from luckygas.cli import main
from luckygas.config import MigrationSettings, Settings
from luckygas.db.migrate import upgrade
from luckygas.models import Base
from luckygas.resources import Resources

ROLES = {"luckygas_owner": SECRETS["database_owner_password"], "luckygas_app": SECRETS["database_password"]}

REDIS_COMMANDS = ["-@all", "+@read", "+@write", "+@connection", "+@transaction", "+@scripting", "-@dangerous"]
QUEUE_TABLES = ("procrastinate_jobs", "procrastinate_periodic_defers", "procrastinate_workers", "procrastinate_events")

# The checkout may be read-only, machines differ in speed, and our fixtures are safe to share between examples. Of the
# same code the same examples are tried each time: a run that fails by chance says nothing of what was changed.
hypothesis_settings.register_profile(
    "luckygas",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("luckygas")


# What production gives up, since it can do without, tests wait for: the machine may be a busy one.
volatile.PATIENCE_SECONDS = 5


def _required(name: str) -> str:
    if name not in os.environ:
        pytest.exit(f"{name} is not set: `make check` starts the servers and sets it", returncode=2)
    return os.environ[name]


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return where the test server is, for a user who may do everything."""
    return _required("TEST_REDIS_URL")


@pytest.fixture(scope="session")
def superuser() -> Iterator[psycopg.Connection]:
    """Connect to the test server as its superuser, outside of any transaction."""
    with psycopg.connect(_required("TEST_DATABASE_URL"), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def new_database(superuser: psycopg.Connection) -> Iterator[Callable[[], str]]:
    """Make empty databases of the owner role, and drop them in the end. Returns each one's name."""
    for role, password in ROLES.items():
        if superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
            superuser.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        superuser.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
    names: list[str] = []

    def make() -> str:
        name = f"luckygas_test_{os.getpid()}_{len(names)}"
        superuser.execute(sql.SQL("CREATE DATABASE {} OWNER luckygas_owner").format(sql.Identifier(name)))
        # As on the appliance, and so that an instant in another offset than UTC would be noticed.
        superuser.execute(sql.SQL("ALTER DATABASE {} SET timezone TO 'Asia/Taipei'").format(sql.Identifier(name)))
        names.append(name)
        return name

    yield make
    for name in names:
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def environ_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Return what a unit would give the service for a database of this name."""
    credentials = tmp_path_factory.mktemp("credentials")
    for name, value in SECRETS.items():
        Path(credentials, name).write_text(f"{value}\n", encoding="utf-8")
    server = conninfo_to_dict(_required("TEST_DATABASE_URL"))
    place = urlencode({name: server[name] for name in ("host", "port") if name in server})
    redis = Redis.from_url(_required("TEST_REDIS_URL"))
    redis.acl_setuser(
        "luckygas_app",
        enabled=True,
        passwords=[f"+{SECRETS['redis_password']}"],
        keys=["lg:*"],
        commands=REDIS_COMMANDS,
    )
    address = redis.connection_pool.connection_kwargs
    redis.close()

    def environ(database: str) -> dict[str, str]:
        return {
            "CREDENTIALS_DIRECTORY": str(credentials),
            "LUCKYGAS_DATABASE_URL": f"postgresql://luckygas_app@/{quote(database)}?{place}",
            "LUCKYGAS_WORKER_DATABASE_URL": f"postgresql://luckygas_app@/{quote(database)}?{place}",
            "LUCKYGAS_MIGRATION_DATABASE_URL": f"postgresql://luckygas_owner@/{quote(database)}?{place}",
            "LUCKYGAS_REDIS_URL": f"redis://luckygas_app@{address['host']}:{address['port']}/0",
            "LUCKYGAS_CONTACT_EMAIL": "admin@example.tw",
            "LUCKYGAS_INSTANCE": "a",
            "LUCKYGAS_WRITERS_FILE": str(credentials / "writers"),
        }

    return environ


@pytest.fixture(scope="session")
def environ(environ_of: Callable[[str], dict[str, str]], new_database: Callable[[], str]) -> dict[str, str]:
    """Return the service's environment, its database at the newest schema."""
    environ = environ_of(new_database())
    upgrade(MigrationSettings.from_environ(environ))
    return environ


@pytest.fixture(scope="session")
def settings(environ: dict[str, str]) -> Settings:
    """Return the settings that this environment makes."""
    return Settings.from_environ(environ)


@pytest.fixture(scope="session")
def shared_app(settings: Settings) -> Iterator[Flask]:
    """Build the service once; tests take `app`."""
    app = create_app(settings)
    app.test_client_class = ConformingClient
    yield app
    _close(app)


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """Run the service inside of one transaction that is rolled back after the test."""
    resources = Resources.of(shared_app)
    with resources.engine.connect() as connection, connection.begin() as transaction:
        for sessions in (resources.sessions, resources.read_sessions):
            sessions.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield shared_app
        for sessions, engine in (
            (resources.sessions, resources.engine),
            (resources.read_sessions, resources.read_engine),
        ):
            sessions.configure(bind=engine, join_transaction_mode="conditional_savepoint")
        transaction.rollback()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Let no test see what another one had computed, since what it was computed from is gone."""
    if "TEST_REDIS_URL" in os.environ:
        with Redis.from_url(os.environ["TEST_REDIS_URL"]) as redis:
            for key in redis.scan_iter("lg:cache:*"):
                redis.delete(key)


@pytest.fixture(autouse=True)
def quick_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend no time on passwords, unless a test is about them."""
    if "passwords" not in request.module.__name__:
        monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """Open a session beside those of the service, in the same transaction."""
    with Resources.of(app).sessions() as session:
        yield session


@pytest.fixture
def committing_app(shared_app: Flask) -> Iterator[Flask]:
    """Run the service with real commits on real connections, and empty all tables after the test."""
    yield shared_app
    with Resources.of(shared_app).engine.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
    with psycopg.connect(_required("TEST_DATABASE_URL"), dbname=name) as connection:
        connection.execute("SET session_replication_role = replica")  # or the audit log would refuse to be emptied
        connection.execute(f"TRUNCATE {', '.join([*Base.metadata.tables, *QUEUE_TABLES])} RESTART IDENTITY".encode())


@pytest.fixture
def app_with(settings: Settings) -> Iterator[Callable[..., Flask]]:
    """Build services whose settings differ in what is given."""
    apps: list[Flask] = []

    def build(**changes: object) -> Flask:
        apps.append(create_app(dataclasses.replace(settings, **changes)))
        return apps[-1]

    yield build
    for app in apps:
        _close(app)


@pytest.fixture
def client_as(app: Flask, session: Session) -> Callable[[Role], FlaskClient]:
    """Return a client that holds a key of a role."""

    def client(role: Role) -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(session, role=role).reveal()}"
        return client

    return client


@pytest.fixture
def client(client_as: Callable[[Role], FlaskClient]) -> FlaskClient:
    """Return a client that may do everything."""
    return client_as(Role.ADMIN)


@pytest.fixture
def run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the tool with the service's environment and these changes to it; None takes a variable away."""

    def invoke(*arguments: str, **changes: str | None) -> Result:
        for name in [name for name in os.environ if name.startswith("LUCKYGAS_")]:
            monkeypatch.delenv(name)
        for name, value in (environ | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, arguments)

    return invoke


@pytest.fixture
def subject() -> str:
    """Return a caller whom nobody has counted or suspected before."""
    return f"key:{secrets.token_hex(4)}"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a TCP port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a TCP port on which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _close(app: Flask) -> None:
    resources = Resources.of(app)
    resources.dispose()
    resources.redis.close()
    resources.volatile.close()
