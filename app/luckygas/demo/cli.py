"""`luckygas-app demo-data`."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import click
import psycopg

from luckygas.config import MigrationSettings
from luckygas.db import login
from luckygas.db.engine import CONNECT_TIMEOUT_SECONDS
from luckygas.demo.load import NotEmpty, load
from luckygas.demo.records import Company

_STEP_PERCENT: Final = 5


@click.command("demo-data")
@click.option("--customers", required=True, type=click.IntRange(1, 2_000_000), help="How many customers.")
@click.option("--days", required=True, type=click.IntRange(1, 7300), help="For how many days they have ordered.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same company.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last of the days, by default today in Taipei; part of what makes the company the same.",
)
def demo_data(customers: int, days: int, seed: int, until: datetime | None) -> None:
    """Fill an empty database with a company that does not exist: customers, cylinders, prices and orders.

    A database that has any of those is left as it is.
    """
    last = until.date() if until else datetime.now(ZoneInfo("Asia/Taipei")).date()
    company = Company(customers=customers, days=days, until=last, seed=seed)
    settings = MigrationSettings.from_environ()
    try:
        with login.Connection.connect(
            settings.database_url,
            password=settings.database_password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="luckygas-demo-data",
        ) as connection:
            orders = load(connection, company, _progress())
    except (NotEmpty, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except psycopg.OperationalError as error:
        raise click.ClickException(f"the database does not answer: {error}") from error
    click.echo(_summary(company, orders))


def _summary(company: Company, orders: int) -> str:
    return f"{company.customers:,} customers, {orders:,} orders from {company.first_day} to {company.until}"


def _progress() -> Callable[[str, int, int], None]:
    """Return what prints a line for every five percent: readable on a terminal and in a journal alike."""
    began, told = time.monotonic(), dict[str, int]()

    def report(what: str, done: int, of: int) -> None:
        percent = 100 * done // of
        if percent // _STEP_PERCENT > told.get(what, -1):
            told[what] = percent // _STEP_PERCENT
            click.echo(f"{what} {percent:3} %  {done:,} of {of:,}  {time.monotonic() - began:,.0f} s", err=True)

    return report
