"""A repository, dumps and a bucket whose clock is in the hands of a test: real files, and an S3 on loopback."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from appliance.backup import copying, pgbackrest, sealed, taking
from appliance.backup.bucket import Bucket, Settings
from appliance.backup.lineage import name
from appliance.backup.pgbackrest import FULL, Backup

DAY = 86400
WEEK = 7 * DAY
WAL_OF_A_DAY = 3


def quiet(_: str) -> None:
    """Say nothing."""


def bucket_at(port: int, host: str = "localhost", access_key: str = "key") -> Bucket:
    """Return the bucket `backups` of the S3 at a port."""
    return Bucket(Settings(f"http://{host}:{port}", "backups", "us-east-1", access_key, "secret"))


class Repository:
    """What pgBackRest would leave in a directory, and when it would let go of it."""

    def __init__(self, directory: Path, patch: Callable[..., None]) -> None:
        self.directory, self.backups, self.segments = directory, [], 0
        self.archive = directory / "archive/luckygas"
        patch(copying, "REPOSITORY", directory)
        patch(copying, "systems", lambda _: {"1"})
        patch(copying, "own", lambda _: None)
        patch(pgbackrest, "info", lambda *_: list(self.backups))
        self.write("archive/luckygas/archive.info", b"1")

    def write(self, where: str, content: bytes) -> None:
        file = self.directory / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def push(self) -> str:
        self.segments += 1
        segment = name("00000001", self.segments)
        self.write(f"archive/luckygas/17-1/{segment[:16]}/{segment}-{'a' * 40}.zst", segment.encode())
        return segment

    def take(self, now: float, content: bytes = b"pages") -> Backup:
        """Take the backup that is due, and let go of what a week does not need: what pgBackRest does by time."""
        kind = taking.kind_due(self.backups, now)
        fulls = [one.label for one in self.backups if one.kind == FULL]
        label = f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}F"
        on = () if kind == FULL else (fulls[-1],)
        segment = self.push()
        self.write(f"backup/luckygas/{label}/bundle/1", content)
        self.backups.append(
            Backup(label, kind, int(now), int(now), 1, 1, segment, segment, "0/1", on, broken_pages=False)
        )
        self.expire(now)
        self.write(f"backup/luckygas/backup.history/{datetime.fromtimestamp(now, UTC):%Y}/{label}.manifest.gz", b"")
        self.write("backup/luckygas/backup.info", " ".join(one.label for one in self.backups).encode())
        for _ in range(WAL_OF_A_DAY):
            self.push()
        return self.backups[-1]

    def expire(self, now: float) -> None:
        old = [one for one in self.backups if one.kind == FULL and now - one.ended >= WEEK]
        first = self.backups.index(old[-1]) if old else 0
        for one in self.backups[:first]:
            (self.directory / f"backup/luckygas/{one.label}/bundle/1").unlink()
        self.backups = self.backups[first:]
        for file in self.archive.rglob("0*-*.zst"):
            if file.name[:24] < self.backups[0].first_segment:
                file.unlink()

    def files(self) -> set[str]:
        return {str(file.relative_to(self.directory)) for file in self.directory.rglob("*") if file.is_file()}

    def begin_anew(self, now: float) -> Backup:
        """Lose everything, and take a first backup again."""
        shutil.rmtree(self.directory)
        self.backups = []
        self.write("archive/luckygas/archive.info", b"1")
        return self.take(now)


def lay_dump(directory: Path, now: float, subject: str = "luckygas", content: bytes = b"rows") -> Path:
    """Leave a dump of a moment, as if it had been written and tried."""
    with sealed.sealing("dump", subject, now, directory) as one:
        one.file.write_bytes(content)
    return directory / f"{one.label}.dump.gpg"
