"""Requests that an outside company sends us: not a key but a signature over the body says who they are."""

import time

from flask import request

from luckygas.access import Principal, Role, Tier
from luckygas.clients.http import SIGNATURE, is_signed
from luckygas.errors import NotFound, Unauthenticated
from luckygas.resources import resources


def signer(partner: str) -> Principal:
    """Return `partner` as a caller if they signed this request just now; nothing of its body is looked at before."""
    account = resources().settings.partners.get(partner)
    if account is None:
        raise NotFound(f"{partner} is not configured here: set LUCKYGAS_{partner.upper()}_URL")
    presented = request.headers.get(SIGNATURE, "")
    if not is_signed(account.secret, request.get_data(), presented, now=time.time()):
        raise Unauthenticated(f"{SIGNATURE} is not {partner}'s signature of this body, made just now")
    # They tell of a whole day's business at once, and may do nothing else.
    return Principal(f"partner:{partner}", Role.SERVICE, scopes=frozenset(), tier=Tier.ENTERPRISE)
