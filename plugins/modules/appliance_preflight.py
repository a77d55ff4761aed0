"""Ansible module: look at a machine and at the operator's answers before anything is changed."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import shutil
import socket
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: appliance_preflight
short_description: Report everything that would make an installation fail, in one list, before the first change
description:
  - Reads only. Every problem says what was found and what to do about it.
  - Also finds out which packages are there, for all roles at once; apt takes half a second to see that for each.
options:
  answers: {type: dict, required: true, description: "Every variable that begins with C(site_), or stands beside them."}
  questions: {type: list, elements: str, required: true, description: "The answers that there have to be."}
  minimum: {type: dict, required: true, description: "C(cpus), C(memory_gb), C(disk_gb), C(free_gb)."}
  ports: {type: dict, required: true, description: "TCP port to the name of the process that may own it."}
  version: {type: str, required: true, description: "What is to be installed."}
  stops: {type: list, elements: str, required: true, description: "Versions that may not be left out, oldest first."}
  missing: {type: dict, required: true, description: "Secrets yet to be given, each to the answer that needs it."}
"""

RETURN = """
ansible_facts:
  type: dict
  returned: always
  description: >-
    C(packages), the names of those for which apt would do nothing; C(clocks), those that keep the clock in the place of
    systemd-timesyncd, of which there can be one only.
"""

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})+")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
MAIL = re.compile(rf"[^@\s\"'<>]+@{LABEL}(\.{LABEL})+")
SMTP = re.compile(rf"smtp://([^/\s]+@)?{LABEL}(\.{LABEL})*(:\d{{1,5}})?/[^@\s]+@{LABEL}(\.{LABEL})+")
TRACES = re.compile(r"https?://[^\s/@]+/\S+")
URL = re.compile(r"https?://[^\s/]+(/\S*)?")
INSTALLED = Path("/var/lib/luckygas/version")
STATES = Path("/var/lib/apt/extended_states")
CLOCKS = {"chrony", "ntpsec", "openntpd"}
PROFILES = ("production", "sandbox")
SSH = ("public", "admin-nets", "vpn-only")
# A machine sold as 8 GB shows 7.7 to its operating system, and a 100 GB disk a file system of 97.
TOLERANCE = 0.93
# The largest that CDNs publish, and private ones, are no wider.
WIDEST_NETWORK = {4: 8, 6: 16}
LONGEST_DOMAIN = 253  # RFC 1035, less the root


def operating_system(release: dict[str, str]) -> list[str]:
    """Check the contents of /etc/os-release."""
    if (release.get("ID"), release.get("VERSION_ID")) == ("debian", "13"):
        return []
    found = release.get("PRETTY_NAME", "an unknown system")
    return [f"operating system: found {found}; the appliance runs on Debian 13 (trixie). Install that on the machine."]


def size(found: dict[str, float], minimum: dict[str, float]) -> list[str]:
    """Compare the machine's size with the minimum of its profile."""
    more = "Give the machine more; for a look at it, site_profile: sandbox is content with less"
    words = {
        "cpus": ("processors", "vCPU", more),
        "memory_gb": ("memory", "GB", more),
        "disk_gb": ("disk of /", "GB", "Give the machine a larger disk"),
        "free_gb": ("free space on /", "GB", "Remove what is not needed, or enlarge the disk"),
    }
    problems = []
    for key, (name, unit, way_out) in words.items():
        if found[key] < minimum[key] * (1 if key == "cpus" else TOLERANCE):
            problems.append(f"{name}: found {found[key]:g} {unit}, needed {minimum[key]:g} {unit}. {way_out}.")
    return problems


