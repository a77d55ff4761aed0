from collections.abc import Callable

import psycopg
import pytest
from alembic import command
from sqlalchemy import CheckConstraint, create_engine

from luckygas.config import MigrationSettings
from luckygas.db import migrate
from luckygas.db.migrate import (
    MigrationRunning,
    MigrationTooEarly,
    configuration,
    current_revision,
    known_revisions,
    schema,
    upgrade,
)
from luckygas.models import Base

RIGHTS = {
    "alembic_version": {"SELECT"},
    "api_keys": {"SELECT", "INSERT", "UPDATE"},
    "api_key_uses": {"SELECT", "INSERT", "UPDATE"},
    "api_key_networks": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "people": {"SELECT", "INSERT", "UPDATE"},
    "sessions": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "login_attempts": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "customers": {"SELECT", "INSERT", "UPDATE"},
    "customer_addresses": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "customer_usual_cylinders": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "customer_deposits": {"SELECT", "INSERT"},
    "drivers": {"SELECT", "INSERT", "UPDATE"},
    "cylinders": {"SELECT", "INSERT", "UPDATE"},
    "cylinder_moves": {"SELECT", "INSERT"},
    "orders": {"SELECT", "INSERT", "UPDATE"},
    "order_lines": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "order_events": {"SELECT", "INSERT"},
    "prices": {"SELECT", "INSERT"},
    "idempotency_keys": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "routes": {"SELECT", "INSERT", "UPDATE"},
    "stops": {"SELECT", "INSERT", "UPDATE"},
    "ledger_entries": {"SELECT", "INSERT"},
    "ledger_lines": {"SELECT", "INSERT"},
    "ledger_carried": {"SELECT", "INSERT"},
    "customer_accounts": {"SELECT", "INSERT", "UPDATE"},
    "bills": {"SELECT", "INSERT", "UPDATE"},
    "bill_items": {"SELECT", "INSERT"},
    "kind_demands": {"SELECT", "INSERT", "UPDATE"},
    "predictions": {"SELECT", "INSERT", "UPDATE"},
    "prediction_errors": {"SELECT", "INSERT", "DELETE"},
    "suggestions": {"SELECT", "INSERT", "UPDATE"},
    "suggestion_lines": {"SELECT", "INSERT"},
    "closings": {"SELECT", "INSERT"},
    "invoices": {"SELECT", "INSERT", "UPDATE"},
    "bank_payments": {"SELECT", "INSERT", "UPDATE"},
    "bank_days": {"SELECT", "INSERT", "UPDATE"},
    "finished_jobs": {"SELECT", "INSERT", "DELETE"},
    "job_failures": {"SELECT", "INSERT", "DELETE"},
    "audit_entries": {"SELECT"},
    "audit_links": {"SELECT"},
    "audit_checks": {"SELECT", "INSERT"},
}
# The queue's own, which have no models.
QUEUE_RIGHTS = {
    "procrastinate_jobs": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "procrastinate_events": {"SELECT", "INSERT"},
    "procrastinate_workers": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "procrastinate_periodic_defers": {"SELECT", "INSERT", "UPDATE", "DELETE"},
}


@pytest.fixture
def empty(new_database: Callable[[], str], environ_of: Callable[[str], dict[str, str]]) -> MigrationSettings:
    return MigrationSettings.from_environ(environ_of(new_database()))


def connect(settings: MigrationSettings) -> psycopg.Connection:
    return psycopg.connect(settings.database_url, password=settings.database_password)


def test_an_empty_database_gets_everything_and_then_nothing_more(empty: MigrationSettings) -> None:
    applied = upgrade(empty)
    assert [line.partition(":")[0] for line in applied] == list(reversed(known_revisions()))
    assert upgrade(empty) == []


def test_the_migrations_make_what_the_models_say(environ: dict[str, str]) -> None:
    settings = MigrationSettings.from_environ(environ)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(settings))
    with engine.connect() as connection:
        assert current_revision(connection) == known_revisions()[0]
        command.check(configuration(connection))
        found = connection.exec_driver_sql(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
            " AND NOT starts_with(conrelid::regclass::text, 'procrastinate_')"
        )
        names = set(found.scalars())
    engine.dispose()
    assert declared_checks() == names


def declared_checks() -> set[str]:
    return {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


def test_the_service_may_do_what_it_needs_and_no_more(environ: dict[str, str]) -> None:
    with connect(MigrationSettings.from_environ(environ)) as connection:
        granted = connection.execute(
            "SELECT table_name, array_agg(privilege_type::text) FROM information_schema.role_table_grants "
            "WHERE grantee = 'luckygas_app' GROUP BY table_name"
        ).fetchall()
    assert {table: set(privileges) for table, privileges in granted} == RIGHTS | QUEUE_RIGHTS


def test_every_table_says_what_may_be_done_with_it() -> None:
    assert set(RIGHTS) == {*Base.metadata.tables, "alembic_version"}


def test_a_second_migration_does_not_wait_for_the_first(empty: MigrationSettings) -> None:
    with connect(empty) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [0x6C75636B79])
        with pytest.raises(MigrationRunning, match="another migration"):
            upgrade(empty)
    assert upgrade(empty)


def test_a_migration_that_fails_leaves_nothing_behind(
    empty: MigrationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("alembic.op.execute", fail)
    with pytest.raises(ZeroDivisionError):
        upgrade(empty)
    with connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_dry_run_tells_what_it_would_do_and_leaves_nothing(empty: MigrationSettings) -> None:
    told = upgrade(empty, keep=False)
    with connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    assert upgrade(empty) == told


def test_a_dry_run_fails_as_the_migration_would(empty: MigrationSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alembic.op.execute", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        upgrade(empty, keep=False)


def test_a_migration_gives_up_soon_when_it_would_hold_others_up(environ: dict[str, str]) -> None:
    settings = MigrationSettings.from_environ(environ)
    with migrate._connected(settings) as connection:  # noqa: SLF001
        bounds = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("lock_timeout", "statement_timeout")]
    assert bounds == ["3s", "10s"]


def at(settings: MigrationSettings, revision: str) -> None:
    with migrate._connected(settings) as connection:  # noqa: SLF001
        command.upgrade(configuration(connection), revision)


def test_what_takes_away_is_refused_until_the_release_before_is_there(
    empty: MigrationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = reversed(known_revisions())
    at(empty, first)
    monkeypatch.setattr(migrate, "contracts_after", lambda scripts: second if [*scripts] else None)
    with pytest.raises(MigrationTooEarly, match=f"install a release of schema {second} first"):
        upgrade(empty)
    at(empty, second)
    assert upgrade(empty)


def test_a_new_database_may_have_everything_at_once(empty: MigrationSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "contracts_after", lambda _: known_revisions()[1])
    assert upgrade(empty)


def test_the_schema_of_a_newer_release_is_left_alone(empty: MigrationSettings) -> None:
    upgrade(empty)
    with connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert upgrade(empty) == []


def test_a_release_tells_what_it_knows_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    assert schema()["revisions"] == [*reversed(known_revisions())]
    named = [*migrate.ScriptDirectory.from_config(configuration()).walk_revisions()][:2]
    for script, after in zip(named, known_revisions()[1:], strict=False):
        monkeypatch.setattr(script.module, "contracts_after", after, raising=False)
    assert migrate.contracts_after(named) == known_revisions()[1]
    assert migrate.contracts_after(named[1:]) == known_revisions()[2]
    assert migrate.contracts_after([]) is None
