"""One order, followed by the id that nginx gave its delivery: through the service, its statements and its job."""

import json
import time

import pytest
from machine import Machine, wait_until
from outside import COLLECTOR, Companies, outside, wait_for_a_day

DELIVER = "/api/v1/routes/<id:route_id>/stops/<id:order_id>/deliver"


@pytest.fixture
def companies(appliance: Machine):
    settings = {"LUCKYGAS_TRACES_URL": f"{COLLECTOR}/v1/traces", "LUCKYGAS_TRACES_RATIO": "1"}
    with outside(appliance, **settings) as companies:
        yield companies


def test_an_order_is_followed_from_nginx_to_the_e_invoice(appliance: Machine, companies: Companies):
    wait_for_a_day(60)
    key = appliance.new_key()

    def post(path: str, body: object):
        answer = appliance.request("POST", f"/api/v1{path}", body, Authorization=f"Bearer {key}")
        assert answer.status < 300, f"{path}: {answer.status} {answer.text}"
        return answer

    number = f"{time.time_ns() // 1000 % 10**8:08}"
    driver = post("/drivers", {"name": "林司機", "mobile": f"09{number}", "plate": number, "capacity_kg": 400}).json
    body = {"kind": "household", "name": "王小明", "mobile": f"09{number}", "address": "臺北市大同區民生西路 7 號"}
    customer = post("/customers", body).json
    lines = [{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 850}]
    order = post("/orders", {"customer_id": customer["id"], "lines": lines}).json
    serial = f"TRACE-{order['id']}"
    post("/cylinders", {"serial": serial, "cylinder_kg": 20, "inspected_until": "2099-01-01", "is_full": True})
    post("/cylinders/load", {"driver_id": driver["id"], "serials": [serial]})
    today = appliance.run("TZ=Asia/Taipei date +%F")
    route = post("/routes", {"driver_id": driver["id"], "day": today, "order_ids": [order["id"]]}).json
    post(f"/routes/{route['id']}/start", {})
    delivered = post(
        f"/routes/{route['id']}/stops/{order['id']}/deliver",
        {"delivered": [serial], "received_by": "王太太", "cash_twd": 850, "deposit_twd": 0},
    )
    trace = delivered.headers["x-request-id"]
    post("/hand-ins", {"driver_id": driver["id"], "counted_twd": 850})  # or the day of other tests would lack it

    def followed():
        spans = companies.spans(trace)
        names = {span["name"] for span in spans}
        return {f"POST {DELIVER}", "job billing.invoice", "POST einvoice"} <= names and spans

    spans = wait_until(followed, "the invoice of the order at the collector", 60)
    root = next(span for span in spans if span["name"] == f"POST {DELIVER}")
    call = next(span for span in spans if span["name"] == "POST einvoice")
    by_id = {span["id"]: span for span in spans}
    way = [call]
    while way[-1]["parent"]:
        way.append(by_id[way[-1]["parent"]])
    assert [span["name"] for span in way] == [
        "POST einvoice",
        "job billing.invoice",
        "enqueue billing.invoice",
        f"POST {DELIVER}",
    ]
    assert [span["service"] for span in way] == ["luckygas-worker"] * 2 + ["luckygas-web"] * 2
    assert {"INSERT", "SELECT", "commit"} <= {span["name"] for span in spans if span["parent"] == root["id"]}
    assert companies.did()["invoices"].keys() >= {f"order{order['id']}"}

    (line,) = appliance.run(f"grep --no-filename {trace} /var/log/nginx/access.log").splitlines()
    edge = json.loads(line)
    assert (edge["status"], edge["method"], edge["route"]) == (200, "POST", DELIVER)
    assert float(edge["upstream_seconds"]) >= root["seconds"] - 0.002  # nginx counts in milliseconds
    took = sum(1 for span in spans if span["name"] in {"SELECT", "INSERT", "UPDATE", "DELETE"})
    print(f"one trace of {len(spans)} spans, {took} of them statements")
