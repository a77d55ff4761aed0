from collections.abc import Callable

import psycopg
import pytest
from alembic import command
from sqlalchemy import CheckConstraint, create_engine

from luckygas.config import MigrationSettings
from luckygas.db.migrate import (
    MigrationRunning,
    configuration,
    current_revision,
    known_revisions,
    upgrade,
)
from luckygas.models import Base

RIGHTS = {
    "alembic_version": {"SELECT"},
    "api_keys": {"SELECT", "INSERT", "UPDATE"},
    "api_key_uses": {"SELECT", "INSERT", "UPDATE"},
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
    "customer_accounts": {"SELECT", "INSERT", "UPDATE"},
    "bills": {"SELECT", "INSERT", "UPDATE"},
    "bill_items": {"SELECT", "INSERT"},
    "finished_jobs": {"SELECT", "INSERT", "DELETE"},
    "job_failures": {"SELECT", "INSERT", "DELETE"},
    "audit_entries": {"SELECT"},
    "audit_links": {"SELECT"},
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
