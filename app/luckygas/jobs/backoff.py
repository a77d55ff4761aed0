"""When a job that failed is tried again: soon at first, then ever later, for about a day in all."""

import random
from typing import Final, override

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from luckygas.errors import Hopeless

MOST_ATTEMPTS: Final = 24
_FIRST_SECONDS: Final = 4
_LONGEST_SECONDS: Final = 2 * 3600


class BackOff(BaseRetryStrategy):
    """Doubles the wait with each attempt, with some chance in it so that not all come back at once."""

    @override
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, Hopeless) or job.attempts + 1 >= MOST_ATTEMPTS:
            return None
        return RetryDecision(retry_in={"seconds": wait_seconds(job.attempts)})


def wait_seconds(attempts: int) -> int:
    """Return how long to wait after an attempt that failed, when `attempts` failed before it."""
    wait = min(_FIRST_SECONDS * 2 ** min(attempts, 20), _LONGEST_SECONDS)
    return int(wait * random.uniform(0.75, 1.25))  # noqa: S311 - nothing secret
