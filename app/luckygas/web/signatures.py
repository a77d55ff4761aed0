"""Requests that an outside company sends us: not a key but a signature over the body says who they are."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request

from luckygas.clients.http import SIGNATURE, is_signed
from luckygas.errors import NotFound, Unauthenticated
from luckygas.resources import resources
from luckygas.web.blueprint import View


def signed(partner: str) -> Callable[[View], View]:
    """Let only requests through that `partner` signed just now, before anything of their body is looked at."""

    def guarded(view: View) -> View:
        @wraps(view)
        def signed_view(*args: Any, **kwargs: Any) -> Any:
            account = resources().settings.partners.get(partner)
            if account is None:
                raise NotFound(f"{partner} is not configured here: set LUCKYGAS_{partner.upper()}_URL")
            presented = request.headers.get(SIGNATURE, "")
            if not is_signed(account.secret, request.get_data(), presented, now=time.time()):
                raise Unauthenticated(f"{SIGNATURE} is not {partner}'s signature of this body, made just now")
            return view(*args, **kwargs)

        signed_view.signed_by = partner
        return signed_view

    return guarded


def signer_of(view: View) -> str | None:
    """Return the company that signs the requests of a registered view, or None."""
    return getattr(view, "signed_by", None)
