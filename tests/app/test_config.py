from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factories import SECRETS
from luckygas.config import MigrationSettings, Settings
from luckygas.environment import SettingsError, without_passwords

type Environ = dict[str, str]


def problems(environ: Environ) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return caught.value.problems


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def good(credentials: Path) -> Environ:
    return {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "LUCKYGAS_DATABASE_URL": "postgresql://luckygas_app@/luckygas?host=/run/postgresql&port=5432",
        "LUCKYGAS_REDIS_URL": "redis://luckygas_app@127.0.0.1:6379/0",
        "LUCKYGAS_CONTACT_EMAIL": "admin@example.tw",
    }


def test_what_is_not_given_has_the_default_of_the_appliance(good: Environ) -> None:
    settings = Settings.from_environ(good)
    assert settings.instance == "local"
    assert settings.timezone.key == "Asia/Taipei"
    assert settings.log_level == "INFO"
    assert (settings.web_workers, settings.web_threads) == (2, 4)


def test_reads_go_where_the_writes_go_unless_they_have_a_place_of_their_own(good: Environ) -> None:
    assert Settings.from_environ(good).read_database_url == good["LUCKYGAS_DATABASE_URL"]
    other = "postgresql://luckygas_app@/luckygas_ro?host=/run/postgresql"
    assert Settings.from_environ(good | {"LUCKYGAS_READ_DATABASE_URL": other}).read_database_url == other


def test_secrets_come_from_files_without_their_line_end(good: Environ) -> None:
    settings = Settings.from_environ(good)
    assert settings.database_password == SECRETS["database_password"]
    assert settings.redis_password == SECRETS["redis_password"]
    assert settings.api_key_pepper == SECRETS["api_key_pepper"]


def test_settings_never_show_their_secrets(good: Environ) -> None:
    shown = repr(Settings.from_environ(good))
    assert "luckygas_app" in shown
    assert not [secret for secret in SECRETS.values() if secret in shown]


