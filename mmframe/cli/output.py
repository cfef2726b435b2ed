"""Results go to stdout, as text or as exactly one JSON object."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["json_option", "write_json", "write_lines"]

_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout instead of text.")


def write_json(answer: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout."""
    text = json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False)
    # JSON escapes the controls below the blank alone; these stand within texts, and a terminal obeys them too.
    click.echo(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def write_lines(lines: Iterable[str]) -> None:
    """Write text to stdout."""
    click.echo("\n".join(lines))
