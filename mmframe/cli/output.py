"""Results go to stdout, as text or as exactly one JSON object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["json_option", "write_json", "write_lines"]

json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout instead of text.")


def write_json(answer: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))


def write_lines(lines: Iterable[str]) -> None:
    """Write text to stdout."""
    click.echo("\n".join(lines))
