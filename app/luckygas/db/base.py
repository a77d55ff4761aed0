"""What all models stand on. Constraint names follow one rule, so that migrations can name what they change."""

from datetime import datetime
from typing import Annotated, ClassVar, Final

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
"""A surrogate key that only the database gives out, growing with each row."""

Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""A point in time, always with its offset."""

CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
"""When the row's transaction began, by the database's clock."""


SECRET: Final = {"secret": True}
"""The `info` of a column whose values stand in no log."""


def is_secret(column: Column) -> bool:
    """Tell whether the values of `column` must stand in no log."""
    return bool(column.info.get("secret"))


class Base(DeclarativeBase):
    """The base of all models. Changes of their objects are logged, unless a model says why not."""

    __unlogged__: ClassVar[str | None] = None

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {str: Text}  # noqa: RUF012 - the name and form that SQLAlchemy reads
