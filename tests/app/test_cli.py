import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from openapi_spec_validator import validate
from sqlalchemy import text

from gunicorn_server import SEARCHED
from luckygas.cli import COMMANDS, main
from luckygas.jobs import queue
from luckygas.jobs.tables import JobFailure
from luckygas.resources import Resources

KEY = re.compile(r"lg_live_([0-9a-z]{8})_[0-9A-Za-z]{43}\n")


@pytest.fixture
def run_committing(run: Callable[..., Result], committing_app: Flask) -> Callable[..., Result]:
    """Run the tool; what it stores is gone after the test."""
    assert committing_app
    return run


def test_a_good_configuration_is_called_so(run: Callable[..., Result]) -> None:
    result = run("check-config")
    assert (result.exit_code, result.output) == (0, "configuration ok\n")


def test_all_problems_of_a_configuration_are_printed(run: Callable[..., Result]) -> None:
    result = run("check-config", LUCKYGAS_REDIS_URL=None, LUCKYGAS_WEB_THREADS="0")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: LUCKYGAS_REDIS_URL is not set: give it a value such as redis+sentinel://USER@127.0.0.1:26379,127.0.0.1:26380/NAME",
        "LUCKYGAS_WEB_THREADS='0': write a whole number from 1 to 32",
    ]


def test_a_mistyped_command_is_told_what_was_meant(run: Callable[..., Result]) -> None:
    assert "migrate" in run("migrat").stderr


