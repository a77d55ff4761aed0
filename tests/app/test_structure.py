"""How the service's code hangs together, read from its source; needs no server.

It stands here and not with the contract tests since those run on any Python that a host has, and older ones cannot
read this code.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "app" / "luckygas"
DOMAINS = ["accounts", "billing", "customers", "cylinders", "deliveries", "drivers", "ledger", "orders", "predictions"]
# What a module of a domain may import of its own domain: the arrows point from the edge inwards.
INWARDS = {
    "models": set(),
    "keys": set(),
    "prices": {"models", "schemas"},
    "sequence": set(),
    "bills": {"models", "schemas"},
    "invoices": {"models", "schemas_partners"},
    "days": {"models"},
    "sums": {"models", "days"},
    "closing": {"invoices", "schemas_closings"},
    "schemas_closings": set(),
    "api_closings": {"closing", "schemas_closings"},
    "bank": {"models", "schemas_partners"},
    "api_partners": {"models", "schemas_partners", "invoices", "bank"},
    "bookings": {"models"},
    "forecast": set(),
    "suggestions": {"models", "schemas"},
    "lists": {"models", "schemas"},
    "jobs": {"service", "bills", "invoices", "bank", "sums"},
    "passwords": set(),
    "totp": set(),
    "schemas": {"models", "passwords"},
    "sessions": {"models"},
    "login": {"models", "schemas", "passwords", "totp", "sessions"},
    "people": {"models", "schemas", "passwords", "totp", "sessions"},
    "service": {
        "models",
        "schemas",
        "keys",
        "prices",
        "sequence",
        "bills",
        "bookings",
        "invoices",
        "days",
        "sums",
        "bank",
        "forecast",
    },
    "usage": {"models"},
    "remarks": {"models"},
    "schemas_keys": {"models"},
    "schemas_partners": {"models"},
    "callers": {"service", "sessions", "usage"},
    "cli": {"people", "service", "usage", "models", "schemas"},
    "api_keys": {"service", "usage", "schemas_keys", "keys"},
    "api": {"service", "schemas", "models", "prices", "bills", "lists", "suggestions"},
    "api_csv": {"api", "service", "schemas", "models"},
    "api_me": {"login", "people", "sessions", "totp", "schemas", "models"},
    "api_people": {"people", "sessions", "schemas", "models"},
}
SERVICES = {
    "service.py",
    "prices.py",
    "people.py",
    "login.py",
    "sessions.py",
    "bills.py",
    "invoices.py",
    "bank.py",
    "days.py",
    "sums.py",
    "closing.py",
    "lists.py",
    "remarks.py",
    "suggestions.py",
}
# What is meant to be used from anywhere must not know who uses it.
COMMON = [
    "access",
    "audit",
    "cache",
    "clients",
    "config",
    "environment",
    "errors",
    "instruments",
    "jobs",
    "resources",
    "taiwan",
    "version",
    "suspicion",
    "volatile",
    "db",
    "ops",
    "web",
]
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a module imports of the package: `from luckygas.orders import service` as ("orders", "service")."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *parts = name.split(".")
            if first == "luckygas":
                yield tuple(parts)


def test_the_domains_are_those_that_these_rules_know() -> None:
    assert sorted(path.parts[0] for path in MODULES if path.name == "models.py" and len(path.parts) == 2) == DOMAINS


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] in DOMAINS], ids=str)
def test_a_domain_imports_inwards_and_only_the_service_of_another(path: Path) -> None:
    domain = path.parts[0]
    for package, *parts in imports(path):
        if package == domain:
            assert parts[0] in INWARDS[path.stem], f"{path} imports its own {parts[0]}"
        elif package in DOMAINS:
            assert path.name in SERVICES, f"{path} imports {package}.{parts[0]}"
            assert parts[0] == "service", f"{path} imports {package}.{parts[0]}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0].removesuffix(".py") in COMMON], ids=str)
def test_what_is_common_knows_no_domain(path: Path) -> None:
    assert not {package for package, *_ in imports(path)} & set(DOMAINS)


@pytest.mark.parametrize("path", [path for path in MODULES if path.name in SERVICES], ids=str)
def test_services_take_the_session_first_the_rest_by_name_and_never_commit(path: Path) -> None:
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert len(node.args.args) == 1, f"{path}: {node.name}"
            assert "session" not in {argument.arg for argument in node.args.kwonlyargs}, f"{path}: {node.name}"
    calls = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & {"commit", "rollback", "begin", "close"}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.name in SERVICES | {"models.py", "keys.py", "passwords.py", "totp.py"}],
    ids=str,
)
def test_the_middle_knows_nothing_of_http(path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert not imported & {"flask", "werkzeug", "apiflask"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_grows_beyond_250_lines(path: Path) -> None:
    assert len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_stored_past_the_audit_log(path: Path) -> None:
    """SQLAlchemy's old bulk methods tell nobody what they do."""
    names = {
        node.attr for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }  # fmt: skip
    assert not {name for name in names if name.startswith("bulk_")}
