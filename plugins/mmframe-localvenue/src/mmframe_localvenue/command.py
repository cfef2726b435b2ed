"""The command `mmframe venue`: runs one dialect until it is interrupted, and says how to connect to it."""

from __future__ import annotations

import click

__all__ = ["venue"]


@click.command()
def venue() -> None:
    """Run a venue on this machine that speaks an exchange's protocols."""
