"""Every alert is caused for real and seen to arrive; every kind of receiver gets it, whatever becomes of the others."""

import json
import re
import time
from collections.abc import Iterator

import pytest
import yaml
from alert_world import AFRESH, ANSWERS, CAUSES, FORGET, RULES, SECRETS, World, shortened
from database import Database
from machine import Machine, wait_until

pytestmark = [pytest.mark.alone, pytest.mark.long]

SHIPPED = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
# What waits longer than this before it fires as it is shipped is seen only with its times shortened.
PATIENCE_MINUTES = 10


def minutes(name: str) -> float:
    text = SHIPPED[name].get("for", "0m")
    return int(text[:-1]) * {"m": 1, "h": 60, "d": 1440}[text[-1]]


def of_round(number: int) -> list[str]:
    return [name for name, cause in CAUSES.items() if cause["round"] == number]


@pytest.fixture(scope="module")
def world(appliance: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Have the appliance tell receivers of the test, by the role and as an operator would; its database may be away."""
    secrets = appliance.secrets_place
    machine = Database(appliance.container, secrets)
    for name, secret in SECRETS.items():
        (secrets / name).write_text(secret)
    place = tmp_path_factory.mktemp("alerts")
    world = World(machine, place)
    try:
        play = appliance.playbook("site.yml", "--tags", "alertmanager", "-e", json.dumps(ANSWERS))
        assert play.status == 0, play.output
        machine.run(AFRESH)
        yield world
    finally:
        for name in SECRETS:
            (secrets / name).unlink()
        play = appliance.playbook("site.yml", "--tags", "alertmanager")
        machine.run(FORGET)
        for kind in world.processes:
            world.stop(kind)
        assert play.status == 0, play.output


@pytest.fixture(scope="module")
def disk(world: World) -> None:
    """Put a small disk onto the machine."""
    world.make_disk(world.place / "disk")


def show(moments: dict[str, float], arrived: dict[str, float], heading: str) -> None:
    """Print how long each alert took from its cause to its receiver."""
    print(f"\n| alert | has to last | from cause to arrival, {heading} |\n|---|---|---|")
    for name, at in sorted(moments.items(), key=lambda row: arrived[row[0]] - row[1]):
        print(f"| {name} | {SHIPPED[name].get('for', '-')} | {arrived[name] - at:.0f} s |")


def sent_as_tests(world: World, by: str, since: float) -> list[dict]:
    """Return the test alerts that a receiver got."""
    return [row for row in world.received(by, since) if "TestAlert" in row["text"]]


def cause(world: World, number: int, *, as_shipped: bool) -> None:
    """Cause the alerts of a round, see each arrive, and none of them fire any more once all is put right."""
    names = [name for name in of_round(number) if not as_shipped or minutes(name) <= PATIENCE_MINUTES]
    heading = "as shipped" if as_shipped else "times shortened"
    world.wait_until_silent(set(names) - {"Watchdog"})
    world.machine.wait_until_idle()  # no proof of the machine's own is under way
    since = time.time()

    def arrived() -> dict[str, float]:
        return world.arrived("firing", since) | world.arrived("firing", since, by="heartbeat")

    with world.caused(names) as moments:
        at = world.wait_for(set(names), arrived, 900 if as_shipped else 240)
        silent = [name for name in names for name in CAUSES[name].get("silent", [])]
        if silent and as_shipped:  # with times of one length it is a matter of chance which is the first
            wait_until(lambda: set(silent) <= world.firing(), "what follows from it to fire", 420)
            assert not set(silent) & set(arrived())
    show(moments, at, heading)
    if not as_shipped:
        world.wait_until_silent(set(names) - {"Watchdog"})


@pytest.fixture
def quick(machine: Database, world: World, disk: None) -> Iterator[World]:
    with world.rules(shortened(RULES.read_text())):
        yield world
    world.machine.wait_until_whole()


@pytest.fixture
def real(machine: Database, world: World, disk: None) -> Iterator[World]:
    yield world
    world.machine.wait_until_whole()


# First: they look back for up to an hour, and what was planted then would fire already.
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_alerts_as_they_are_shipped_arrive(real: World, number: int) -> None:
    cause(real, number, as_shipped=True)


def test_what_can_be_caused_at_once_arrives(quick: World) -> None:
    cause(quick, 1, as_shipped=False)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_what_takes_parts_of_it_away_arrives(quick: World, number: int) -> None:
    cause(quick, number, as_shipped=False)


def test_every_kind_of_receiver_gets_the_test_alert_and_its_code_closes_the_loop(world: World) -> None:
    machine = world.machine
    since = time.time()
    machine.run("luckygas alerts test")
    found = {}
    for by in ("webhook", "mail", "slack"):
        (found[by],) = wait_until(lambda by=by: sent_as_tests(world, by, since), by)
        print(f"\n| TestAlert | {by} | {found[by]['at'] - since:.1f} s |")
    codes = {re.search(r"luckygas alerts confirm (\d{6})", row["text"])[1] for row in found.values()}
    assert len(codes) == 1
    mail = found["mail"]["told"]
    assert (mail["from"], mail["to"]) == ("luckygas@localhost", ["ops@luckygas.tw"])
    assert found["slack"]["told"]["channel"] == "#lucky-gas"
    assert "nobody has confirmed" in machine.run("luckygas alerts", check=False)
    machine.run(f"luckygas alerts confirm {codes.pop()}")
    assert "nobody has confirmed" not in machine.run("luckygas alerts", check=False)


def test_a_receiver_that_is_away_does_not_keep_the_others_from_being_told(world: World) -> None:
    machine = world.machine
    world.stop("mail")
    world.put("slack/off")
    since = time.time()
    try:
        machine.run("luckygas alerts test")
        wait_until(lambda: sent_as_tests(world, "webhook", since), "the webhook")
        print(f"\n| TestAlert | webhook, while mail and channel are away | {time.time() - since:.1f} s |")
    finally:
        world.put("slack/on")
        world.processes["mail"] = world.start("mail")
    # Mail is tried again until it is there; who said that nobody is there is not.
    wait_until(lambda: sent_as_tests(world, "mail", since), "the mail", 120)
    assert sent_as_tests(world, "slack", since) == []


def test_the_heartbeat_is_called_again_and_again(world: World) -> None:
    since = time.time()
    calls = wait_until(lambda: (found := world.received("heartbeat", since))[1:] and found, "two calls", 180)
    assert 50 < calls[1]["at"] - calls[0]["at"] < 90
    assert {alert["labels"]["alertname"] for row in calls for alert in row["told"]["alerts"]} == {"Watchdog"}
    assert not [row for row in world.received("webhook") if '"Watchdog"' in row["text"]]
