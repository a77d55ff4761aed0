import time

import pytest
from redis import ConnectionError as AwayError
from redis import Redis

from luckygas.volatile import REST_SECONDS, Volatile


def test_redis_is_asked_while_it_is_there_and_left_alone_for_a_while_after_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    answers = iter([AwayError("away"), 3])

    def question(_redis: Redis) -> int:
        asked.append(1)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    volatile = Volatile(Redis())
    assert [volatile.ask(question, otherwise=0) for _ in range(3)] == [0, 0, 0]
    assert len(asked) == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + REST_SECONDS)
    assert volatile.ask(question, otherwise=0) == 3
