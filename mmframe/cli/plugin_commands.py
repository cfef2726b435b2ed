"""The commands that plugins add to `mmframe`. Collecting them imports every plugin, so it is done only on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mmframe.cli.options import blocked_names
from mmframe.errors import PluginError

if TYPE_CHECKING:
    from mmframe.registry.commands import PluginCommand

__all__ = ["collect_commands", "load_command"]


def collect_commands(ctx: click.Context) -> tuple[tuple[PluginCommand, ...], tuple[PluginError, ...]]:
    """Return the commands of all plugins that are not blocked, and the plugins that failed to load."""
    from mmframe.registry import Registry

    root = ctx.find_root()
    reserved = root.command.list_commands(root) if isinstance(root.command, click.Group) else ()
    return Registry(blocked=blocked_names(ctx)).commands(reserved)


def load_command(command: PluginCommand) -> click.Command:
    """Return the click command behind a plugin's command.

    Raises:
        PluginError: If the plugin raises or returns something else.
    """
    try:
        loaded = command.load()
    except Exception as error:
        message = f"cannot load command {command.name!r} of plugin {command.plugin!r}"
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(message, kind="command", plugin=command.plugin, cause=cause) from error
    if not isinstance(loaded, click.Command):
        message = f"command {command.name!r} of plugin {command.plugin!r}: expected a click command"
        raise PluginError(f"{message}, was {type(loaded).__name__}", kind="command", plugin=command.plugin)
    return loaded
