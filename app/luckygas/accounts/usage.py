"""Who used which key, how often and from where: counted in memory, written down together.

A process that is killed takes with it what it counted since it last wrote.
"""

import ipaddress
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from luckygas.accounts.models import ApiKey, KeyNetwork, KeyUse

INTERVAL_SECONDS: Final = 10
NETWORKS_KEPT_FOR: Final = timedelta(days=90)

# As much as a provider usually gives to one place: a new address in it is nothing new.
_BITS: Final = {4: 24, 6: 48}
_FORGOTTEN_AT_ONCE: Final = 100

logger = logging.getLogger(__name__)


class UseCounter:
    """What one process counted and did not write down yet."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, date]] = Counter()
        self._refused: Counter[tuple[str, date]] = Counter()
        self._networks: dict[tuple[str, str], datetime] = {}
        self._last: dict[str, datetime] = {}
        self._macs: dict[str, tuple[bytes, bytes]] = {}

    def note(self, key_id: str, *, now: datetime, today: date, address: str | None = None) -> None:
        """Count one request that came from `address`."""
        network = wide_network_of(address)
        with self._lock:
            self._requests[key_id, today] += 1
            self._last[key_id] = now
            if network is not None:
                self._networks[key_id, network] = now

    def note_refused(self, key_id: str, *, today: date) -> None:
        """Count that a request, which was counted already, was refused."""
        with self._lock:
            self._refused[key_id, today] += 1

    def note_mac(self, key_id: str, *, had: bytes, mac: bytes) -> None:
        """Remember by what to recognise a key of which we `had` another one: its pepper was replaced."""
        if mac != had:
            with self._lock:
                self._macs[key_id] = had, mac

    def write(self, sessions: sessionmaker[Session]) -> None:
        """Write down what was counted, in a transaction of its own; what cannot be written is kept for later."""
        with self._lock:
            requests, self._requests = self._requests, Counter()
            refused, self._refused = self._refused, Counter()
            networks, self._networks = self._networks, {}
            last, self._last = self._last, {}
            macs, self._macs = self._macs, {}
        if not (requests or refused or macs):
            return
        try:
            with sessions.begin() as session:
                record(session, requests=requests, refused=refused, last=last)
                record_networks(session, networks=networks)
                record_macs(session, macs=macs)
        except SQLAlchemyError as error:
            logger.warning("the use of keys is written down later", extra={"reason": str(error.__cause__ or error)})
            with self._lock:
                self._requests.update(requests)
                self._refused.update(refused)
                self._networks = networks | self._networks
                self._last = last | self._last
                self._macs = macs | self._macs

    def keep_writing(self, sessions: sessionmaker[Session]) -> None:
        """Write every few seconds, in a thread that does not keep the process from ending."""

        def write_on() -> None:
            pause = threading.Event()
            while not pause.wait(INTERVAL_SECONDS):
                self.write(sessions)

        threading.Thread(target=write_on, name="key-uses", daemon=True).start()


@lru_cache(maxsize=1024)
def wide_network_of(address: str | None) -> str | None:
    """Return the network that `address` is in; None is this machine itself."""
    if not address:
        return None
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return None
    return str(ipaddress.ip_network((parsed, _BITS[parsed.version]), strict=False))


def record(
    session: Session,
    *,
    requests: Counter[tuple[str, date]],
    refused: Counter[tuple[str, date]],
    last: dict[str, datetime],
) -> None:
    """Add to what is stored; always in the same order, since two processes may do so at once."""
    # After the database was set back to a moment of the past, a key that was used may not be there any more.
    used = {key_id for key_id, _ in requests | refused}
    known = set(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(used))))
    days = sorted(day for day in requests | refused if day[0] in known)
    if not days:
        return
    rows = [{"key_id": day[0], "day": day[1], "requests": requests[day], "refused": refused[day]} for day in days]
    statement = insert(KeyUse)
    added = {
        "requests": KeyUse.requests + statement.excluded.requests,
        "refused": KeyUse.refused + statement.excluded.refused,
    }
    session.execute(statement.on_conflict_do_update(constraint=KeyUse.__table__.primary_key, set_=added), rows)
    for key_id in sorted(known & last.keys()):
        # It is null at first, and greatest() takes what is there.
        latest = func.greatest(ApiKey.last_used_at, last[key_id])
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=latest),
            execution_options={"synchronize_session": False, "unlogged": "it only says when it was used"},
        )


def record_macs(session: Session, *, macs: dict[str, tuple[bytes, bytes]]) -> None:
    """Have keys be recognised by what the present pepper makes of them."""
    for key_id, (had, mac) in sorted(macs.items()):
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id, ApiKey.secret_mac == had).values(secret_mac=mac),
            execution_options={"synchronize_session": False, "unlogged": "the secret is the same"},
        )


def record_networks(session: Session, *, networks: dict[tuple[str, str], datetime]) -> None:
    """Note from where keys were used, and forget where none was used from for long."""
    known = set(session.scalars(select(ApiKey.id).where(ApiKey.id.in_({key_id for key_id, _ in networks}))))
    rows = [
        {"key_id": key_id, "network": network, "first_at": at, "last_at": at}
        for (key_id, network), at in sorted(networks.items())
        if key_id in known
    ]
    if not rows:
        return
    statement = insert(KeyNetwork)
    latest = func.greatest(KeyNetwork.last_at, statement.excluded.last_at)
    session.execute(
        statement.on_conflict_do_update(constraint=KeyNetwork.__table__.primary_key, set_={"last_at": latest}), rows
    )
    old = select(KeyNetwork.key_id, KeyNetwork.network).where(
        KeyNetwork.key_id.in_(known), KeyNetwork.last_at < max(networks.values()) - NETWORKS_KEPT_FOR
    )
    old = old.limit(_FORGOTTEN_AT_ONCE).with_for_update(skip_locked=True)
    session.execute(delete(KeyNetwork).where(tuple_(KeyNetwork.key_id, KeyNetwork.network).in_(old)))


def of_key(session: Session, *, key_id: str, since: date) -> Sequence[KeyUse]:
    """Return the days since `since` on which a key was used, the newest first."""
    days = select(KeyUse).where(KeyUse.key_id == key_id, KeyUse.day >= since)
    return session.scalars(days.order_by(KeyUse.day.desc())).all()


def networks_of_key(session: Session, *, key_id: str) -> Sequence[KeyNetwork]:
    """Return from where a key was used, the newest place first."""
    places = select(KeyNetwork).where(KeyNetwork.key_id == key_id)
    return session.scalars(places.order_by(KeyNetwork.first_at.desc())).all()
