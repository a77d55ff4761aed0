"""What is asked of each dependency. An answer is a reason in words that may be public, or None if all is well."""

import logging

import redis
from redis.sentinel import MasterNotFoundError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from luckygas.db.engine import StandbyBehind
from luckygas.db.migrate import current_revision, known_revisions
from luckygas.resources import Resources

logger = logging.getLogger(__name__)


def check_database(engine: Engine) -> str | None:
    """Ask one entry to the database for its schema's revision, over the connections that requests use."""
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
    except StandbyBehind as behind:
        return f"the standby is behind: {behind}"
    except PoolTimeoutError:
        return "all connections are busy"
    except ProgrammingError:
        logger.warning("the schema cannot be read", exc_info=True)
        return "the schema cannot be read by this role"
    except DBAPIError as error:
        logger.warning("the database does not answer", extra={"reason": str(error.orig)})
        return "no connection"
    return _lack_of(revision)


def check_redis(resources: Resources) -> str | None:
    """Ask Redis for a sign of life."""
    try:
        resources.redis.ping()
    except redis.AuthenticationError:
        return "it refuses the password"
    except MasterNotFoundError as error:
        logger.warning("no sentinel names a master of Redis", extra={"reason": str(error)})
        return "no sentinel names a master"
    except redis.TimeoutError:
        return "no answer"
    except redis.RedisError as error:
        logger.warning("redis does not answer", extra={"reason": str(error)})
        return "no connection"
    return None


def _lack_of(revision: str | None) -> str | None:
    if revision is None:
        return "the schema is missing: run luckygas-app migrate"
    head, *older = known_revisions()
    if revision in older:
        return f"the schema is at {revision}, this release needs {head}: run luckygas-app migrate"
    # A revision that is not known here belongs to a newer release, which keeps what this one needs.
    return None


def check_partners(resources: Resources) -> str | None:
    """Tell which outside companies are left alone for now, since they failed too often."""
    waits = {partner.name: partner.breaker.seconds_until_retry() for partner in resources.clients.all()}
    return (
        "; ".join(f"{name} is tried again in {wait:.0f} s" for name, wait in waits.items() if wait is not None) or None
    )
