"""Takes the commands that plugins add to `mmframe`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.registry.contract import plugin_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.registry.discovery import InstalledPlugin

__all__ = ["PluginCommand", "Registrar"]

_COMMAND_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@attrs.frozen
class PluginCommand:
    """One command of a plugin.

    Attributes:
        load: Returns the click command; called only when it is used.
        plugin: The plugin that adds it.
    """

    name: str
    load: Callable[[], Any]
    summary: str
    plugin: str


class Registrar:
    """What `mmframe_register_commands` gets: collects the commands of one plugin.

    Args:
        plugin: Whose commands they are.
        taken: Names that are in use, and by whom.
    """

    def __init__(self, plugin: InstalledPlugin, taken: Mapping[str, str]) -> None:
        self._plugin = plugin
        self._taken = taken
        self.commands: list[PluginCommand] = []

    def add(self, name: str, load: Callable[[], Any], *, summary: str) -> None:
        """Add `mmframe NAME`.

        Raises:
            PluginError: If the name is taken or is no command's name.
        """
        if not _COMMAND_NAME.fullmatch(name):
            text = f"command of plugin {self._plugin.name!r}: expected lower-case words joined by dashes, was {name!r}"
            raise plugin_error(self._plugin, text, kind="command")
        owner = self._plugin.name if any(one.name == name for one in self.commands) else self._taken.get(name)
        if owner is not None:
            text = f"command {name!r} of plugin {self._plugin.name!r} is taken by {owner!r}"
            hint = f"rename it, for example to {self._plugin.name}-{name}, or block one with `-p no:NAME`"
            raise plugin_error(self._plugin, text, kind="command", hint=hint)
        self.commands.append(PluginCommand(name=name, load=load, summary=summary, plugin=self._plugin.name))
