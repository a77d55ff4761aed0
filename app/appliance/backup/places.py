"""Where things lie, and what they are called."""

from pathlib import Path

STANZA = "luckygas"
REPOSITORY = Path("/var/lib/pgbackrest")
STATE_DIRECTORY = Path("/var/lib/luckygas/backup")
METRICS_FILE = Path("/var/lib/prometheus/node-exporter/luckygas_backup.prom")
SCRATCH = Path("/var/lib/postgresql/scratch")  # beside the instances' data, so that a restored directory only moves
SEGMENT_BYTES = 16 << 20
KEPT = Path("/var/lib/postgresql/before-restore-")  # and the time: what a restore put aside
FETCHED = Path("/var/lib/pgbackrest-fetched")  # a repository that was brought back from a bucket
SEALED = Path("/var/lib/luckygas/sealed")  # dumps and the configuration, encrypted
ANSWERS = Path("/var/lib/luckygas/answers")  # the operator's, and the secrets: by these the machine was made
PASSPHRASE_FILE = Path("/etc/luckygas/backup_passphrase")