def test_all_problems_are_reported_at_once() -> None:
    found = problems({"LUCKYGAS_INSTANCE": "Web A", "LUCKYGAS_WEB_THREADS": "many", "LUCKYGAS_TIMEZONE": "Taipei"})
    names = [problem.split(" is ")[0].split("=")[0].split(":")[0] for problem in found]
    assert names == [
        "LUCKYGAS_DATABASE_URL",
        "credential database_password",
        "LUCKYGAS_REDIS_URL",
        "credential redis_password",
        "credential api_key_pepper",
        "LUCKYGAS_INSTANCE",
        "LUCKYGAS_TIMEZONE",
        "LUCKYGAS_CONTACT_EMAIL",
        "LUCKYGAS_WEB_THREADS",
    ]


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("LUCKYGAS_DATABASE_URL", "", "postgresql://ROLE@/DATABASE"),
        ("LUCKYGAS_DATABASE_URL", "mysql://luckygas_app@/luckygas", "postgresql://ROLE@/DATABASE"),
        ("LUCKYGAS_DATABASE_URL", "postgresql:///luckygas", "names no role"),
        ("LUCKYGAS_DATABASE_URL", "postgresql://luckygas_app@?host=/run", "names no role or no database"),
        ("LUCKYGAS_DATABASE_URL", "postgresql://luckygas_app@/luckygas?hosst=/run", "postgresql://ROLE@/DATABASE"),
        ("LUCKYGAS_REDIS_URL", "127.0.0.1:6379", "redis+sentinel://USER@"),
        ("LUCKYGAS_REDIS_URL", "redis://", "redis+sentinel://USER@"),
        ("LUCKYGAS_REDIS_URL", "redis://127.0.0.1:port/0", "redis+sentinel://USER@"),
        ("LUCKYGAS_REDIS_URL", "redis+sentinel://luckygas_app@127.0.0.1:26379,127.0.0.1:26380", "/NAME"),
        ("LUCKYGAS_REDIS_URL", "redis+sentinel://127.0.0.1:26379/luckygas", "USER@"),
        ("LUCKYGAS_REDIS_URL", "redis+sentinel://luckygas_app@127.0.0.1/luckygas", "USER@127.0.0.1:26379"),
        ("LUCKYGAS_REDIS_URL", "redis+sentinel://luckygas_app@127.0.0.1:0/luckygas", "USER@127.0.0.1:26379"),
        ("LUCKYGAS_INSTANCE", "../a", "lower-case letters and digits"),
        ("LUCKYGAS_TIMEZONE", "Asia/Taibei", "Asia/Taipei"),
        ("LUCKYGAS_TIMEZONE", "../../etc/passwd", "Asia/Taipei"),
        ("LUCKYGAS_LOG_LEVEL", "info", "INFO"),
        ("LUCKYGAS_CONTACT_EMAIL", "nobody", "e-mail"),
        ("LUCKYGAS_WEB_WORKERS", "0", "from 1 to 32"),
        ("LUCKYGAS_WEB_THREADS", "33", "from 1 to 32"),
        ("LUCKYGAS_WEB_THREADS", "٤", "from 1 to 32"),
        ("LUCKYGAS_CORS_ORIGINS", "https://shop.example.tw *", "* is no origin"),
        ("LUCKYGAS_CORS_ORIGINS", "https://shop.example.tw/", "without a path"),
        ("LUCKYGAS_WRITERS_FILE", "writers", "write the whole path"),
        ("LUCKYGAS_TRACES_URL", "collector:4318/v1/traces", "https://HOST:4318/v1/traces"),
        ("LUCKYGAS_TRACES_URL", "https://collector:4318", "with its path"),
        ("LUCKYGAS_TRACES_RATIO", "5%", "from 0 to 1"),
        ("LUCKYGAS_TRACES_RATIO", "1.5", "from 0 to 1"),
        ("LUCKYGAS_TRACES_SLOW_SECONDS", "-1", "from 0 to 3600"),
    ],
)
def test_a_problem_names_the_variable_its_value_and_the_way_out(
    good: Environ, name: str, value: str, way_out: str
) -> None:
    (problem,) = problems(good | {name: value})
    assert problem.startswith(f"{name}={value!r}: ")
    assert way_out in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LUCKYGAS_DATABASE_URL", "postgresql://luckygas_app:hunter2@/luckygas"),
        ("LUCKYGAS_DATABASE_URL", "postgresql://luckygas_app@/luckygas?password=hunter2"),
        ("LUCKYGAS_DATABASE_URL", "postgresql://luckygas_app:hunter2%zz@/luckygas"),
        ("LUCKYGAS_DATABASE_URL", "host=/run dbname=luckygas password='hunter2 b'"),
        ("LUCKYGAS_REDIS_URL", "redis://luckygas_app:hunter2@127.0.0.1:6379/0"),
        ("LUCKYGAS_REDIS_URL", "redis+sentinel://luckygas_app:hunter2@127.0.0.1:26379,127.0.0.1:26380/luckygas"),
        ("LUCKYGAS_REDIS_URL", "redis://:hunter2@127.0.0.1:6379/0"),
        ("LUCKYGAS_REDIS_URL", "unix:///run/redis.sock?password=hunter2"),
        ("LUCKYGAS_TRACES_URL", "https://me:hunter2@collector:4318/v1/traces"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(good: Environ, name: str, value: str) -> None:
    (problem,) = problems(good | {name: value})
    assert problem.startswith(name)
    assert "hunter2" not in problem


@given(st.text())
@example("p@ss:w/rd")
def test_whatever_a_password_looks_like_it_is_masked(password: str) -> None:
    assert without_passwords(f"redis://app:{password}@127.0.0.1:6379/0") == "redis://app:***@127.0.0.1:6379/0"


@given(st.from_regex(r"[^&\s'/][^&\s/]*", fullmatch=True))
def test_a_password_among_the_options_is_masked_as_well(password: str) -> None:
    assert (
        without_passwords(f"unix:///run/redis.sock?password={password}&db=0")
        == "unix:///run/redis.sock?password=***&db=0"
    )


@pytest.mark.parametrize("name", ["database_password", "redis_password", "api_key_pepper"])
def test_a_missing_credential_is_named_with_its_place(good: Environ, credentials: Path, name: str) -> None:
    (credentials / name).unlink()
    (problem,) = problems(good)
    assert problem == (
        f"credential {name}: {credentials / name}: No such file or directory: give the unit LoadCredential={name}:PATH"
    )


def test_a_credential_that_is_no_text_is_named(good: Environ, credentials: Path) -> None:
    (credentials / "redis_password").write_bytes(b"\xff\xfe")
    (problem,) = problems(good)
    assert "not UTF-8 text" in problem


def test_an_empty_password_and_a_short_pepper_are_refused_without_being_shown(good: Environ, credentials: Path) -> None:
    (credentials / "database_password").write_text("\n", encoding="utf-8")
    (credentials / "api_key_pepper").write_text("salt-and-pepper\n", encoding="utf-8")
    password, pepper = problems(good)
    assert password.endswith("has 0 characters: it takes at least 1")
    assert pepper.endswith("has 15 characters: it takes at least 32")
    assert "salt" not in pepper


def test_the_owner_has_settings_of_its_own(good: Environ) -> None:
    url = "postgresql://luckygas_owner@/luckygas?host=/run/postgresql"
    settings = MigrationSettings.from_environ(good | {"LUCKYGAS_MIGRATION_DATABASE_URL": url})
    assert settings.database_url == url
    assert settings.database_password == SECRETS["database_owner_password"]
    assert settings.database_password not in repr(settings)


def test_a_missing_variable_is_named_with_an_example(good: Environ) -> None:
    del good["LUCKYGAS_REDIS_URL"]
    (problem,) = problems(good)
    assert (
        problem
        == "LUCKYGAS_REDIS_URL is not set: give it a value such as redis+sentinel://USER@127.0.0.1:26379,127.0.0.1:26380/NAME"
    )


@pytest.mark.parametrize("url", ["sms.example.tw", "ftp://lucky@sms.example.tw", "https://lucky:secret@sms.example.tw"])
def test_a_company_has_a_url_without_a_password(environ: dict[str, str], url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ | {"LUCKYGAS_SMS_URL": url})
    assert "LUCKYGAS_SMS_URL" in str(caught.value)
    assert "lucky:secret" not in str(caught.value)


def test_a_company_needs_its_credential(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="credential sms_secret"):
        Settings.from_environ(environ | {"LUCKYGAS_SMS_URL": "https://lucky@sms.example.tw"})
    assert Settings.from_environ(environ | {"LUCKYGAS_SMS_URL": ""}).partners == {}
