"""Who may come in by the VPN, how that becomes what is in force, and what is refused before anything is changed."""

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.output import CRITICAL, OK, WARNING
from appliance.status import parts
from appliance.vpn import commands, peers, wireguard

NOW = 1_795_000_000


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def section(text: str, word: str) -> str:
    return re.search(rf"^{word} = (.+)$", text, re.MULTILINE)[1]


class World:
    """A machine with WireGuard, of which the kernel is a dictionary and a unit reads a file."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.file = directory / "wg0.conf"
        self.settings = directory / "vpn.json"
        self.records = directory / "vpn_peers.json"
        self.live: dict[str, str] = {}
        self.own, self.address, self.handshakes = "", "", {}
        self.elsewhere = "192.0.2.7"
        self.runs, self.enabled, self.works, self.is_vpn_only = True, True, True, False
        self.cannot = "\0"  # what no file may hold that it is to start with
        self.ran: list[str] = []
        self.made = 0
        self.tell()
        monkeypatch.setattr(peers, "FILE", self.settings)
        monkeypatch.setattr(peers, "PEERS", self.records)
        monkeypatch.setattr(wireguard, "DIRECTORY", directory)
        monkeypatch.setattr(wireguard, "run", self.run)
        monkeypatch.setattr(wireguard, "ask", self.ask)
        monkeypatch.setattr(commands, "run", self.run)
        monkeypatch.setattr(commands, "LOCK", directory / "lock")
        monkeypatch.setattr(commands, "CONFIGURATIONS", directory / "configurations")
        monkeypatch.setattr(commands, "is_vpn_only", lambda: self.is_vpn_only)

    def tell(self, **changes: object) -> None:
        told = {"interface": "wg0", "network": "10.66.0.0/29", "port": 51820, "endpoint": "luckygas.tw"}
        self.settings.write_text(json.dumps(told | {"private_key": "mine"} | changes))

    def read(self) -> None:
        text = self.file.read_text()
        self.own, self.address = section(text, "PrivateKey"), section(text, "Address")
        self.live = dict(re.findall(r"^PublicKey = (.+)\nAllowedIPs = (.+)$", text, re.MULTILINE))

    def ask(self, command, text: str = "") -> str:
        self.made += command == ["wg", "genkey"]
        return {
            "genkey": f"private {self.made}",
            "pubkey": key(text),
            "--type=ANSIUTF8": f"drawn: {text}",
        }[command[1]]

    def run(self, command, **_) -> subprocess.CompletedProcess:
        words = [str(word) for word in command]
        self.ran.append(" ".join(words))
        code, out = 0, ""
        if words[:2] == ["wg", "show"]:
            code = 0 if self.own else 1
            rows = [
                f"{one}\t(none)\t(none)\t{at}\t{self.handshakes.get(one, 0)}\t1\t2\t25" for one, at in self.live.items()
            ]
            out = "\n".join([f"{self.own}\t{key(self.own)}\t51820\toff", *rows])
        elif words[0] == "ip":
            local, _, length = self.address.partition("/")
            mine = [{"local": local, "prefixlen": int(length)}] if local else []
            out = json.dumps(
                [
                    {"ifname": "wg0", "addr_info": mine},
                    {"ifname": "eth0", "addr_info": [{"local": self.elsewhere, "prefixlen": 24}]},
                ]
            )
        elif words[1] == "is-active":
            code = 0 if self.runs else 3
        elif words[1] == "is-enabled":
            code = 0 if self.enabled else 1
        elif words[1] in {"reload", "restart"}:
            code = 0 if self.works and self.cannot not in self.file.read_text() else 1
            if not code:
                self.runs = True
                self.read()
            elif words[1] == "restart":
                self.stop()
        return subprocess.CompletedProcess(words, code, out, "it broke" if code else "")

    def stop(self) -> None:
        """Have no interface any more."""
        self.runs, self.own, self.address, self.live = False, "", "", {}

    def acts(self) -> list[str]:
        return [line for line in self.ran if re.match(r"systemctl (reload|restart)", line)]

    def names(self) -> list[str]:
        return [one.name for one in peers.load()]


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    world.runs = world.enabled = False
    assert main(["vpn", "apply"]) == OK
    world.runs = world.enabled = True
    world.read()
    return world


def vpn(capsys, *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    return main(["vpn", *words, "--json"]), json.loads(capsys.readouterr().out)


def test_a_device_gets_an_address_and_its_key_and_is_in_by_a_reload(world, capsys):
    code, told = vpn(capsys, "add", "anna-laptop")
    assert (code, told["address"]) == (OK, "10.66.0.2")
    text = told["configuration"]
    assert section(text, "Address") == "10.66.0.2/32"
    assert section(text, "Endpoint") == "luckygas.tw:51820"
    assert section(text, "AllowedIPs") == "10.66.0.1/32"
    assert section(text, "PublicKey") == key("mine")
    assert world.live == {key(section(text, "PrivateKey")): "10.66.0.2/32"}
    assert world.acts() == ["systemctl reload wg-quick@wg0.service"]


def test_the_private_key_of_a_device_is_in_memory_alone_and_not_for_long(world, capsys):
    private_key = section(vpn(capsys, "add", "anna")[1]["configuration"], "PrivateKey")
    kept = world.directory / "configurations/anna"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (
        f"systemd-run --quiet --collect --unit=luckygas-vpn-forget-anna --on-active=3600s rm --force {kept}"
        in world.ran
    )
    assert not any(private_key in path.read_text() for path in (world.file, world.records))
    assert private_key in vpn(capsys, "show", "anna")[1]["configuration"]
    kept.unlink()
    assert private_key not in vpn(capsys, "show", "anna")[1]["configuration"]
    assert vpn(capsys, "show", "anna", "--qr")[0] == WARNING


def test_a_code_for_the_camera_is_drawn_of_the_whole_configuration(world, capsys):
    assert main(["vpn", "add", "anna", "--qr"]) == OK
    assert "drawn: # anna" in capsys.readouterr().out


def test_a_device_that_made_its_own_key_keeps_it_to_itself(world, capsys):
    code, told = vpn(capsys, "add", "ben", "--key", key("ben"), "--address", "10.66.0.5")
    assert (code, told["address"], world.live) == (OK, "10.66.0.5", {key("ben"): "10.66.0.5/32"})
    assert "\nPrivateKey" not in told["configuration"]
    assert not (world.directory / "configurations").exists()


def test_others_keep_their_addresses_and_a_free_one_is_given_anew(world, capsys):
    for name in ("anna", "ben", "cecilia"):
        vpn(capsys, "add", name)
    assert vpn(capsys, "revoke", "ben")[0] == OK
    assert sorted(world.live.values()) == ["10.66.0.2/32", "10.66.0.4/32"]
    assert vpn(capsys, "add", "dora")[1]["address"] == "10.66.0.3"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add"], "which device?"),
        (["add", "Anna"], "is no name"),
        (["add", "../anna"], "is no name"),
        (["add", "a" * 31], "is no name"),
        (["add", "anna-"], "is no name"),
        (["add", "taken"], "taken is taken"),
        (["add", "anna", "--key", "AAAA"], "is no public key"),
        (["add", "anna", "--key", peers.NO_KEY], "is no public key"),
        (["add", "anna", "--key", key("x")[:-2] + "B="], "is no public key"),
        (["add", "anna", "--key", key("taken")], "taken has that key"),
        (["add", "anna", "--key", key("mine")], "this machine's own"),
        (["add", "anna", "--key", key("x"), "--qr"], "made its own key"),
        (["add", "anna", "--address", "10.66.0"], "is no address"),
        (["add", "anna", "--address", "10.66.0.1"], "this machine's own"),
        (["add", "anna", "--address", "10.66.0.2"], "10.66.0.2 is taken's"),
        (["add", "anna", "--address", "10.66.0.7"], "is no address of a peer"),
        (["add", "anna", "--address", "10.67.0.3"], "is no address of a peer"),
        (["revoke", "nobody"], "there is no peer 'nobody'; there is taken"),
        (["show", "nobody"], "there is no peer"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(world, capsys, words, said):
    vpn(capsys, "add", "taken", "--key", key("taken"))
    before, live = world.records.read_text(), dict(world.live)
    code, told = vpn(capsys, *words)
    assert code == WARNING
    assert said in told["refused"]
    assert (world.records.read_text(), world.live) == (before, live)


def test_a_network_that_is_full_says_so(world, capsys):
    for number in range(5):
        assert vpn(capsys, "add", f"device-{number}")[0] == OK
    code, told = vpn(capsys, "add", "one-more")
    assert code == WARNING
    assert "all 5 addresses of 10.66.0.0/29 are taken" in told["refused"]


def test_what_cannot_be_put_in_force_leaves_all_as_it_was(world, capsys):
    vpn(capsys, "add", "anna")
    text = world.file.read_text()
    world.works = False
    for words in (["add", "ben"], ["revoke", "anna"]):
        code, told = vpn(capsys, *words)
        assert code == CRITICAL
        assert "it broke" in told["failed"]
        assert (world.names(), world.file.read_text()) == (["anna"], text)


def test_while_it_does_not_run_it_is_written_down_for_its_next_start(world, capsys):
    world.stop()
    assert vpn(capsys, "add", "anna")[0] == OK
    assert world.acts() == []
    world.read()
    assert list(world.live.values()) == ["10.66.0.2/32"]


def test_what_is_in_force_already_is_left_alone(world, capsys):
    vpn(capsys, "add", "anna")
    world.ran.clear()
    assert vpn(capsys, "apply") == (OK, {"changed": False})
    assert world.acts() == []


@pytest.mark.parametrize("lost", ["peer", "stranger", "address"])
def test_whatever_differs_is_said_and_brought_back_by_a_reload(world, capsys, lost):
    vpn(capsys, "add", "anna", "--key", key("anna"))
    world.live = {
        "peer": {},
        "stranger": world.live | {key("mallory"): "10.66.0.6/32"},
        "address": {key("anna"): "10.66.0.6/32"},
    }[lost]
    code, told = vpn(capsys, "list")
    assert (code, told["in_force"]) == (CRITICAL, False)
    assert vpn(capsys, "apply") == (OK, {"changed": True})
    assert world.live == {key("anna"): "10.66.0.2/32"}
    assert set(world.acts()) == {"systemctl reload wg-quick@wg0.service"}


def test_another_network_needs_a_restart_and_an_open_door(world, capsys):
    for name in ("anna", "ben"):
        vpn(capsys, "add", name, "--key", key(name))
    world.tell(network="10.67.0.0/28")
    world.is_vpn_only = True
    world.handshakes = {key("anna"): NOW}
    for words in (["apply"], ["revoke", "ben"], ["add", "cecilia"]):
        code, told = vpn(capsys, *words)
        assert code == WARNING
        assert "Set site_ssh" in told["refused"]
    assert (world.names(), world.address) == (["anna", "ben"], "10.66.0.1/29")
    world.is_vpn_only = False
    assert vpn(capsys, "apply") == (OK, {"changed": True})
    assert world.acts()[-1] == "systemctl restart wg-quick@wg0.service"
    assert (world.address, world.live) == ("10.67.0.1/28", {key("anna"): "10.67.0.2/32", key("ben"): "10.67.0.3/32"})
    assert section(vpn(capsys, "show", "ben")[1]["configuration"], "Address") == "10.67.0.3/32"
    assert vpn(capsys, "apply") == (OK, {"changed": False})


def test_one_that_did_not_start_is_started_by_what_the_list_says(world, capsys):
    vpn(capsys, "add", "anna", "--key", key("anna"))
    world.stop()
    assert main(["vpn"]) == CRITICAL
    assert "wg0 is not there; luckygas vpn apply" in capsys.readouterr().out
    assert vpn(capsys, "apply") == (OK, {"changed": True})
    assert world.live == {key("anna"): "10.66.0.2/32"}
    world.stop()
    world.works = False
    code, told = vpn(capsys, "apply")
    assert code == CRITICAL
    assert "it broke" in told["failed"]


def test_one_that_nobody_enabled_is_not_said_to_be_in_force(world, capsys):
    world.stop()
    world.enabled = False
    capsys.readouterr()
    assert main(["vpn", "apply"]) == OK
    assert "systemctl enable --now wg-quick@wg0.service" in capsys.readouterr().out
    assert world.acts() == []


def test_a_restart_that_fails_leaves_no_machine_without_its_vpn(world, capsys):
    vpn(capsys, "add", "anna", "--key", key("anna"))
    text, live = world.file.read_text(), dict(world.live)
    world.tell(network="10.67.0.0/28")
    world.cannot = "10.67.0.1"
    code, told = vpn(capsys, "apply")
    assert code == CRITICAL
    assert "It runs by its former file" in told["failed"]
    assert (world.file.read_text(), world.address, world.live) == (text, "10.66.0.1/29", live)
    assert main(["vpn"]) == CRITICAL, "it is not what the playbook wants"
    world.works = False
    code, told = vpn(capsys, "apply")
    assert code == CRITICAL
    assert "With its former file it does not run either: it broke" in told["failed"]


def test_a_network_that_the_machine_is_in_already_is_refused(world, capsys):
    world.elsewhere = "10.66.0.200"
    code, told = vpn(capsys, "apply")
    assert code == WARNING
    assert "eth0 has 10.66.0.200/24" in told["refused"]


def test_nobody_closes_the_last_door_behind_themselves(world, capsys, monkeypatch):
    for name in ("anna", "ben"):
        vpn(capsys, "add", name, "--key", key(name))
    world.is_vpn_only = True
    world.handshakes = {key("anna"): NOW}
    assert vpn(capsys, "revoke", "anna")[0] == WARNING
    assert world.names() == ["anna", "ben"]
    assert vpn(capsys, "revoke", "ben")[0] == OK
    monkeypatch.setattr(commands.session, "is_console", lambda: True)
    assert vpn(capsys, "revoke", "anna")[0] == OK


def test_the_list_says_who_was_here_and_when(world, capsys, monkeypatch):
    assert main(["vpn"]) == OK
    assert "nobody may come in" in capsys.readouterr().out
    vpn(capsys, "add", "anna", "--key", key("anna"))
    vpn(capsys, "add", "ben", "--key", key("ben"))
    world.handshakes = {key("anna"): NOW - 120}
    monkeypatch.setattr(commands.time, "time", lambda: NOW)
    assert main(["vpn", "list"]) == OK
    head, anna, ben = capsys.readouterr().out.splitlines()
    assert (head.index("last handshake"), "2 min ago" in anna, "not since the start" in ben) == (48, True, True)
    live = wireguard.look(peers.Settings.load())
    assert wireguard.connected(live, NOW) == [key("anna")]
    assert parts.of_vpn("", 2, 1).found == "2 may come in, 1 connected"


def test_without_the_role_there_is_a_sentence(world, capsys):
    world.settings.unlink()
    code, told = vpn(capsys, "list")
    assert code == WARNING
    assert "run the playbook" in told["refused"]
