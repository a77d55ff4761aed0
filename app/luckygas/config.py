"""Settings: plain values from the environment, secrets from files, all problems reported together.

A unit gives the values by `EnvironmentFile=` and each secret by `LoadCredential=`, which systemd serves as a file in
`$CREDENTIALS_DIRECTORY`. Nothing here has a secret's value in its repr or in a message.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from psycopg.conninfo import conninfo_to_dict

from luckygas import redis_client
from luckygas.clients import BREAKERS
from luckygas.clients.http import Account
from luckygas.environment import Reader
from luckygas.suspicion.subjects import Trusted

_PEPPER_MINIMUM: Final = 32
_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_DATABASE_EXAMPLE: Final = "postgresql://ROLE@/DATABASE?host=/run/postgresql&port=5432"
_REDIS_EXAMPLE: Final = "redis+sentinel://USER@127.0.0.1:26379,127.0.0.1:26380/NAME"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the running service needs to know. URLs never hold a password."""

    database_url: str
    read_database_url: str
    database_password: str = field(repr=False)
    redis_url: str
    redis_password: str = field(repr=False)
    api_key_pepper: str = field(repr=False)
    instance: str
    timezone: ZoneInfo
    log_level: str
    contact_email: str
    web_instances: int
    web_workers: int
    web_threads: int
    depot_address: str
    partners: Mapping[str, Account]
    cors_origins: Sequence[str]
    trusted_clients: Trusted
    writers_file: Path | None
    traces_url: str
    traces_ratio: float
    traces_slow_seconds: float

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read everything, or raise one `SettingsError` that names every problem."""
        read = Reader(environ)
        database_url = read.required("LUCKYGAS_DATABASE_URL", _database_url, example=_DATABASE_EXAMPLE)
        settings = cls(
            database_url=database_url,
            # Where there are no standbys, all reads go where the writes go.
            read_database_url=read.optional("LUCKYGAS_READ_DATABASE_URL", _database_url, default=database_url)
            if "LUCKYGAS_READ_DATABASE_URL" in environ
            else database_url,
            database_password=read.secret("database_password"),
            redis_url=read.required("LUCKYGAS_REDIS_URL", _redis_url, example=_REDIS_EXAMPLE),
            redis_password=read.secret("redis_password"),
            api_key_pepper=read.secret("api_key_pepper", minimum_length=_PEPPER_MINIMUM),
            instance=read.optional("LUCKYGAS_INSTANCE", _instance, default="local"),
            timezone=read.optional("LUCKYGAS_TIMEZONE", _timezone, default="Asia/Taipei"),
            log_level=read.optional("LUCKYGAS_LOG_LEVEL", _log_level, default="INFO"),
            contact_email=read.required("LUCKYGAS_CONTACT_EMAIL", _email, example="admin@example.tw"),
            web_instances=read.optional("LUCKYGAS_WEB_INSTANCES", _between(1, 32), default="2"),
            web_workers=read.optional("LUCKYGAS_WEB_WORKERS", _between(1, 32), default="2"),
            web_threads=read.optional("LUCKYGAS_WEB_THREADS", _between(1, 32), default="4"),
            depot_address=read.optional("LUCKYGAS_DEPOT_ADDRESS", str, default=""),
            partners=_partners(read),
            cors_origins=read.optional("LUCKYGAS_CORS_ORIGINS", _origins, default=""),
            trusted_clients=read.optional("LUCKYGAS_TRUSTED_CLIENTS", Trusted.parse, default=""),
            writers_file=read.optional("LUCKYGAS_WRITERS_FILE", _file, default=""),
            traces_url=read.optional("LUCKYGAS_TRACES_URL", _collector_url, default=""),
            traces_ratio=read.optional("LUCKYGAS_TRACES_RATIO", _decimal(1), default="0.01"),
            traces_slow_seconds=read.optional("LUCKYGAS_TRACES_SLOW_SECONDS", _decimal(3600), default="1"),
        )
        read.finish()
        return settings


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationSettings:
    """How the schema's owner connects, straight to PostgreSQL; the running service has neither of the two."""

    database_url: str
    database_password: str = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read everything, or raise one `SettingsError` that names every problem."""
        read = Reader(environ)
        settings = cls(
            database_url=read.required("LUCKYGAS_MIGRATION_DATABASE_URL", _database_url, example=_DATABASE_EXAMPLE),
            database_password=read.secret("database_owner_password"),
        )
        read.finish()
        return settings


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """How the worker connects: with the service's own role, but past the pool, since it listens."""

    database_url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read everything, or raise one `SettingsError` that names every problem."""
        read = Reader(environ)
        settings = cls(
            database_url=read.required("LUCKYGAS_WORKER_DATABASE_URL", _database_url, example=_DATABASE_EXAMPLE)
        )
        read.finish()
        return settings


def _partners(read: Reader) -> dict[str, Account]:
    """Read how each outside company is reached; one without a URL is not used."""
    urls = {name: read.optional(f"LUCKYGAS_{name.upper()}_URL", _partner_url, default="") for name in BREAKERS}
    return {name: Account(url=url, secret=read.secret(f"{name}_secret")) for name, url in urls.items() if url}


def _partner_url(text: str) -> str:
    way_out = "write it as https://ACCOUNT@HOST/PATH"
    try:
        url = urlsplit(text)
        has_password = url.password is not None
    except ValueError:
        raise ValueError(way_out) from None
    if text and (url.scheme not in {"http", "https"} or not url.hostname):
        raise ValueError(way_out)
    if has_password:
        raise ValueError("it holds a password: take it out, the company's credential has it")
    return text


def _collector_url(text: str) -> str:
    if text and re.fullmatch(r"https?://[^\s/@]+/\S+", text) is None:
        raise ValueError("write it with its path and without a password, as https://HOST:4318/v1/traces")
    return text


def _database_url(text: str) -> str:
    way_out = f"write it as {_DATABASE_EXAMPLE}"
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError(way_out)
    try:
        parts = conninfo_to_dict(text)
    except psycopg.Error:
        # The driver's message would quote the part that it cannot read, which may be a password.
        raise ValueError(way_out) from None
    if "password" in parts:
        raise ValueError("it holds a password: take it out, the credential of the same role has it")
    if not parts.get("user") or not parts.get("dbname"):
        raise ValueError(f"it names no role or no database: {way_out}")
    return text


def _redis_url(text: str) -> str:
    way_out = f"write it as {_REDIS_EXAMPLE}"
    try:
        url = urlsplit(text)
        secret = url.password or "password" in parse_qs(url.query)
        match url.scheme:
            case redis_client.SCHEME:
                has_place = bool(redis_client.Place.of(text))
            case "redis":
                has_place = bool(url.hostname) and url.port != 0
            case scheme:
                has_place = scheme == "unix"
    except ValueError:
        raise ValueError(way_out) from None
    if not has_place:
        raise ValueError(way_out)
    if secret:
        raise ValueError("it holds a password: take it out, the credential redis_password has it")
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.split())
    for origin in origins:
        # Exactly what a browser sends: an origin in any other form would never match.
        if re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin) is None:
            raise ValueError(f"{origin} is no origin: write https://HOST, in small letters and without a path")
    return origins


def _file(text: str) -> Path | None:
    if text and not text.startswith("/"):
        raise ValueError("write the whole path, such as /run/luckygas-web/writers")
    return Path(text) if text else None


def _instance(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]{1,16}", text) is None:
        raise ValueError("a name of 1 to 16 lower-case letters and digits, such as a")
    return text


def _timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone: write a name such as Asia/Taipei") from None


def _log_level(text: str) -> str:
    if text not in _LOG_LEVELS:
        raise ValueError(f"no such level: write one of {', '.join(_LOG_LEVELS)}")
    return text


def _email(text: str) -> str:
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text) is None:
        raise ValueError("not an e-mail address: give the one that users of the API may write to")
    return text


def _decimal(highest: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}([.][0-9]{1,9})?", text) or float(text) > highest:
            raise ValueError(f"write a number from 0 to {highest}, such as 0.5")
        return float(text)

    return parse


def _between(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"write a whole number from {lowest} to {highest}")
        return int(text)

    return parse