def test_migrating_says_what_it_did_and_then_that_nothing_is_left(
    run: Callable[..., Result], new_database: Callable[[], str], environ_of: Callable[[str], dict[str, str]]
) -> None:
    url = environ_of(new_database())["LUCKYGAS_MIGRATION_DATABASE_URL"]
    first, second = (run("migrate", LUCKYGAS_MIGRATION_DATABASE_URL=url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output.startswith("applied 0001: API keys, customers, orders, idempotency keys.\n")
    assert second.output == "up to date\n"


def test_a_migration_can_be_tried_and_undone(
    run: Callable[..., Result], new_database: Callable[[], str], environ_of: Callable[[str], dict[str, str]]
) -> None:
    url = environ_of(new_database())["LUCKYGAS_MIGRATION_DATABASE_URL"]
    tried = run("migrate", "--dry-run", LUCKYGAS_MIGRATION_DATABASE_URL=url)
    done = run("migrate", LUCKYGAS_MIGRATION_DATABASE_URL=url)
    assert tried.output == done.output.replace("applied ", "would apply ")


def test_what_is_known_of_the_schema_is_printed_without_any_setting() -> None:
    told = json.loads(CliRunner().invoke(main, ["schema"]).stdout)
    assert told["revisions"][0] == "0001"


def test_migrating_needs_only_the_settings_of_the_owner(run: Callable[..., Result]) -> None:
    result = run("migrate", LUCKYGAS_DATABASE_URL=None, LUCKYGAS_REDIS_URL=None, LUCKYGAS_CONTACT_EMAIL=None)
    assert (result.exit_code, result.output) == (0, "up to date\n")


def test_a_database_that_is_away_is_reported_in_a_sentence(run: Callable[..., Result], closed_port: int) -> None:
    away = f"postgresql://luckygas_owner@127.0.0.1:{closed_port}/luckygas"
    for command, name in ((["migrate"], "LUCKYGAS_MIGRATION_DATABASE_URL"), (["key", "list"], "LUCKYGAS_DATABASE_URL")):
        result = run(*command, **{name: away})
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: the database does not answer: ")


def test_a_key_is_printed_alone_and_works(run_committing: Callable[..., Result], committing_app: Flask) -> None:
    result = run_committing("key", "create", "--role", "admin", "--name", "console")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert KEY.fullmatch(result.stdout)
    headers = {"X-API-Key": result.stdout.strip()}
    assert committing_app.test_client().get("/api/v1/orders", headers=headers).status_code == 200


def test_if_none_makes_a_key_once(run_committing: Callable[..., Result]) -> None:
    arguments = ("key", "create", "--role", "admin", "--name", "console", "--if-none")
    first, second = run_committing(*arguments), run_committing(*arguments)
    assert KEY.fullmatch(first.output)
    assert (second.exit_code, second.output) == (0, "")
    key_id = KEY.fullmatch(first.output)[1]
    run_committing("key", "revoke", key_id)
    assert KEY.fullmatch(run_committing(*arguments).output)


def test_keys_are_listed_without_their_secrets(run_committing: Callable[..., Result]) -> None:
    key = run_committing("key", "create", "--role", "driver", "--name", "阿明", "--days", "1").output
    key_id = KEY.fullmatch(key)[1]
    assert run_committing("key", "revoke", key_id).output == f"revoked {key_id}, the driver key of 阿明\n"
    (line,) = run_committing("key", "list").output.splitlines()
    assert re.fullmatch(
        rf"{key_id}  revoked   driver      basic       expires \d{{4}}-\d\d-\d\d  used never       阿明", line
    )


def test_usable_keys_that_were_not_used_since_are_listed(run_committing: Callable[..., Result]) -> None:
    ids = [
        KEY.fullmatch(run_committing("key", "create", "--role", "driver", "--name", name).output)[1]
        for name in ("阿明", "小華")
    ]
    run_committing("key", "revoke", ids[0])
    (line,) = run_committing("key", "list", "--unused-since", "2999-01-01T00:00:00+08:00").output.splitlines()
    assert line.startswith(ids[1])
    assert run_committing("key", "list", "--unused-since", "2026-01-01").output == ""
    assert "write it as 2026-11-24T14:05:00+08:00" in run_committing("key", "list", "--unused-since", "now").output


def test_a_key_is_rotated_and_its_use_shown(run_committing: Callable[..., Result]) -> None:
    run_committing("person", "create", "meiling", "--name", "陳美玲", "--role", "admin")
    terms = ("--role", "service", "--tier", "standard", "--scope", "orders:read", "--owner", "meiling")
    key_id = KEY.fullmatch(run_committing("key", "create", "--name", "shop", *terms).output)[1]
    rotated = run_committing("key", "rotate", key_id, "--days", "30")
    assert KEY.fullmatch(rotated.stdout)
    assert re.fullmatch(rf"{key_id} ends on \d{{4}}-\d\d-\d\d\n", rotated.stderr)
    (line,) = run_committing("key", "list", "--prefix", f"lg_live_{key_id[:6]}").output.splitlines()
    assert line.startswith(f"{key_id}  usable    service     standard")
    assert run_committing("key", "usage", key_id).output == f"{line}\n"


def test_the_first_admin_is_made_here_and_let_in_again(
    run_committing: Callable[..., Result], committing_app: Flask
) -> None:
    first = run_committing("person", "create", "meiling", "--name", "陳美玲", "--role", "admin").stdout.strip()
    browser = committing_app.test_client()
    body = {"login": "meiling", "password": first}
    assert browser.post("/api/v1/session", json=body).status_code == 200
    assert browser.get("/api/v1/me").status_code == 200
    second = run_committing("person", "reset", "meiling").stdout.strip()
    assert browser.get("/api/v1/me").status_code == 401
    assert browser.post("/api/v1/session", json=body | {"password": second}).status_code == 200
    assert run_committing("person", "reset", "nobody").stderr == "Error: nobody logs in as nobody\n"
    refused = run_committing("person", "create", "Mei Ling", "--name", "x", "--role", "admin")
    assert refused.exit_code == 2
    assert "Invalid value for login: found 'Mei Ling'. Log-in name: 2 to 40 small letters" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--role", "king", "--name", "x"),
        ("create", "--role", "admin"),
        ("create", "--role", "admin", "--name", "x", "--days", "0"),
        ("revoke",),
    ],
)
def test_wrong_arguments_are_refused(run: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    assert run("key", *arguments).exit_code == 2


def test_revoking_a_key_that_is_not_there_fails(run: Callable[..., Result]) -> None:
    result = run("key", "revoke", "00000000")
    assert result.exit_code == 1
    assert result.stderr == "Error: there is no key 00000000\n"


def test_the_document_is_printed_without_any_server(run: Callable[..., Result], closed_port: int) -> None:
    away = f"postgresql://luckygas_app@127.0.0.1:{closed_port}/luckygas"
    validate(json.loads(run("openapi", LUCKYGAS_DATABASE_URL=away).stdout))


def test_a_migration_under_way_is_not_disturbed(run: Callable[..., Result], environ: dict[str, str]) -> None:
    name = environ["LUCKYGAS_DATABASE_URL"].partition("@/")[2].partition("?")[0]
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], dbname=name) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [0x6C75636B79])
        result = run("migrate")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: another migration of this database is running")


