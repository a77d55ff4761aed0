"""What was looked at, and what came of it."""

from dataclasses import asdict, dataclass

from appliance.output import CRITICAL, OK, WARNING

STATES = {OK: "ok", WARNING: "warning", CRITICAL: "critical"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Its `id` stays what it is from release to release."""

    id: str
    severity: int
    found: str
    why: str = ""  # it matters; empty where all is well
    type: str = ""  # what to type

    @property
    def data(self) -> dict[str, str]:
        """Return it as `--json` shows it."""
        told = asdict(self)
        return {"id": told["id"], "state": STATES[self.severity]} | {key: told[key] for key in ("found", "why", "type")}


def judged(  # noqa: PLR0913 - each said by name
    identifier: str, *, good: bool, found: str, why: str, what: str, severity: int = WARNING
) -> Check:
    """Return a check that is good, or else of a severity with its reason and way out."""
    return Check(identifier, OK, found) if good else Check(identifier, severity, found, why, what)
