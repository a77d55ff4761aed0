from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from luckygas.resources import Resources
from luckygas.suspicion.watch import Blocked
from luckygas.web.suspects import watch_of

SUBJECT = "address:203.0.113.77"


@pytest.fixture(autouse=True)
def nobody_in_the_list(committing_app: Flask) -> None:
    Resources.of(committing_app).redis.delete("lg:standings")
    watch_of(committing_app).standings.refresh()


def test_an_operator_blocks_sees_it_explained_and_lifts_it(run: Callable[..., Result], committing_app: Flask) -> None:
    watch = watch_of(committing_app)
    assert "now: nobody\n" in run("block", "list").output
    assert run("block", "add", "203.0.113.77", "--hours", "2", "--reason", "scans us").output == (
        f"{SUBJECT} is blocked for 2 hours\n"
    )
    watch.standings.refresh()
    with pytest.raises(Blocked):
        watch.admit(SUBJECT)
    listed = run("block", "list", LUCKYGAS_OPERATOR="chen").output
    assert f"  blocked     {SUBJECT}\n" in listed
    assert f"  blocked     {SUBJECT} for 2:00:00: scans us  (operator:" in listed
    assert run("block", "lift", "203.0.113.77").output == f"{SUBJECT} is let in again\n"
    assert run("block", "lift", "203.0.113.77").output == f"{SUBJECT} was not kept out\n"
    watch.standings.refresh()
    assert watch.admit(SUBJECT) == 1
    assert f"  lifted      {SUBJECT}: lifted by hand" in run("block", "list").output


def test_whom_nobody_can_mean_is_refused_with_the_way_out(run: Callable[..., Result]) -> None:
    result = run("block", "add", "203.0.113.0/24")
    assert (result.exit_code, "write an address, key:ID, person:ID or partner:NAME" in result.output) == (2, True)


def test_without_redis_the_list_cannot_be_seen(run: Callable[..., Result], closed_port: int) -> None:
    result = run("block", "list", LUCKYGAS_REDIS_URL=f"redis://luckygas_app@127.0.0.1:{closed_port}/0")
    assert (result.exit_code, "redis does not answer" in result.output) == (1, True)
