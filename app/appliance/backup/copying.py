"""The repository in a bucket: a copy made by a job of its own, so that no outage there reaches the archive here.

Information files go last, as they were when the copying began: what they list is there. What the repository let go of
is removed after that. The copy is of one database for ever: another one's is neither overwritten nor pruned, nor that
of a repository which was lost here and begun anew.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.backup import pgbackrest, record, taking
from appliance.backup.bucket import Bucket, BucketError, Settings
from appliance.backup.lineage import number
from appliance.backup.pgbackrest import BackRestError, Backup, Say
from appliance.backup.places import FETCHED, REPOSITORY, STANZA

PREFIX = "repository/"
ARCHIVE_INFO = f"archive/{STANZA}/archive.info"
BACKUP_INFO = f"backup/{STANZA}/backup.info"
HISTORY = "backup.history"
INFORMATION = (ARCHIVE_INFO, f"{ARCHIVE_INFO}.copy", BACKUP_INFO, f"{BACKUP_INFO}.copy")
CHANGED = "the repository changed while it was copied; it is tried again by itself"
CONNECTIONS = 4
TELL_FILES = 100
SYSTEM = re.compile(r'"db-system-id":(\d+)|^db-system-id=(\d+)', re.MULTILINE)
SEGMENT_OF_FILE = re.compile(r"([0-9A-F]{24})[.-]")


def open_bucket() -> Bucket:
    """Return the bucket that the operator named."""
    settings = Settings.load()
    if settings is None:
        raise BucketError("there is no bucket: name one in site.yml (site_s3_endpoint), then run the playbook")
    return Bucket(settings)


def copy(bucket: Bucket, say: Say) -> list[str]:
    """Bring the bucket in line with the repository; returns the backups that it holds then."""
    information = read_information()
    backups = pgbackrest.info()
    if not backups:
        raise BucketError("there is no backup yet that could be copied")
    if read_information() != information:
        raise BucketError(CHANGED)
    there = bucket.keys(PREFIX)
    refuse_another(bucket, there)
    refuse_begun_anew(bucket, there, backups)
    here = {str(file.relative_to(REPOSITORY)): file for file in files([backup.label for backup in backups])}
    todo = [name for name, file in here.items() if there.get(PREFIX + name) != taking.size(file)]
    try:
        each(lambda name: bucket.upload(PREFIX + name, here[name]), todo, say)
    except FileNotFoundError:
        raise BucketError(CHANGED) from None
    for name, content in information.items():
        bucket.put(PREFIX + name, content)
    names = [key.removeprefix(PREFIX) for key in there]
    gone = [PREFIX + name for name in names if name not in here and is_expired(name, backups)]
    bucket.delete(gone)
    say(f"{len(todo)} files copied, {len(gone)} removed: {bucket.where}")
    return [backup.label for backup in backups]


def read_information() -> dict[str, bytes]:
    """Return the repository's lists as they are now."""
    return {name: (REPOSITORY / name).read_bytes() for name in INFORMATION if (REPOSITORY / name).exists()}


def each(act: Callable[[str], None], names: list[str], say: Say) -> None:
    """Do the same to many files, several at once: the time goes into waiting for the other side."""
    with ThreadPoolExecutor(CONNECTIONS) as connections:
        for done, _ in enumerate(connections.map(act, names), 1):
            if done % TELL_FILES == 0:
                say(f"  {done} of {len(names)} files")


def is_expired(name: str, backups: list[Backup]) -> bool:
    """Tell whether the repository let go of a file. One that it merely lost stays in the bucket."""
    if name.startswith(f"backup/{STANZA}/20"):
        return name.split("/")[2] not in [backup.label for backup in backups]
    found = SEGMENT_OF_FILE.match(name.rsplit("/", 1)[-1])
    return bool(found) and number(found[1]) < min(number(backup.first_segment) for backup in backups)


def files(labels: Iterable[str]) -> Iterable[Path]:
    """Yield what never changes once it is there: WAL first, then the backups that are whole."""
    history = f"backup/{STANZA}/{HISTORY}"  # by which a machine that goes on from the bucket knows what it was
    for place in (f"archive/{STANZA}", history, *(f"backup/{STANZA}/{label}" for label in labels)):
        for file in sorted((REPOSITORY / place).rglob("*")):
            temporary = file.name.endswith(".pgbackrest.tmp")
            if file.is_file() and not temporary and not file.name.startswith("archive.info"):
                yield file


