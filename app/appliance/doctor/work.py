"""What waits to be done, or was given up: jobs, backups beside the repository, Redis on its disk."""

import time
from collections.abc import Iterator

from appliance.backup import listing, watch
from appliance.database.state import Store
from appliance.doctor.database import cluster
from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.doctor.tables import rows
from appliance.output import counted
from appliance.redis.cluster import Cluster
from appliance.redis.settings import Settings as Redis

WAITING_SECONDS = 900


@examines(
    "jobs.dead",
    why="what it was to do was not done, and will not be",
    what="luckygas job replay {}",
)
def dead(_: Settings) -> Iterator[Found]:
    """Find jobs that failed for good."""
    for _database, (number, task) in rows(
        "SELECT id, task_name FROM procrastinate_jobs WHERE status = 'failed' ORDER BY id"
    ):
        yield Found(f"job {number} ({task}) failed for good", number)


@examines(
    "jobs.waiting",
    why="nobody does it, or one before it does not end",
    what="luckygas-app job list --status todo; journalctl -u luckygas-worker",
)
def waiting(_: Settings) -> Iterator[str]:
    """Find jobs that are long due and not begun."""
    statement = f"""
        SELECT count(*), coalesce(round(extract(epoch FROM now() - min(due)) / 60), 0) FROM (
          SELECT coalesce(scheduled_at, (SELECT min(at) FROM procrastinate_events WHERE job_id = j.id)) AS due
          FROM procrastinate_jobs j WHERE status = 'todo') AS jobs
        WHERE due < now() - interval '{WAITING_SECONDS} s'
    """
    for _database, (count, minutes) in rows(statement):
        if count != "0":
            yield f"waiting: {counted(int(count), 'job')}, the oldest for {counted(int(minutes), 'minute')}"


@examines(
    "backups.beside",
    why="of these a database, or a whole machine, is made anew",
    what="luckygas backups; luckygas backup dump",
)
def beside(_: Settings) -> Iterator[str]:
    """Find work on the backups that did not come to its end, and dumps that are old."""
    view = watch.look(watch.leader(Store(), cluster()))
    yield from (f"{work}: {why}" for work, why in view.record.failures.items())
    if view.backups:
        yield from listing.stale(view, time.time())


@examines(
    "redis.disk",
    why="after a restart it would begin with what is old",
    what="df -h /var/lib/redis; journalctl -u {}",
)
def disk(_: Settings) -> Iterator[Found]:
    """Ask every Redis whether it could write what it keeps."""
    redis = Cluster(Redis.load())
    for server in redis.instances.values():
        with redis.connect(server) as ask:
            told = ask.info()
        for name in ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status"):
            if told.get(name, "ok") != "ok":
                yield Found(f"{server.name}: {name} is {told[name]}", server.unit)
