"""Decides what follows from what is held against a client, and says so: in the audit log, in figures, to the kernel."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from luckygas.audit import recording
from luckygas.audit.actor import Actor
from luckygas.errors import Problem
from luckygas.instruments import DECISIONS, OFFENCES
from luckygas.resources import Resources
from luckygas.suspicion import kernel
from luckygas.suspicion.scores import HALF_LIFE_SECONDS, Held, Offence, Scores
from luckygas.suspicion.standings import Level, Standings
from luckygas.suspicion.subjects import network_in

SLOWED_AT, CHALLENGED_AT, BLOCKED_AT = 9.5, 19, 28
"""The scores from which on somebody is slowed, told to wait, blocked: one, two, three attacks, which decay at once."""
SLOWED_FACTOR: Final = 4
"""How many times what it cost a request costs whoever is slowed."""
CHALLENGED_SECONDS: Final = 30
BLOCKED_SECONDS: Final = 900
LONGEST_BLOCK_SECONDS: Final = 86_400

ENTITY: Final = "clients"
"""Whom the entries of the audit log are about that tell of a decision."""

logger = logging.getLogger(__name__)

for _level in Level:
    DECISIONS.labels(_level)  # from 0 on, since Prometheus sees no increase in the first figure that there is


class Challenged(Problem):
    """So much is held against the caller that they have to wait, and are blocked if they do not."""

    status, code, title = 429, "challenged", "Wait as long as this says, or be blocked"


class Blocked(Problem):
    """So much is held against the caller that nothing of theirs is answered for a while."""

    status, code, title = 403, "blocked", "The caller is blocked for a while"


class Watch:
    """What one process knows and decides of all clients."""

    def __init__(self, resources: Resources) -> None:
        """Prepare; nothing is asked before the first offence."""
        self._sessions = resources.sessions
        self._trusted = resources.settings.trusted_clients
        self._contact = resources.settings.contact_email
        self._scores = Scores(resources.volatile)
        self.standings = Standings(resources.volatile)

    def admit(self, subject: str) -> int:
        """Return by how much `subject` pays more than others, or raise what keeps them out. Asks nobody."""
        standing = self.standings.of(subject)
        if standing is None or subject in self._trusted:
            return 1
        if standing.level is Level.SLOWED:
            return SLOWED_FACTOR
        seconds, headers = standing.seconds, {"Retry-After": str(standing.seconds)}
        if standing.level is Level.CHALLENGED:
            raise Challenged(
                f"too much that came from you looks like an attack: send nothing for {seconds} seconds", headers=headers
            )
        raise Blocked(
            f"what came from {subject} looked like an attack: it is blocked for {seconds} seconds more; "
            f"{self._contact} can lift that",
            headers=headers,
        )

    def note(self, subject: str, offence: Offence, *, actor: Actor) -> None:
        """Hold `offence` against `subject`, and decide what follows. `actor` is whose request it was."""
        OFFENCES.labels(offence.reason).inc()
        if subject in self._trusted or (held := self._scores.add(subject, offence)) is None:
            return
        if held.score >= BLOCKED_AT:
            level, seconds = Level.BLOCKED, min(BLOCKED_SECONDS * 2**held.blocks, LONGEST_BLOCK_SECONDS)
        elif held.score >= CHALLENGED_AT:
            level, seconds = Level.CHALLENGED, CHALLENGED_SECONDS
        elif held.score >= SLOWED_AT:
            level, seconds = Level.SLOWED, HALF_LIFE_SECONDS
        else:
            return
        standing = self.standings.of(subject)
        # Each process comes to the same conclusion; the first one to say so tells of it.
        if (standing is None or level.exceeds(standing.level)) and self.standings.put(subject, level, seconds):
            self._tell(subject, level, seconds, held, actor)

    def _tell(self, subject: str, level: Level, seconds: int, held: Held, actor: Actor) -> None:
        if level is Level.BLOCKED:
            self._scores.note_block(subject)
            tell_kernel(subject, seconds=seconds, reason=str(held))
        details = {"score": round(held.score, 1), "because": str(held), "seconds": seconds}
        logger.warning("a client was %s", level, extra={"subject": subject, **details})
        DECISIONS.labels(level).inc()
        try:
            with self._sessions.begin() as session:
                # The service decides, whoever's request was the last straw.
                by = Actor("service:luckygas-web", origin=actor.origin, request_id=actor.request_id)
                session.info[recording.ACTOR] = lambda: by
                note_decision(session, subject, decision=level, details=details)
        except SQLAlchemyError as error:
            logger.warning("a decision could not be logged", extra={"reason": str(error.__cause__ or error)})

    def block(self, session: Session, subject: str, *, seconds: int, reason: str) -> None:
        """Block `subject` because somebody says so."""
        self.standings.put(subject, Level.BLOCKED, seconds, again=True)
        tell_kernel(subject, seconds=seconds, reason=reason)
        note_decision(session, subject, decision=Level.BLOCKED, details={"because": reason, "seconds": seconds})

    def lift(self, session: Session, subject: str, *, reason: str) -> bool | None:
        """Let `subject` in again, with nothing held against it; None: Redis does not say whether it was kept out."""
        lifted = self.standings.lift(subject)
        self._scores.forget(subject)
        tell_kernel(subject, seconds=0, reason=reason)
        if lifted:
            note_decision(session, subject, decision="lifted", details={"because": reason})
        return lifted


def tell_kernel(subject: str, *, seconds: int, reason: str) -> None:
    """Have the kernel block, or let in again, what is an address; keys and persons it does not know."""
    if (network := network_in(subject)) is not None:
        kernel.tell(network, seconds=seconds, reason=reason)


def note_decision(session: Session, subject: str, *, decision: str, details: Mapping[str, Any]) -> None:
    """Log a decision about `subject`, with what explains it."""
    recording.note(session, action=f"client_{decision}", entity=ENTITY, entity_id=subject, details=details)
