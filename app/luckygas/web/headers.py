"""What answers tell browsers to refuse: the list of OWASP's Secure Headers Project, and who may call from other sites.

`Strict-Transport-Security` is missing here, since nginx ends TLS; nginx also gives the others to answers of its own.
"""

from typing import Final

from flask import Flask, Response, request

from luckygas.resources import Resources

COMMON: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), "
    "fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), "
    "picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(), usb=(), "
    "web-share=(), xr-spatial-tracking=()",
}
DATA_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_ALLOWED_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-ID"
)
_SHOWN_HEADERS: Final = "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_PREFLIGHT_SECONDS: Final = "600"


def register(app: Flask) -> None:
    """Add the headers to every answer of `app`."""
    origins = frozenset(Resources.of(app).settings.cors_origins)

    def add(response: Response) -> Response:
        for name, value in COMMON.items():
            response.headers.setdefault(name, value)
        response.headers["Content-Security-Policy"] = _policy(response)
        if origins:
            _share(response, origins)
        return response

    app.after_request(add)


def _policy(response: Response) -> str:
    return PAGE_POLICY if response.mimetype == "text/html" else DATA_POLICY


def _share(response: Response, origins: frozenset[str]) -> None:
    """Let pages of these origins call the API by a key; the cookie of a session never comes from there."""
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    else:
        response.headers["Access-Control-Expose-Headers"] = _SHOWN_HEADERS
