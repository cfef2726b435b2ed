"""The plugin `localvenue`: adds the commands `mmframe venue` and `mmframe drill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import hookimpl

if TYPE_CHECKING:
    import click

    from mmframe.plugin import CommandRegistrar

__all__ = ["MMFRAME_API"]

MMFRAME_API = 1


def _load() -> click.Command:
    from mmframe_localvenue.command import venue  # noqa: PLC0415 - `mmframe --help` loads no server

    return venue


def _load_drill() -> click.Command:
    from mmframe_localvenue.drill_command import drill  # noqa: PLC0415 - `mmframe --help` loads no server

    return drill


@hookimpl
def mmframe_register_commands(registrar: CommandRegistrar) -> None:
    """Add `mmframe venue` and `mmframe drill`."""
    registrar.add("venue", _load, summary="Run a venue on this machine that speaks an exchange's protocols.")
    registrar.add("drill", _load_drill, summary="Try a strategy against a venue that goes wrong on purpose.")
