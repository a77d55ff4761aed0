# shellcheck shell=bash
# For the benches that have pgbench at work in a converged container:   . tests/bench/pgbench.sh CONTAINER
# PGOPTIONS, where it is exported, holds for its sessions.
benched=$1
secrets=${LUCKYGAS_SECRETS:-$PWD/.sandbox/$benched/secrets}
PGPASSWORD=$(cat "$secrets/database_owner_password")
export PGPASSWORD
pgbench="/usr/lib/postgresql/17/bin/pgbench -h /run/postgresql -U luckygas_owner"

machine() { podman exec --env PGPASSWORD --env PGOPTIONS "$benched" bash -ec "$1"; }

leader() { # primary or primary_port
  machine "luckygas db status --json || true" | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"
}

fill() { # PORT SCALE
  machine "$pgbench -p $1 -q -i -s $2 luckygas" 2>/dev/null
}

tps() { # PORT SECONDS ARGUMENTS: transactions per second
  machine "ulimit -n 16384; $pgbench -p $1 -n -T $2 $3 luckygas 2>&1" |
    awk '/^tps/ {printf "%.0f", $3; found = 1} END {exit !found}'
}

ratio() { awk "BEGIN {printf \"%.2f\", $1 / $2}"; }
