from collections.abc import Callable

import pytest
from flask import Flask, request

from luckygas.access import PUBLIC
from luckygas.app import create_app
from luckygas.web.blueprint import Blueprint


def test_without_settings_it_takes_those_of_the_environment(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (environ | {"LUCKYGAS_INSTANCE": "b"}).items():
        monkeypatch.setenv(name, value)
    assert create_app().test_client().get("/healthz").json["instance"] == "b"


def test_the_caller_is_who_nginx_says_and_nobody_further_out(app_with: Callable[..., Flask]) -> None:
    blueprint = Blueprint("who", __name__, enable_openapi=False)

    @blueprint.get("/who", auth=PUBLIC)
    def who() -> str:
        return f"{request.remote_addr} {request.url}"

    app = app_with()
    app.register_blueprint(blueprint)
    headers = {
        "X-Forwarded-For": "203.0.113.9, 192.0.2.1",
        "X-Forwarded-Proto": "https",
        "Host": "api.luckygas.tw",
    }
    # Over a unix socket there is no address of the other side.
    response = app.test_client().get("/who", headers=headers, environ_overrides={"REMOTE_ADDR": ""})
    assert response.text == "192.0.2.1 https://api.luckygas.tw/who"


def test_a_route_cannot_be_made_without_saying_who_may_use_it() -> None:
    with pytest.raises(TypeError, match="auth"):
        Blueprint("open", __name__).get("/open")(lambda: "")