def answers(given: dict[str, object], questions: list[str]) -> list[str]:
    """Check the operator's answers: every one there, none misspelt, each of the right form."""
    file = "inventory/group_vars/all/site.yml"
    problems = []
    for name in sorted(set(given) - set(questions)):
        if not name.startswith("site_"):
            problems.append(
                f"{name} in {file}: it is none of the answers. Put it into inventory/group_vars/appliance.yml."
            )
            continue
        close = difflib.get_close_matches(name, questions, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Remove it; the answers are {', '.join(questions)}."
        problems.append(f"{name} in {file}: there is no such answer. {hint}")
    problems += [f"{name}: missing. Add it to {file}." for name in questions if name not in given]

    def check(name: str, wanted: str, *, good: bool) -> None:
        if name in given and not good:
            problems.append(f"{name} in {file}: found {given[name]!r}, expected {wanted}.")

    domain, profile = str(given.get("site_domain", "")), given.get("site_profile")
    is_local = profile == "sandbox" and domain == "localhost"
    check(
        "site_domain",
        "a bare domain name in small letters, like luckygas.tw",
        good=is_local or (len(domain) <= LONGEST_DOMAIN and bool(DOMAIN.fullmatch(domain))),
    )
    check(
        "site_admin_email",
        "a mail address, like admin@luckygas.tw",
        good=bool(MAIL.fullmatch(str(given.get("site_admin_email", "")))),
    )
    check("site_profile", " or ".join(PROFILES), good=profile in PROFILES)
    zone = str(given.get("site_timezone", ""))
    zones = Path("/usr/share/zoneinfo")
    is_zone = bool(re.fullmatch(r"[A-Za-z]\w*([/+-][\w+-]+)*", zone)) and (
        not zones.is_dir() or (zones / zone).is_file()
    )
    for name, form, wanted in (
        ("site_alert_mail", SMTP, "smtp://USER@SERVER:PORT/WHOM, like smtp://alerts@smtp.example.tw:587/me@example.tw"),
        ("site_alert_webhook", URL, "a URL, like https://example.tw/alerts"),
        ("site_alert_slack", re.compile(r"[#@][^\s]+"), "a channel, like #lucky-gas"),
        ("site_alert_heartbeat", URL, "a URL, like https://example.tw/heartbeat"),
        ("site_traces", TRACES, "a URL with its path and without a password, like https://HOST:4318/v1/traces"),
    ):
        value = str(given.get(name, ""))
        check(name, f"{wanted}, or nothing", good=value == "" or bool(form.fullmatch(value)))
    origins = given.get("site_cors_origins", [])
    check(
        "site_cors_origins",
        "a list of origins in small letters and without paths, like https://shop.example.tw",
        good=isinstance(origins, list) and all(ORIGIN.fullmatch(str(origin)) for origin in origins),
    )
    for name, whose in (("site_proxies", "a proxy's own"), ("site_admin_networks", "your own")):
        networks = given.get(name, [])
        check(
            name,
            f"a list of networks of {whose}, by their first address, like 203.0.113.0/24 or 2001:db8::/32",
            good=isinstance(networks, list) and all(is_narrow_network(str(network)) for network in networks),
        )
    check("site_ssh", ", ".join(SSH[:-1]) + f" or {SSH[-1]}", good=given.get("site_ssh") in SSH)
    if given.get("site_ssh") == "admin-nets" and given.get("site_admin_networks", []) == []:
        problems.append(
            f"site_admin_networks in {file}: empty, and site_ssh is admin-nets: nobody could come in. Name yours."
        )
    check("site_timezone", "a name from `timedatectl list-timezones`, like Asia/Taipei", good=is_zone)
    return problems


def secrets(missing: dict[str, str], given: dict[str, object]) -> list[str]:
    """Name what an answer makes necessary, and what only the other side can tell."""
    return [
        f"{name} in .secrets: there is no such file, and {answer} is {given[answer]!r}. Write into it what you were "
        f"given there; or leave {answer} empty."
        for name, answer in missing.items()
        if given.get(answer)
    ]


def is_narrow_network(text: str) -> bool:
    """Tell whether this is a network, and none of those so wide that a stranger may be in it."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return False
    return network.prefixlen >= WIDEST_NETWORK[network.version]


def way(installed: str, version: str, stops: list[str]) -> list[str]:
    """Tell whether this version may be installed over the one that is there."""

    def order(text: str) -> list[int]:
        return [int(number) for number in text.split(".")]

    found = f"version: this checkout is {version}, the machine has {installed}"
    if order(installed) > order(version):
        way_out = f"Merge what the machine has: git fetch --tags, git merge {installed}"
        return [f"{found} already. {way_out}; an older service alone comes back by luckygas rollback."]
    left_out = [stop for stop in stops if order(installed) < order(stop) < order(version)][:1]
    # Never a checkout: it brings back the answers as they were shipped, and those would be installed. Nor a merge
    # alone: what this version holds already, it leaves alone.
    way_out = (
        "Install {0} first: git reset --keep ORIG_HEAD takes your merge back, then git merge {0}, site.yml. "
        "Afterwards this one: git merge {1}, site.yml."
    )
    return [f"{found}, and {stop} may not be left out. {way_out.format(stop, version)}" for stop in left_out]


def listeners(table: str) -> dict[int, str]:
    """Turn the output of `ss -Hltnp` into {port: name of the process}."""
    found = {}
    for line in table.splitlines():
        fields = line.split()
        process = re.search(r'users:\(\("([^"]+)"', line)
        found[int(fields[3].rsplit(":", 1)[1])] = process.group(1) if process else "an unknown process"
    return found


def taken_ports(found: dict[int, str], ours: dict[str, str]) -> list[str]:
    """Report our ports that something else listens on."""
    return [
        f"port {port}: taken by {found[int(port)]}. Stop and disable that service; this port belongs to {owner}."
        for port, owner in ours.items()
        if found.get(int(port), owner) != owner
    ]


def installed(table: str, states: str) -> list[str]:
    """Return the names of packages for which apt would do nothing: all there, and not to go with what needs them.

    The first is what dpkg-query prints, the second the file in which apt keeps what nobody asked for.
    """
    whole = {line.removeprefix("ii ") for line in table.splitlines() if line.startswith("ii ")}
    return sorted(whole - set(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Auto-Installed: 1$", states, re.MULTILINE)))


def unreachable_mirrors(hosts: list[str]) -> list[str]:
    """Report hosts of package mirrors whose name cannot be resolved."""
    if not hosts:
        return ["package mirrors: none is configured. Put Debian's into /etc/apt/sources.list.d/."]
    return [
        f"package mirror {host}: its name cannot be resolved ({reason}). "
        "Check /etc/resolv.conf and the network, or name another mirror in /etc/apt/sources.list.d/."
        for host in hosts
        if (reason := why_unresolvable(host))
    ]


def why_unresolvable(host: str, attempts: int = 3) -> str | None:
    """Return why the name server does not know the host; one lost answer is not yet a reason."""
    for attempt in range(1, attempts + 1):
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            if attempt == attempts or getattr(error, "errno", None) != socket.EAI_AGAIN:
                return error.strerror
        else:
            break
    return None


def mirror_hosts(module: AnsibleModule) -> list[str]:
    """Return the hosts that apt will talk to: its proxy, when it has one, else its mirrors."""
    if not shutil.which("apt-get"):
        return ["apt-get is missing"]  # not Debian: said by operating_system
    _, proxy, _ = module.run_command(["apt-config", "shell", "P", "Acquire::http::Proxy"])
    _, uris, _ = module.run_command(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    hosts = re.findall(r"https?://(?:[^@/\s]*@)?([^:/\s']+)", proxy or uris)
    return sorted(set(hosts)) or (["localhost"] if uris.strip() else [])


def measure() -> dict[str, float]:
    """Return the machine's size: processors, memory and disk in GB (10^9 for disks, 2^30 for memory)."""
    disk = shutil.disk_usage("/")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "disk_gb": round(disk.total / 1e9, 1),
        "free_gb": round(disk.free / 1e9, 1),
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "answers": {"type": "dict", "required": True},
            "questions": {"type": "list", "elements": "str", "required": True},
            "minimum": {"type": "dict", "required": True},
            "ports": {"type": "dict", "required": True},
            "version": {"type": "str", "required": True},
            "stops": {"type": "list", "elements": "str", "required": True},
            "missing": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    release = dict(
        line.replace('"', "").split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    problems = operating_system(release)
    if not problems:  # the rest would only be noise on a foreign system
        problems += size(measure(), given["minimum"])
        code, table, err = module.run_command(["ss", "-Hltnp"])
        problems += taken_ports(listeners(table), given["ports"]) if code == 0 else [f"ss -Hltnp: {err.strip()}"]
        problems += unreachable_mirrors(mirror_hosts(module))
    if INSTALLED.exists():
        problems += way(INSTALLED.read_text().strip(), given["version"], given["stops"])
    problems += answers(given["answers"], given["questions"])
    problems += secrets(given["missing"], given["answers"])
    if problems:
        module.fail_json(
            msg=f"Nothing was changed. {len(problems)} thing(s) to put right first:\n"
            + "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        )
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package}\\n"]
    _, table, _ = module.run_command(command, check_rc=True, expand_user_and_vars=False)
    states = STATES.read_text() if STATES.exists() else ""
    facts = {"packages": installed(table, states), "clocks": sorted(CLOCKS & set(installed(table, "")))}
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
