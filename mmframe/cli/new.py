"""`mmframe new plugin`: a plugin package that works and passes its own tests, to grow from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mmframe.cli.output import write_lines
from mmframe.cli.text import columns, program_name
from mmframe.scaffold import KINDS, create

__all__ = ["new_command"]


@click.group(short_help="Start a plugin package of your own.")
def new_command() -> None:
    """Start something of your own."""


@new_command.command("plugin", short_help="Make a plugin package, with tests.")
@click.argument("name")
@click.option("--kind", type=click.Choice(tuple(KINDS)), default="optimizer", show_default=True, help="What it adds.")
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
    folder = create(kind, name, directory)
    steps = [
        (f"cd {shlex.quote(str(folder))}", ""),
        ('python -m pip install -e ".[test]"', "makes the plugin known to mmframe"),
        (f"{program_name()} plugins show {name}", "shows what it adds, with its options"),
        ("python -m pytest", "runs its tests and the conformance kit"),
    ]
    write_lines([f"made {folder}, a plugin of kind {kind}", "", "Next:", *columns(steps)])
