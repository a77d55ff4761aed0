"""One working day over HTTPS: phone orders, routes, deliveries with exchange, money, invoices, the close.

In the afternoon every outside company is down (by `make system`; `make test` plays a shorter day on which they answer).
Nothing is lost, all of it is caught up with in the evening, and books, cylinders and invoices of the day add up to no
difference.
"""

import hmac
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from database import Database
from machine import Machine, seconds_until, wait_until
from outside import Companies, outside, wait_for_a_day

IS_LONG = int(os.environ.get("LUCKYGAS_ROUNDS", "10")) >= 3
DRIVERS, CUSTOMERS, ORDERS = 8, 64, 200 if IS_LONG else 48
AFTERNOON = "500" if IS_LONG else "ok"
PRICES = {16: 680, 20: 850}
DEPOSIT = 1500
READ_STATEMENTS = """
SELECT procrastinate_defer_jobs_v1(
    ARRAY[ROW('default', 'billing.statements', 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1])
"""
HURRY = "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' AND attempts > 0"
HURRY_SECONDS = 20
UNFINISHED = "SELECT count(*) FROM procrastinate_jobs WHERE task_name ~ '^(billing|deliveries)'"


@dataclass
class Day:
    """What was done, as the test knows it: what the service says at the end is held against it."""

    ask: Callable[..., Any]
    customers: list[dict] = field(default_factory=list)
    orders: list[dict] = field(default_factory=list)
    drivers: list[int] = field(default_factory=list)
    at_home: dict[int, list[str]] = field(default_factory=dict)
    cash: Counter[int] = field(default_factory=Counter)
    owed: Counter[int] = field(default_factory=Counter)
    deposits: Counter[int] = field(default_factory=Counter)
    delivered: Counter[int] = field(default_factory=Counter)
    returned: Counter[int] = field(default_factory=Counter)


@pytest.fixture
def companies(appliance: Machine) -> Iterator[Companies]:
    """Put companies of ours in the place of those outside."""
    with outside(appliance) as companies:
        yield companies


@pytest.fixture
def ask(appliance: Machine) -> Callable[..., Any]:
    """Send a request as the office; return the answer's JSON, or fail with what was said."""
    key = appliance.new_key()

    def go(method: str, path: str, body: object = None, *, seen: int | None = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        if seen is not None:
            headers["If-Match"] = f'"{seen}"'
        answer = appliance.request(method, f"/api/v1{path}", body, **headers)
        while answer.status == 429:
            time.sleep(float(answer.headers["retry-after"]))
            answer = appliance.request(method, f"/api/v1{path}", body, **headers)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.text}"
        return answer.json

    return go


@pytest.fixture
def day(ask, machine: Database) -> Iterator[Day]:
    yield Day(ask=ask)
    # Other tests book on the same day.
    machine.on_primary("DELETE FROM closings")


def in_parallel(act: Callable[[Any], Any], items: list) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(act, items))


def open_shop(day: Day) -> None:
    """Create the customers, a few of them with monthly accounts, and the drivers."""

    def create(number: int) -> dict:
        kind = ("household", "shop", "restaurant")[number % 3]
        body = {"kind": kind, "name": f"客戶{number}", "mobile": f"09{time.time_ns() % 10**8:08}"}
        body["address"] = f"臺北市大同區民生西路 {number + 1} 號"
        if kind == "restaurant":
            body["tax_number"] = "04595257"
        customer = day.ask("POST", "/customers", body) | {"pays": ("cash", "transfer", "monthly")[number % 3]}
        if customer["pays"] == "monthly":
            day.ask("PUT", f"/customers/{customer['id']}/account", {"is_monthly": True}, seen=0)
        return customer

    day.customers = in_parallel(create, list(range(CUSTOMERS)))
    day.at_home = {customer["id"]: [] for customer in day.customers}
    for number in range(DRIVERS):
        body = {"name": f"司機{number}", "mobile": "0922333444", "plate": f"R-{number}", "capacity_kg": 5000}
        day.drivers.append(day.ask("POST", "/drivers", body)["id"])


