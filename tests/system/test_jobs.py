"""A job takes effect once, whatever happens to its worker or to the database while it is at it.

The job is the queue's own upkeep. What it deletes from is made slow, and to note each run in the run's own transaction,
so what was committed can be counted.
"""

import pytest
from machine import seconds_until, wait_until

SLOW = """
CREATE TABLE IF NOT EXISTS job_effects (at timestamptz DEFAULT clock_timestamp());
TRUNCATE job_effects;
CREATE OR REPLACE FUNCTION slow_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
'BEGIN INSERT INTO public.job_effects DEFAULT VALUES; PERFORM pg_sleep(6); RETURN NULL; END';
CREATE OR REPLACE TRIGGER slow_effect AFTER DELETE ON finished_jobs FOR EACH STATEMENT EXECUTE FUNCTION slow_effect();
"""
ENQUEUE = """
SELECT procrastinate_defer_jobs_v1(
    ARRAY[ROW('default', 'jobs.forget', 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1])
"""
AT_IT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'luckygas-worker' AND wait_event = 'PgSleep'"
# In one call: it is in its middle for six seconds, which a look from outside may take as well.
BEGIN = """
ask() {{ psql -XAtq -v ON_ERROR_STOP=1 -h /run/postgresql -p {port} -U postgres -d luckygas -c "$1"; }}
ask "{enqueue}" >/dev/null
for _ in $(seq 300); do
  [ "$(ask "{at_it}")" = 1 ] && exit
  sleep 0.1
done
echo "the job is not under way"
exit 1
"""


@pytest.fixture
def job_under_way(machine):
    """Return the machine with one job in its middle."""
    machine.wait_until_whole()
    machine.on_primary(SLOW)
    wait_until(lambda: "alive" in machine.run("luckygas-app job worker", check=False), "a worker")
    try:
        machine.run(BEGIN.format(port=machine.port(machine.primary()), enqueue=ENQUEUE, at_it=AT_IT))
        yield machine
    finally:
        machine.wait_until_whole()
        machine.on_primary(
            "DROP TRIGGER slow_effect ON finished_jobs; DROP FUNCTION slow_effect; DROP TABLE job_effects", check=False
        )


def assert_it_takes_effect_once(machine):
    left = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'jobs.forget'"
    seconds = seconds_until(lambda: machine.on_primary(left, check=False) == "0", "the job to be done", 120)
    print(f"the job was done {seconds:.1f} s later")
    assert machine.on_primary("SELECT count(*) FROM job_effects", check=False) == "1"


def test_a_worker_that_is_killed_in_the_middle(job_under_way):
    job_under_way.run("kill -9 $(systemctl show --value --property=MainPID luckygas-worker.service)")
    assert_it_takes_effect_once(job_under_way)


def test_a_database_that_fails_over_in_the_middle(job_under_way):
    port = job_under_way.port(job_under_way.primary())
    job_under_way.run(f"kill -9 $(head -1 /run/postgresql/.s.PGSQL.{port}.lock)")
    assert_it_takes_effect_once(job_under_way)
