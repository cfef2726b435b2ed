"""`mmframe plugins`: what is installed, read from metadata; what a plugin holds, once asked for it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint, plural, program_name
from mmframe.errors import ExitCode, PluginError, UsageError

if TYPE_CHECKING:
    from mmframe.cli.options import GlobalOptions
    from mmframe.plugin.specs import ComponentSpec
    from mmframe.registry import InstalledPlugin, LoadedPlugin, Registry

__all__ = ["plugins_command"]

_PYTHON_FILE = ".py"

_EPILOG = """\
\b
Examples:
  mmframe plugins                          what is installed; imports none of it
  mmframe plugins show core                what is built in
  mmframe plugins show fixed-spread        one built-in component and its options
  mmframe plugins show binance/spot        a component of the plugin 'binance'
  mmframe plugins show ./my_quoter.py      a local file that is a plugin
  mmframe plugins show core --json         the same for a program
"""


@click.group(epilog=_EPILOG, invoke_without_command=True, short_help="List plugins, components and options.")
@json_option
@click.pass_context
def plugins_command(ctx: click.Context, *, as_json: bool) -> None:
    """List installed plugins, from their metadata alone: none is imported.

    A strategy file is its own list of imports: `use = "binance/spot"` loads the plugin 'binance', and a plugin that the
    file does not name is never imported.
    """
    if ctx.invoked_subcommand is not None:
        return
    from mmframe.registry import Registry

    options: GlobalOptions = ctx.obj
    installed = Registry(blocked=options.blocked).installed()
    states = {plugin: _state(plugin, installed) for plugin in installed}
    if as_json:
        write_json({"plugins": [_installed_object(plugin, state) for plugin, state in states.items()]})
        return
    rows = [(plugin.name, plugin.distribution, plugin.version, state) for plugin, state in states.items()]
    write_lines(
        [
            *columns(rows, headings=("plugin", "distribution", "version", "state"), indent=0),
            "",
            f"`{program_name()} plugins show NAME` lists what a plugin holds.",
        ]
    )


@plugins_command.command("show", short_help="Show a plugin, or a component with its options.")
@click.argument("name")
@json_option
@click.pass_obj
def show_command(options: GlobalOptions, *, name: str, as_json: bool) -> int:
    """Show the plugin NAME, or the component NAME (plugin/component, or a built-in's name) with its options.

    Loads the plugin; if that fails, the whole traceback is shown.
    """
    plugin, specs, is_component = _find(options, name)
    from mmframe.cli.components import component_lines, component_object

    if as_json:
        write_json(
            {
                **_installed_object(plugin.installed, ""),
                "components": [component_object(plugin, spec) for spec in specs],
            }
        )
        return int(ExitCode.OK)
    if is_component:
        for number, spec in enumerate(specs):
            write_lines([*([""] if number else []), *component_lines(plugin, spec)])
        return int(ExitCode.OK)
    write_lines(_plugin_lines(plugin))
    return int(ExitCode.OK)


@plugins_command.command("commands")
@json_option
@click.pass_context
def commands_command(ctx: click.Context, *, as_json: bool) -> int:
    """List the commands that plugins add to mmframe. Loads every plugin that is not blocked."""
    from mmframe.cli.errors import error_object, error_text
    from mmframe.cli.plugin_commands import collect_commands

    commands, errors = collect_commands(ctx)
    if as_json:
        write_json(
            {
                "commands": [{"name": one.name, "plugin": one.plugin, "summary": one.summary} for one in commands],
                "errors": [error_object(error) for error in errors],
            }
        )
    elif commands:
        rows = [(f"mmframe {one.name}", one.plugin, one.summary) for one in commands]
        write_lines(columns(rows, headings=("command", "plugin", ""), indent=0))
    else:
        write_lines(["No installed plugin adds a command."])
    for error in errors:
        note(error_text(error))
    return int(ExitCode.PLUGIN if errors else ExitCode.OK)


def _find(options: GlobalOptions, name: str) -> tuple[LoadedPlugin, tuple[ComponentSpec, ...], bool]:
    """Return the plugin, the components meant, and whether `name` means components and not the plugin."""
    from mmframe.registry import Registry
    from mmframe.registry.discovery import CORE

    local = _local_file(name)
    if local is not None:
        path, component = local
        return _of(Registry(blocked=options.blocked, local=(path,)), path.stem, component)
    registry = Registry(blocked=options.blocked)
    plugin_name, slash, component = name.partition("/")
    if not slash and all(plugin.name != name for plugin in registry.installed()):
        core = registry.load(CORE)
        if any(spec.name == name for spec in core.specs):
            plugin_name, component = CORE, name
        else:
            _expect_no_slip(name, [*(plugin.name for plugin in registry.installed()), *(s.name for s in core.specs)])
    return _of(registry, plugin_name, component)


def _expect_no_slip(name: str, known: list[str]) -> None:
    # Nobody should be told to install a package that is only a slip of the pen.
    from mmframe.config.problems import nearest

    close = nearest(name, known)
    if close:
        message = f"there is no plugin and no built-in component {name!r}"
        raise UsageError(message, hint=f"did you mean {close!r}?")


def _local_file(name: str) -> tuple[Path, str] | None:
    """Return file and component of `my_quoter.py` or `my_quoter.py/component`; None when `name` is of neither form."""
    path = Path(name)
    if path.suffix == _PYTHON_FILE:
        return path, ""
    return (path.parent, path.name) if path.parent.suffix == _PYTHON_FILE else None


def _of(registry: Registry, plugin_name: str, component: str) -> tuple[LoadedPlugin, tuple[ComponentSpec, ...], bool]:
    try:
        plugin = registry.load(plugin_name)
    except PluginError as error:
        if error.__cause__ is not None:
            note("".join(traceback.format_exception(error.__cause__)).rstrip())
        raise
    if not component:
        return plugin, plugin.specs, False
    specs = tuple(spec for spec in plugin.specs if spec.name == component)
    if not specs:
        message = f"plugin {plugin_name!r} has no component {component!r}"
        raise UsageError(message, hint=f"`{program_name()} plugins show {plugin_name}` lists them")
    return plugin, specs, True


def _plugin_lines(plugin: LoadedPlugin) -> list[str]:
    from mmframe.cli.components import kind_name

    lines = [f"{paint(plugin.name, bold=True)}  {plugin.installed.origin}"]
    kinds = list(dict.fromkeys(spec.kind for spec in plugin.specs))
    for kind in kinds:
        specs = [spec for spec in plugin.specs if spec.kind is kind]
        lines += ["", paint(f"{kind_name(kind)}", bold=True)]
        lines += columns([(plugin.use(spec), spec.summary) for spec in specs])
    if not kinds:
        lines.append("  has no components")
    if plugin.specs:
        owner = plugin.name if plugin.installed.path is None else plugin.distribution
        what = plural(len(plugin.specs), "component")
        command = f"{program_name()} plugins show {owner}/{plugin.specs[0].name}"
        lines += ["", f"{what}; `{command}` explains one and its options."]
    return lines


def _state(plugin: InstalledPlugin, installed: tuple[InstalledPlugin, ...]) -> str:
    if plugin.is_blocked:
        return "blocked by -p"
    if sum(other.name == plugin.name for other in installed) > 1:
        return "cannot be used: two distributions claim the name"
    return plugin.source.value


def _installed_object(plugin: InstalledPlugin, state: str) -> dict[str, Any]:
    facts = {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "source": plugin.source.value,
        "is_blocked": plugin.is_blocked,
    }
    return {**facts, "state": state} if state else facts