def take_orders(day: Day, count: int) -> None:
    """Take phone orders: who calls is found by the end of their number."""

    def place(number: int) -> dict:
        customer = day.customers[(len(day.orders) + number) % CUSTOMERS]
        found = day.ask("GET", f"/customers?phone_ends={customer['mobile'][-6:]}")["items"]
        assert customer["id"] in {one["id"] for one in found}
        kg = (16, 20)[customer["id"] % 2]
        lines = [{"cylinder_kg": kg, "quantity": 1 + number % 2, "unit_price_twd": PRICES[kg]}]
        return day.ask("POST", "/orders", {"customer_id": customer["id"], "lines": lines}) | {"pays": customer["pays"]}

    day.orders += in_parallel(place, list(range(count)))


def drive(day: Day, orders: list[dict], *, today: str) -> None:
    """Put orders on the drivers' routes, load what is wanted, and deliver it."""
    shares = {driver: [] for driver in day.drivers}
    for order in orders:
        shares[day.drivers[order["customer_id"] % DRIVERS]].append(order)

    def route(driver: int) -> None:
        mine = shares[driver]
        body = {"driver_id": driver, "day": today, "order_ids": [order["id"] for order in mine]}
        made = day.ask("POST", "/routes", body)
        serials = {order["id"]: fill(day, order) for order in mine}
        day.ask(
            "POST",
            "/cylinders/load",
            {"driver_id": driver, "serials": [one for some in serials.values() for one in some]},
        )
        day.ask("POST", f"/routes/{made['id']}/start", {})
        for order in mine:
            deliver(day, driver, f"/routes/{made['id']}/stops/{order['id']}/deliver", order, serials[order["id"]])

    in_parallel(route, [driver for driver in day.drivers if shares[driver]])


def fill(day: Day, order: dict) -> list[str]:
    """Register the full cylinders that an order wants; return their serial numbers."""
    (line,) = order["lines"]
    serials = [f"D{order['id']}-{number}" for number in range(line["quantity"])]
    for serial in serials:
        body = {"serial": serial, "cylinder_kg": line["cylinder_kg"], "inspected_until": "2099-01-01", "is_full": True}
        day.ask("POST", "/cylinders", body)
    return serials


def deliver(day: Day, driver: int, path: str, order: dict, serials: list[str]) -> None:
    """Hand full cylinders over for the empty ones that are there, and take the money as this customer pays."""
    customer = order["customer_id"]
    empty, day.at_home[customer] = day.at_home[customer], serials
    deposit = DEPOSIT * (len(serials) - len(empty))
    cash = order["total_twd"] if order["pays"] == "cash" else 0
    body = {"delivered": serials, "returned": empty, "received_by": "王太太", "cash_twd": cash, "deposit_twd": deposit}
    day.ask("POST", path, body | {"by_transfer": order["pays"] == "transfer"})
    day.cash[driver] += cash + deposit
    day.deposits[driver] += deposit
    day.owed[customer] += order["total_twd"] - cash
    day.delivered[driver] += len(serials)
    day.returned[driver] += len(empty)


def cancel(day: Day, order: dict) -> None:
    seen = day.ask("GET", f"/orders/{order['id']}")
    day.ask("POST", f"/orders/{order['id']}/cancel", {"reason": "客人取消"}, seen=seen["version"])


def stock_of(day: Day) -> Counter[tuple[str, str]]:
    """Count the cylinders of all sizes by where they are and whether they are full."""
    counted: Counter[tuple[str, str]] = Counter()
    for item in day.ask("GET", "/cylinders/stock")["items"]:
        counted[item["place"], item["state"]] += item["count"]
    return counted


def bills_of(day: Day) -> list[dict]:
    """Return today's bills, of which each must have its account by now."""
    found, cursor = [], ""
    while True:
        page = day.ask("GET", f"/bills?limit=200{cursor}")
        found += [bill for bill in page["items"] if bill["customer_id"] in day.at_home]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def pay_into(day: Day, companies: Companies, machine: Database, *, today: str) -> None:
    """Let all bills be paid: the first by a message of the bank, sent twice, the others stand on its statement."""
    paid = [
        {"id": f"S-{bill['id']}", "account": bill["pay_into"], "amount_twd": bill["amount_twd"],
         "paid_at": f"{today}T10:00:00+08:00"}
        for bill in bills_of(day)
    ]  # fmt: skip
    companies.tell(settlements=paid)
    secret = machine.run("cat /etc/luckygas/credentials/banking_secret")
    at, body = int(time.time()), json.dumps(paid[0])
    mac = hmac.digest(secret.encode(), f"{at}.{body}".encode(), "sha256").hex()
    for is_new in (True, False):
        told = machine.request("POST", "/api/v1/webhooks/banking", paid[0], **{"X-Signature": f"t={at},v1={mac}"})
        assert (told.status, told.json) == (200, {"is_new": is_new})
    machine.on_primary(READ_STATEMENTS)
    ids = ", ".join(f"'{one['id']}'" for one in paid)
    booked = f"SELECT count(*) FROM bank_payments WHERE customer_id IS NOT NULL AND bank_id IN ({ids})"
    wait_until(lambda: machine.on_primary(booked) == str(len(paid)), "all payments to be booked", 120)
    for bill in bills_of(day):
        day.owed[bill["customer_id"]] -= bill["amount_twd"]