def test_the_console_script_needs_only_environment_and_credentials(environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", "import sys; from luckygas.cli import main; sys.exit(main())", "check-config"]
    done = subprocess.run(command, env=environ | SEARCHED, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration ok\n", "")


@pytest.mark.parametrize("module", sorted({place.partition(":")[0] for place in COMMANDS.values()}))
def test_a_command_loads_all_that_its_tables_refer_to_and_not_the_whole_service(module: str) -> None:
    script = f"""
import sys, {module}
from sqlalchemy.orm import configure_mappers
from luckygas.db.base import Base
configure_mappers()
list(Base.metadata.sorted_tables)
print("luckygas.app" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", script], env=SEARCHED, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == str(module == "luckygas.app")


def test_the_worker_stops_when_there_is_nothing_left_to_do(run_committing: Callable[..., Result]) -> None:
    assert run_committing("work", "--until-empty").exit_code == 0


def test_dead_jobs_are_listed_and_replayed(run_committing: Callable[..., Result], committing_app: Flask) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        number = queue.enqueue(session, "jobs.forget")
        session.execute(text("UPDATE procrastinate_jobs SET status = 'failed', attempts = 24"))
        session.add(JobFailure(job_id=number, attempt=24, reason="Timeout: 5 s"))
    assert run_committing("job", "list").output == f"{number}  {'jobs.forget':24}  24 attempts  {{}}  Timeout: 5 s\n"
    assert run_committing("job", "replay", str(number)).output == f"job {number}, jobs.forget, is in the queue again\n"
    assert run_committing("job", "list").output == ""
    assert run_committing("job", "replay", str(number)).exit_code == 1


def test_it_is_told_whether_a_worker_is_there(run_committing: Callable[..., Result], committing_app: Flask) -> None:
    assert run_committing("job", "worker").output == "there is no worker\n"
    with Resources.of(committing_app).sessions.begin() as session:
        session.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    assert run_committing("job", "worker").output == "a worker is alive\n"


def test_the_audit_log_is_verified_and_a_broken_one_named(
    run_committing: Callable[..., Result], environ: dict[str, str], tmp_path: Path
) -> None:
    run_committing("person", "create", "meiling", "--name", "陳美玲", "--role", "admin", LUCKYGAS_OPERATOR="amin")
    result = run_committing("audit", "verify")
    assert result.exit_code == 0
    assert re.fullmatch(r"[0-7] 1 [0-9a-f]{64}\n", result.stdout)
    assert result.stderr == "1 entries, the chain is unbroken\n"
    known = tmp_path / "heads"
    known.write_text(result.stdout, encoding="utf-8")
    assert run_committing("audit", "verify", "--against", str(known)).exit_code == 0
    name = environ["LUCKYGAS_DATABASE_URL"].partition("@/")[2].partition("?")[0]
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], dbname=name) as forger:
        assert forger.execute("SELECT actor, origin FROM audit_entries").fetchone() == ("operator:amin", "luckygas-app")
        forger.execute("SET session_replication_role = replica")
        forger.execute("UPDATE audit_entries SET actor = 'operator:somebody-else'")
    broken = run_committing("audit", "verify")
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert re.fullmatch(
        r"Error: the audit log is broken: strand [0-7], link 1: its entry \d+ was changed\n", broken.stderr
    )
    known.write_text("not what was printed", encoding="utf-8")
    assert run_committing("audit", "verify", "--against", str(known)).exit_code == 2
