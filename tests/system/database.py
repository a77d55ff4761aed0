"""The database under test: who leads and who follows, SQL on each of them, and clients that write."""

import json

from load import Load, Write
from machine import Machine, seconds_until


class Database(Machine):
    """The machine, as those see it who break its database."""

    def status(self) -> dict:
        """Return `luckygas db status`."""
        return json.loads(self.run("luckygas db status --json", check=False) or "{}")

    def primary(self) -> str | None:
        """Return who leads."""
        return self.status().get("primary")

    def standbys(self) -> list[str]:
        """Return who follows."""
        return [node["name"] for node in self.status()["nodes"] if node["role"] == "standby"]

    def port(self, instance: str) -> int:
        """Return an instance's port."""
        told = json.loads(self.run("cat /etc/luckygas/database.json"))
        return next(one["port"] for one in told["instances"] if one["name"] == instance)

    def sql(self, instance: str, statement: str, database: str = "luckygas", **options) -> str:
        """Run SQL on an instance, past the pool."""
        where = f"-h /run/postgresql -p {self.port(instance)} -U postgres -d {database}"
        command = f'psql -XAtq -v ON_ERROR_STOP=1 {where} -c "{statement}"'
        return self.run(command, **options)

    def on_primary(self, statement: str, database: str = "luckygas", *, check: bool = True, **options) -> str:
        """Run SQL where writes go; without `check` nothing comes back while nobody leads."""
        leader = self.primary()
        return self.sql(leader, statement, database, check=check, **options) if leader or check else ""

    def is_whole(self) -> bool:
        """Tell whether one leads, all others stream, and a write is acknowledged by two."""
        status = self.status()
        return bool(
            status.get("primary")
            and status["quorum_commit"]
            and status["phase"] == "stable"
            and all(node["streaming"] or node["role"] == "primary" for node in status["nodes"])
            and [node["role"] for node in status["nodes"]].count("primary") == 1
            and not any(node["fenced"] for node in status["nodes"])
        )

    def wait_until_whole(self, seconds: float = 240) -> float:
        """Wait until nothing is left to repair; return how long that took."""
        try:
            return seconds_until(self.is_whole, "the database to be whole", seconds)
        except BaseException:
            print(self.run("luckygas db status", check=False))
            raise


class DatabaseLoad(Load):
    """Clients that write through the pool."""

    def __init__(self, machine: Database, clients: int, period: float) -> None:
        """Have `clients` write once in each `period` seconds; 0 is as fast as they can."""
        super().__init__(machine, "database_load.py", "python3", clients, period)
        self._database = machine

    def went_elsewhere(self, at: float, port: int) -> bool:
        """Tell whether a write that began after `at` was acknowledged by another instance than that at `port`."""
        return any(write.began > at and write.port != port for write in self.acknowledged())

    def failed(self) -> list[Write]:
        """Return the writes that ended in an error."""
        return [write for write in self.writes if not write.port]

    def lost(self) -> set[str]:
        """Return the acknowledged writes that the primary does not have."""
        return self.not_in(set(self._database.on_primary("SELECT id FROM chaos").split()))

    def outage(self, fault: float, old_port: int) -> float:
        """Return the seconds from a fault to the first write that another instance acknowledged."""
        return (
            min(write.ended for write in self.writes if write.port not in (0, old_port) and write.ended > fault) - fault
        )
