"""The appliance's reason: it takes an order over HTTPS and keeps it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from machine import wait_until

CUSTOMER = {
    "kind": "restaurant",
    "name": "鼎泰小館",
    "mobile": "0912-345-678",
    "address": "臺北市大安區信義路二段194號",
}


def place_order(appliance, key):
    bearer = f"Bearer {key}"
    customer = appliance.request("POST", "/api/v1/customers", CUSTOMER, Authorization=bearer)
    assert customer.status == 201, customer.text
    body = {
        "customer_id": customer.json["id"],
        "lines": [{"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 780}],
    }
    order = appliance.request("POST", "/api/v1/orders", body, Authorization=bearer)
    assert order.status == 201, order.text
    assert order.json["total_twd"] == 1560
    return order.json


def test_an_order_is_kept_in_postgresql_and_survives_a_reboot(machine):
    key = machine.new_key()
    order = place_order(machine, key)
    placed = machine.on_primary("SELECT id FROM orders WHERE status = 'placed'").split()
    assert str(order["id"]) in placed

    machine.restart()

    def read():
        with suppress(OSError):
            answer = machine.request("GET", f"/api/v1/orders/{order['id']}", Authorization=f"Bearer {key}")
            return answer.status == 200 and answer

    assert wait_until(read, "the order after the reboot", 90).json == order
    failed = ""

    def none_failed():
        nonlocal failed
        failed = machine.run("systemctl --failed --no-legend", check=False)
        return failed == ""

    try:  # what came too early at boot comes round once a minute
        wait_until(none_failed, "no unit to have failed", 120)
    finally:
        print(failed)


def test_both_instances_are_live(appliance):
    seen = set()

    def both_answered():
        seen.add(appliance.request("GET", "/api/v1/health").json.get("instance"))
        return seen >= {"a", "b"}

    wait_until(both_answered, "both to answer")  # one may have come up later, and each process of nginx begins with a


def test_one_instance_is_enough(appliance):
    key = appliance.new_key()
    appliance.run("systemctl stop luckygas-web@a.service")
    try:
        assert appliance.run("systemctl show --value --property=Result luckygas-web@a.service") == "success"
        place_order(appliance, key)
    finally:
        appliance.run("systemctl start luckygas-web@a.service")
    wait_until(lambda: appliance.attempt("test -S /run/luckygas-web-a/app.sock").returncode == 0, "web@a")


def test_a_restart_finishes_the_requests_that_it_finds(machine):
    """Each request is held by a lock in the database while its instance is told to restart."""
    key = machine.new_key()
    before = place_order(machine, key)
    leader = machine.primary()
    lock = "BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)"
    count = "SELECT count(*) FROM pg_locks WHERE relation = 'customers'::regclass AND"
    ask = f"psql -XAtqh /run/postgresql -p {machine.port(leader)} -U postgres -d luckygas -c"
    machine.run(f'{ask} "{lock}" >/dev/null 2>&1 &')
    wait_until(lambda: machine.sql(leader, f"{count} granted AND mode = 'AccessExclusiveLock'") == "1", "the lock")
    with ThreadPoolExecutor(9) as pool:
        path = f"/api/v1/customers/{before['customer_id']}"
        # In one call that is there before them, since whoever waits for a lock is refused after five seconds.
        end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'"
        stopping = '[ "$(systemctl is-active luckygas-web@a.service)" = deactivating ]'
        begun = f"/run/restart-{time.time_ns()}"
        restarted = pool.submit(
            machine.run,
            f'touch {begun}; until [ "$({ask} "{count} NOT granted")" -ge 4 ]; do sleep 0.1; done;'
            f" systemctl restart --no-block luckygas-web@a.service; until {stopping}; do sleep 0.05; done;"
            f' {ask} "{end}"; rm {begun}',
            timeout=60,
        )
        wait_until(lambda: machine.run(f"ls {begun}", check=False), "somebody to look at the lock")
        held = [pool.submit(machine.request, "GET", path, Authorization=f"Bearer {key}") for _ in range(8)]
        restarted.result()
        assert [answer.result().status for answer in held] == [200] * 8
    wait_until(lambda: machine.health() == "ok", "the service to be well")
    assert machine.run("systemctl show --value --property=NRestarts luckygas-web@a.service") == "0"


def test_without_redis_the_service_says_so_and_goes_on(appliance):
    key = appliance.new_key()
    appliance.run("systemctl stop 'redis-server@*'")
    try:
        health = appliance.request("GET", "/api/v1/health")
        assert (health.status, health.json["status"]) == (200, "degraded")
        assert appliance.attempt("luckygas redis status").returncode == 2
        place_order(appliance, key)
    finally:
        appliance.run("systemctl start redis-server@a.service redis-server@b.service")
    wait_until(lambda: appliance.health() == "ok", "health to be ok again", 90)


def test_without_postgresql_the_service_is_down_and_recovers_by_itself(appliance):
    key = appliance.new_key()
    # One instance alone would be replaced; away is the database only when nobody is there to do that.
    guardians = "luckygas-database-supervisor.service luckygas-database-reconcile.timer"
    guardians += " luckygas-database-reconcile.service 'repmgrd@*'"
    appliance.run(f"systemctl stop {guardians}; systemctl stop 'postgresql@17-*'")
    try:
        health = appliance.request("GET", "/api/v1/health")
        assert (health.status, health.json["status"]) == (503, "down")
        refused = appliance.request("GET", "/api/v1/orders", Authorization=f"Bearer {key}")
        assert refused.status == 503
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert "retry-after" in refused.headers
    finally:
        appliance.run("systemctl start luckygas.target")
    wait_until(lambda: appliance.health() == "ok", "health to be ok again", 90)
    place_order(appliance, key)


def test_with_no_instance_at_all_the_edge_answers_with_a_problem(appliance):
    appliance.run("systemctl stop 'luckygas-web@*.service'")
    try:
        answer = appliance.request("GET", "/api/v1/health")
        assert answer.status == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["code"] == "service_away"
    finally:
        appliance.run("systemctl start luckygas-web@a.service luckygas-web@b.service")
    wait_until(lambda: appliance.health() == "ok", "the service", 90)


def test_a_change_whose_instance_dies_in_the_middle_may_have_been_made(machine):
    """Nobody can know, so its client is told to look, and not to send it again."""
    key = machine.new_key()
    leader = machine.primary()
    ask = f"psql -XAtqh /run/postgresql -p {machine.port(leader)} -U postgres -d luckygas -c"
    count = "SELECT count(*) FROM pg_locks WHERE relation = 'customers'::regclass AND"
    machine.run(f'{ask} "BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)" >/dev/null 2>&1 &')
    wait_until(lambda: machine.sql(leader, f"{count} granted AND mode = 'AccessExclusiveLock'") == "1", "the lock")
    with ThreadPoolExecutor(1) as pool:
        # In one call that is there before it, since whoever waits for a lock is refused after five seconds.
        killed = pool.submit(
            machine.run,
            f'until [ "$({ask} "{count} NOT granted")" -ge 1 ]; do sleep 0.05; done;'
            " systemctl kill --signal=KILL luckygas-web@a.service luckygas-web@b.service",
            timeout=60,
        )
        answer = machine.request("POST", "/api/v1/customers", CUSTOMER, Authorization=f"Bearer {key}")
        killed.result()
    machine.run(f"{ask} \"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'AccessExclusiveLock'\"")
    assert (answer.status, answer.json["code"], answer.headers.get("retry-after")) == (504, "outcome_unknown", None)
    wait_until(lambda: machine.health() == "ok", "the service", 90)


def test_the_target_groups_every_unit(appliance):
    units = appliance.run("systemctl list-dependencies --plain --no-pager luckygas.target").split()
    wanted = {
        "postgresql@17-pg1.service",
        "redis-server@a.service",
        "redis-server@b.service",
        "redis-sentinel@1.service",
        "luckygas-web@a.service",
        "luckygas-web@b.service",
        "luckygas-worker.service",
        "nginx.service",
        "pgbouncer.service",
    }
    assert wanted <= set(units)
    appliance.run("systemctl stop luckygas.target")

    def states():
        return set(appliance.run(f"systemctl is-active {' '.join(sorted(wanted))}", check=False).split())

    wait_until(lambda: states() == {"inactive"}, "every unit to stop with the target", 90)
    appliance.run("systemctl start luckygas.target")
    wait_until(lambda: appliance.health() == "ok", "the service", 90)
