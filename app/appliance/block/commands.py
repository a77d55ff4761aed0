"""`luckygas drop`: whose packets the kernel drops. Exit codes: 0 good, 1 refused, 2 the kernel does not do it."""

import argparse

from appliance.block.kernel import Kernel
from appliance.block.request import Request
from appliance.firewall.rules import Settings
from appliance.output import OK, FailedError, RefusedError, answer, failed, refused
from appliance.system import log, open_log


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "list whose packets are dropped; add ADDRESS: for some time nothing from it gets in; remove ADDRESS"
    parser = verbs.add_parser("drop", help=text, description=text)
    parser.add_argument("act", nargs="?", choices=["list", "add", "remove"], default="list")
    parser.add_argument("address", nargs="?", metavar="ADDRESS", help="of IPv6 its whole /64 is meant")
    parser.add_argument("--seconds", type=int, default=3600, help="how long; an hour if not said")
    parser.add_argument("--reason", default="by hand", help="for the journal")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused, or fails, says why."""
    open_log("luckygas-block")
    try:
        return show(arguments) if arguments.act == "list" else change(arguments)
    except RefusedError as problem:
        return refused(arguments, problem)
    except FailedError as problem:
        return failed(arguments, problem)


def show(arguments: argparse.Namespace) -> int:
    """List who is blocked."""
    found = Kernel().blocked()
    data = [{"address": one.network, "seconds": one.seconds} for one in found]
    answer(arguments, {"blocked": data}, "\n".join(f"{one.network:<40}{one.seconds} s" for one in found) or "nobody")
    return OK


def change(arguments: argparse.Namespace) -> int:
    """Block somebody, or lift that."""
    if not arguments.address:
        raise RefusedError(f"whom? luckygas drop {arguments.act} ADDRESS")
    if arguments.act == "add" and arguments.seconds < 1:
        raise RefusedError("for how long? --seconds is 1 at least; to lift it: luckygas drop remove")
    seconds = arguments.seconds if arguments.act == "add" else 0
    request = Request.make(arguments.address, seconds, arguments.reason).check(Settings.load().unblockable)
    Kernel().apply([request])
    log(str(request))
    answer(arguments, {"address": str(request.network), "seconds": seconds}, str(request))
    return OK