def systems(repository: Path) -> set[str]:
    """Return the databases whose WAL a repository holds, by PostgreSQL's own number."""
    told = pgbackrest.read_file(repository / ARCHIVE_INFO, repository)
    return {found for pair in SYSTEM.findall(told) for found in pair if found}


def refuse_another(bucket: Bucket, there: dict[str, int]) -> None:
    """Refuse a bucket that holds another database's repository."""
    if PREFIX + ARCHIVE_INFO not in there:
        return
    with tempfile.TemporaryDirectory() as place:
        remote = Path(place)
        (remote / ARCHIVE_INFO).parent.mkdir(parents=True)
        (remote / ARCHIVE_INFO).write_bytes(bucket.get(PREFIX + ARCHIVE_INFO))
        own(remote)
        try:
            theirs = systems(remote)
        except BackRestError:
            theirs = {"encrypted with another passphrase"}
    if not theirs <= systems(REPOSITORY):
        raise BucketError(
            f"{bucket.where} holds the backups of another database ({', '.join(sorted(theirs))}). To go on from them "
            f"here: luckygas restore --latest --from s3 --into production; or name another bucket"
        )


def refuse_begun_anew(bucket: Bucket, there: Iterable[str], backups: Iterable[Backup]) -> None:
    """Refuse a bucket with more than the repository here knows of: the lists of this one would drop all of that."""
    labels = {key.split("/")[3] for key in there if key.startswith(f"{PREFIX}backup/{STANZA}/20")}
    if labels and not is_known(max(labels), backups):
        raise BucketError(
            f"{bucket.where} holds {max(labels)}, of which the repository here knows nothing: it was begun anew. "
            f"To keep what is there, and go on here: name another bucket; to go back to it: "
            f"luckygas restore --latest --from s3 --into production"
        )


def is_known(label: str, backups: Iterable[Backup]) -> bool:
    """Tell whether the repository here ever had a backup: pgBackRest keeps the manifests of all."""
    history = REPOSITORY / f"backup/{STANZA}/{HISTORY}"
    return label in {one.label for one in backups} or any(history.glob(f"*/{label}.manifest*"))


def own(directory: Path) -> None:
    """Give a tree to PostgreSQL's user, as whom pgBackRest runs."""
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, "postgres", "postgres")


def fetch_information(bucket: Bucket) -> list[Backup]:
    """Bring the lists of the bucket's repository here; returns its backups."""
    FETCHED.mkdir(mode=0o750, exist_ok=True)
    there = bucket.keys(PREFIX)
    if PREFIX + ARCHIVE_INFO not in there:
        raise BucketError(f"{bucket.where} holds no repository")
    for name in (*INFORMATION, *(key.removeprefix(PREFIX) for key in there if key.endswith(".history"))):
        bucket.download(PREFIX + name, FETCHED / name)
    own(FETCHED)
    return pgbackrest.info(FETCHED)


def fetch(bucket: Bucket, backup: Backup | None, say: Say) -> None:
    """Bring here what a backup needs to become a server, or the whole repository."""
    there = {key.removeprefix(PREFIX): count for key, count in bucket.keys(PREFIX).items()}
    wanted = {name: count for name, count in there.items() if backup is None or is_needed(name, backup)}
    missing = [name for name, count in wanted.items() if taking.size(FETCHED / name) != count]
    say(f"fetching {len(missing)} files, {sum(wanted[name] for name in missing) >> 20} MB, from {bucket.where}")
    each(lambda name: bucket.download(PREFIX + name, FETCHED / name), missing, say)
    own(FETCHED)


def is_needed(name: str, backup: Backup) -> bool:
    """Tell whether a file of the repository is needed to bring a backup up to date."""
    if name.startswith(f"backup/{STANZA}/"):
        return name.split("/")[2] in (backup.label, *backup.builds_on)
    found = SEGMENT_OF_FILE.match(name.rsplit("/", 1)[-1])
    return not found or number(found[1]) >= number(backup.first_segment)


@contextlib.contextmanager
def fetching() -> Iterator[None]:
    """Keep out whoever else would fetch from the bucket, or stand beside.

    What was fetched is kept only when the bucket failed on the way: the next one goes on from there.
    """
    with record.alone("restore"), contextlib.ExitStack() as leaving:
        leaving.callback(shutil.rmtree, FETCHED, ignore_errors=True)
        try:
            yield
        except BucketError:
            leaving.pop_all()
            raise
