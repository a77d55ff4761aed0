"""A release and the one before it run side by side, so a migration takes nothing away that the older one may use.

What takes something away says `contracts_after = "REVISION"`: the schema of the first release that does not use it any
more. `luckygas release` refuses it while an older one serves.
"""

import ast
import re
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parents[2] / "app/luckygas/migrations/versions"
MIGRATIONS = sorted(VERSIONS.glob("[0-9]*.py"))
TAKES_AWAY = {"drop_table", "drop_column", "rename_table"}
SQL = re.compile(
    r"\bDROP\s+(?:TABLE|COLUMN|VIEW|FUNCTION|TYPE|SCHEMA|SEQUENCE)\b|\bRENAME\s+(?:COLUMN\b|TO\b)|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+COLUMN\s+\w+\s+(?:SET\s+DATA\s+)?TYPE\b|\bREVOKE\b(?!.*\bFROM\s+PUBLIC\b)",
    re.IGNORECASE | re.DOTALL,
)
FILLED = {"Identity", "Computed"}
BEFORE_ANY_VERSION = ("0012", "0031", "0041")
ASSIGNED = ("revision", "down_revision", "contracts_after")


def contractions(text: str) -> list[str]:
    """Return what the upgrade of a migration takes away, one phrase each."""
    found = []
    for node in ast.walk(without_downgrade(ast.parse(text))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += SQL.findall(node.value)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if node.func.attr in TAKES_AWAY:
            found.append(node.func.attr)
        elif node.func.attr == "alter_column":
            found += [name for name in ("new_column_name", "type_") if name in given]
            found += ["nullable"] if is_false(given.get("nullable")) else []
        elif node.func.attr == "add_column":
            found += [
                "a column that has to be given"
                for column in ast.walk(node)
                if isinstance(column, ast.Call)
                and any(word.arg == "nullable" and is_false(word.value) for word in column.keywords)
                and not any(word.arg == "server_default" for word in column.keywords)
                and not any(getattr(getattr(part, "func", None), "attr", "") in FILLED for part in column.args)
            ]
    return found


def without_downgrade(tree: ast.Module) -> ast.Module:
    tree.body = [node for node in tree.body if getattr(node, "name", "") != "downgrade"]
    return tree


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def constants(path: Path) -> dict[str, str | None]:
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ASSIGNED
    }


def order() -> list[str]:
    """Return the revisions, oldest first."""
    after = {told["down_revision"]: told["revision"] for told in map(constants, MIGRATIONS)}
    found, at = [], None
    while (at := after.get(at)) is not None:
        found.append(at)
    return found


def indexed_elsewhere(text: str) -> set[str]:
    """Return the tables of others on which a migration makes an index."""
    tables: dict[str, set[str]] = {"create_table": set(), "create_index": set()}
    for node in ast.walk(without_downgrade(ast.parse(text))):
        called = getattr(getattr(node, "func", None), "attr", None)
        if called in tables:
            table = node.args[1 if called == "create_index" else 0]
            tables[called].add(table.value if isinstance(table, ast.Constant) else ast.unparse(table))
    return tables["create_index"] - tables["create_table"]


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_no_migration_builds_an_index_on_what_may_be_large_by_then(path):
    """Whoever writes waits for it: that is a job (ADR 0010). Those of before the first version may."""
    assert constants(path)["revision"] in BEFORE_ANY_VERSION or not indexed_elsewhere(path.read_text())


def test_there_is_one_line_of_migrations():
    assert len(order()) == len(MIGRATIONS)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_what_takes_something_away_says_since_when_nobody_uses_it(path):
    told = constants(path)
    taken = contractions(path.read_text())
    after = told.get("contracts_after")
    assert bool(taken) == (after is not None), f"{path.name}: {taken or 'nothing'} is taken away"
    if after is not None:
        assert after in order()[: order().index(told["revision"])], f"{after} does not come before {told['revision']}"


@pytest.mark.parametrize(
    "statement",
    [
        'op.drop_table("customers")',
        'op.drop_column("customers", "note")',
        'op.rename_table("customers", "clients")',
        'op.alter_column("customers", "note", new_column_name="remark")',
        'op.alter_column("customers", "note", nullable=False)',
        'op.alter_column("customers", "note", type_=sa.Integer)',
        'op.add_column("customers", sa.Column("rank", sa.Integer, nullable=False))',
        'op.execute("ALTER TABLE customers DROP COLUMN note")',
        'op.execute(f"alter table {TABLE} rename column note to remark")',
        'op.execute("ALTER TABLE customers ALTER COLUMN note SET NOT NULL")',
        'op.execute("REVOKE UPDATE ON customers FROM luckygas_app")',
    ],
)
def test_taking_away_is_recognized(statement):
    assert contractions(f"def upgrade():\n    {statement}\n")
    assert not contractions(f"def downgrade():\n    {statement}\n")


@pytest.mark.parametrize(
    "statement",
    [
        'op.add_column("customers", sa.Column("rank", sa.Integer))',
        'op.add_column("customers", sa.Column("rank", sa.Integer, server_default="1", nullable=False))',
        'op.add_column("customers", sa.Column("rank", sa.BigInteger, sa.Identity(always=True), nullable=False))',
        'op.create_table("ranks", sa.Column("id", sa.Integer, nullable=False))',
        'op.alter_column("customers", "note", nullable=True)',
        'op.execute("REVOKE EXECUTE ON FUNCTION customers_rank() FROM PUBLIC")',
        'op.execute("CREATE INDEX customers_note_idx ON customers (note)")',
    ],
)
def test_adding_is_not_mistaken_for_it(statement):
    assert contractions(f"def upgrade():\n    {statement}\n") == []