def catch_up(machine: Database) -> float:
    """Wait until all jobs of the day are done, none of them dead, and return how long that took.

    What waits to be tried again is hurried now and then: seldom enough that no job has had all its attempts before the
    last breaker lets somebody through again, which takes three minutes.
    """
    leader, hurried = machine.primary(), 0.0

    def is_done() -> bool:
        nonlocal hurried
        if time.monotonic() - hurried > HURRY_SECONDS:
            machine.sql(leader, HURRY)
            hurried = time.monotonic()
        return machine.sql(leader, UNFINISHED) == "0"

    return seconds_until(is_done, "the jobs of the day to be done", 400)


def test_a_working_day(machine: Database, companies: Companies, day: Day) -> None:
    wait_for_a_day(900 if IS_LONG else 300)
    stock = stock_of(day)
    books = {item["account"]: item["amount_twd"] for item in day.ask("GET", "/ledger/balances")["items"]}
    today = day.ask("GET", "/closings/preview")["day"]
    before = day.ask("GET", "/closings/preview")["total"]
    open_shop(day)

    take_orders(day, ORDERS // 2)
    drive(day, day.orders[1:], today=today)
    cancel(day, day.orders[0])  # before it was on any route
    morning = len(day.orders)

    companies.tell(mode=AFTERNOON)
    take_orders(day, ORDERS - morning)
    drive(day, day.orders[morning:], today=today)
    back = next(order for order in day.orders[morning:] if order["pays"] == "cash")
    cancel(day, back)  # after it was delivered and paid
    day.ask(
        "POST", "/payments", {"customer_id": back["customer_id"], "method": "cash", "amount_twd": -back["total_twd"]}
    )
    if IS_LONG:
        waiting = day.ask("GET", "/invoices?status=wanted&limit=200")["items"]
        assert len([one for one in waiting if one["customer_id"] in day.at_home]) >= ORDERS - morning

    companies.tell(mode="ok")
    seconds = catch_up(machine)
    print(f"all caught up {seconds:.0f} s after the companies were back")
    pay_into(day, companies, machine, today=today)
    for driver in day.drivers:
        counted = day.ask("POST", "/hand-ins", {"driver_id": driver, "counted_twd": day.cash[driver]})
        assert counted["difference_twd"] == 0

    sold = day.orders[1:]
    did = companies.did()
    for order in sold:
        (invoice,) = day.ask("GET", f"/invoices?order_id={order['id']}")["items"]
        assert invoice["number"] == did["invoices"][f"order{order['id']}"]["number"]
        assert invoice["status"] == ("void" if order is back else "issued")
    assert did["void"] == [did["invoices"][f"order{back['id']}"]["number"]]
    for customer in day.customers:
        account = day.ask("GET", f"/customers/{customer['id']}/account")
        assert account["owed_twd"] == (day.owed[customer["id"]] if customer["pays"] == "monthly" else 0)
    found = stock_of(day)
    at_home = day.delivered.total() - day.returned.total()
    for place, more in (
        (("customer", "full"), at_home),
        (("truck", "empty"), day.returned.total()),
        (("truck", "full"), 0),
    ):
        assert found[place] - stock[place] == more

    closed = day.ask("POST", "/closings", {"day": today})["report"]
    assert closed["differences"] == []
    assert closed["total"]["orders"] - before["orders"] == len(sold)
    assert closed["total"]["sales_twd"] - before["sales_twd"] == sum(order["total_twd"] for order in sold)
    assert closed["total"]["cash_left_twd"] == 0
    after = {item["account"]: item["amount_twd"] for item in day.ask("GET", "/ledger/balances")["items"]}
    assert sum(after.values()) == 0
    assert books["deposits"] - after["deposits"] == day.deposits.total()
    print(f"{len(sold)} deliveries, {closed['total']['sales_twd']} TWD, no difference")
