"""`mmframe new plugin`: a plugin package that works and passes its own tests, to grow from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mmframe.cli.output import write_lines
from mmframe.cli.text import columns

__all__ = ["new_command"]


def _known_kind(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    from mmframe.scaffold import KINDS

    if value not in KINDS:
        message = f"expected one of {', '.join(KINDS)}, was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter)
    return value


@click.group(short_help="Start a plugin package of your own.")
def new_command() -> None:
    """Start something of your own."""


@new_command.command("plugin")
@click.argument("name")
@click.option(
    "--kind",
    metavar="KIND",
    callback=_known_kind,
    default="optimizer",
    show_default=True,
    help="Kind of component to start with.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder in which the package's own folder is made; here by default.",
)
def new_plugin_command(*, name: str, kind: str, directory: Path) -> None:
    """Make a plugin package NAME: one component, its entry point, its tests with the conformance kit.

    \b
    Example:
      mmframe new plugin my-quoter --kind optimizer
    """  # noqa: D301 - \b is click's mark for a paragraph that is not rewrapped
    from mmframe.scaffold import create

    folder = create(kind, name, directory)
    steps = [
        (f"cd {shlex.quote(str(folder))}", ""),
        ("python -m pip install -e .", "makes the plugin known to mmframe"),
        (f"mmframe plugins show {name}", "shows its component and options"),
        ("python -m pytest", "runs its tests and the conformance kit"),
    ]
    write_lines([f"made {folder}, a plugin with one component of kind {kind}", "", "Next:", *columns(steps)])
