"""Who may be blocked, for how long, and that nothing which is not understood keeps anything else from being done."""

import json

import pytest

from appliance.block import kernel, service
from appliance.block.request import Request, is_own
from appliance.output import FailedError, RefusedError

UNBLOCKABLE = ("127.0.0.0/8", "::1/128", "10.66.0.0/24", "203.0.113.0/28", "2001:db8:5::/48")


def datagram(address: object = "203.0.113.99", seconds: object = 600, **more: object) -> bytes:
    return json.dumps({"address": address, "seconds": seconds} | more).encode()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.99", "203.0.113.99/32"),
        ("::ffff:203.0.113.99", "203.0.113.99/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_an_address_is_blocked_as_one_customer_has_it(address, network):
    assert str(Request.parse(datagram(address)).check(UNBLOCKABLE).network) == network


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'{"address": "203.0.113.99"}',
        datagram("203.0.113.0/24"),
        datagram("203.0.113.99; flush ruleset"),
        datagram("fe80::1%eth0"),
        datagram(3405803779),
        datagram(seconds=-1),
        datagram(seconds=1.5),
        datagram(seconds=True),
        datagram(seconds="600"),
        datagram(seconds=10**9),
        datagram(reason=["x"]),
        datagram(table="inet luckygas"),
    ],
)
def test_what_is_not_understood_is_refused(sent):
    with pytest.raises(RefusedError):
        Request.parse(sent)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",  # noqa: S104 - an address like any other
        "224.0.0.1",
        "fe80::1",
        "10.66.0.7",
        "203.0.113.5",
        "2001:db8:5:9::1",
    ],
)
def test_some_are_never_blocked_but_always_lifted(address):
    with pytest.raises(RefusedError):
        Request.parse(datagram(address)).check(UNBLOCKABLE)
    assert Request.parse(datagram(address, 0)).check(UNBLOCKABLE).seconds == 0


def test_an_address_of_the_machine_is_known():
    assert is_own("127.0.0.1")
    assert not is_own("203.0.113.99")


def test_the_reason_cannot_forge_a_line_of_the_journal():
    assert "\n" not in str(Request.parse(datagram(reason="x\nrefused: y" + "z" * 500)))


def test_one_bad_datagram_keeps_nothing_else_from_being_done():
    done, said = [], []
    sent = [datagram(), b"nonsense", datagram("10.66.0.7"), datagram("203.0.113.98", 0)]
    service.handle(sent, UNBLOCKABLE, done.extend, said.append)
    assert [str(one.network) for one in done] == ["203.0.113.99/32", "203.0.113.98/32"]
    assert sum(line.startswith("refused: ") for line in said) == 2


def test_a_kernel_that_refuses_ends_nothing():
    said = []

    def fail(_requests):
        raise FailedError("no table")

    service.handle([datagram()], UNBLOCKABLE, fail, said.append)
    assert said == ["no table"]


def test_who_is_blocked_again_gets_the_new_time():
    commands = kernel.words(Request.parse(datagram(seconds=60)))
    assert [line.split()[0] for line in commands] == ["add", "delete", "add"]
    assert commands[-1].endswith("{ 203.0.113.99 timeout 60s }")
    assert [line.split()[0] for line in kernel.words(Request.parse(datagram(seconds=0)))] == ["add", "delete"]
