#!/bin/sh
# Managed by Ansible (role base). Debian asks this program before a package script starts or stops a service.
#
# The stateful services are started, restarted and stopped by the appliance alone: a package upgrade would stop
# every PostgreSQL instance within milliseconds. Their upgrades take effect at their next restart. The others may
# be restarted by their packages.
case "$1" in
  postgresql*|pgbouncer*|repmgr*|redis*) exit 101 ;;
esac
exit 0
