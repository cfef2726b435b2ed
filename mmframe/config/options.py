"""Parse the options of a component from a plain table, as the strategy file's loader does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mmframe.config.option_types import Reading, read_table
from mmframe.config.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.config.locate import KeyPath

__all__ = ["parse_options"]

T = TypeVar("T")


def parse_options(
    cls: type[T],
    raw: Mapping[str, Any],
    *,
    path: KeyPath = (),
    directory: Path | None = None,
    reads_secrets: bool = False,
) -> T:
    """Return an object of `cls` made from `raw`, a table as tomli returns it.

    Args:
        cls: An attrs class whose fields are made with `mmframe.plugin.option`.
        raw: The table, without `use`.
        path: Where the table stands, for messages.
        directory: Relative paths start here; the current one by default.
        reads_secrets: Whether environment and secret files are read; without, a `Secret` holds no value.

    Raises:
        ConfigErrors: With every problem there is.
        DomainError: If `cls` is not a class of options.
    """
    problems = Problems()
    reading = Reading(problems=problems, directory=directory or Path(), reads_secrets=reads_secrets)
    options = read_table(cls, raw, path, reading)
    problems.raise_if_any()
    parsed: T = options
    return parsed
