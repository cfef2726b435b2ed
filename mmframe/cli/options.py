"""What stands before the command and holds for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import click

__all__ = ["GlobalOptions", "blocked_names"]


@attrs.frozen
class GlobalOptions:
    """What stands before the command.

    Attributes:
        blocked: Entry-point names that must not be imported.
    """

    blocked: frozenset[str] = frozenset()


def blocked_names(ctx: click.Context) -> frozenset[str]:
    """Return the plugins that `-p` keeps from being imported."""
    options = ctx.find_object(GlobalOptions)
    return frozenset() if options is None else options.blocked
