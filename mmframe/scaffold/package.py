"""Makes a plugin package from the templates beside this module. Every kind works at once and passes its own tests."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import attrs

from mmframe.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KINDS", "create"]

_SUFFIX = ".tmpl"
"""Templates are text with `@@key@@`, not modules: the suffix keeps them from being compiled, linted or imported."""

_KEY = re.compile(r"@@(\w+)@@")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_LENGTH_MAX = 40
_PREFIX = "mmframe-"
_RESERVED = frozenset({"core", "mmframe"})


@attrs.frozen
class _Kind:
    """What differs between the packages of two kinds.

    Attributes:
        component: Name of the component behind the plugin's name; empty for a command.
        summary: One line, for the package.
        usage: How it is used, for the README.
        dependencies: Beside mmframe.
        examples: Files beside the strategy file.
    """

    component: str
    summary: str
    usage: str
    dependencies: tuple[str, ...] = ("attrs>=23.2",)
    examples: tuple[str, ...] = ()


_KINDS = {
    "optimizer": _Kind(
        "quoter",
        "An mmframe optimizer that quotes at a constant distance from the mid.",
        '[[optimizer]]\nuse = "@@name@@/quoter"\nhalf_spread_bps = 2.0',
    ),
    "signal": _Kind(
        "average-spread",
        "An mmframe signal: the market's spread, averaged over time.",
        '[[signal]]\nuse = "@@name@@/average-spread"\nhalf_life_s = 10.0',
    ),
    "risk": _Kind(
        "wide-market",
        "An mmframe risk control that pulls quotes while the market is wide.",
        '[[risk]]\nuse = "@@name@@/wide-market"\nmax_spread_bps = 50.0',
    ),
    "book": _Kind(
        "plain",
        "An mmframe book model: a dict and a sorted list a side.",
        '[book]\nuse = "@@name@@/plain"',
        dependencies=(),
    ),
    "feed": _Kind(
        "walk",
        "An mmframe feed: a random walk with a book around it.",
        '[feed]\nuse = "@@name@@/walk"\nprice = "100"',
    ),
    "venue": _Kind(
        "through",
        "An mmframe venue that fills orders when public trades go through them.",
        '[venue.paper]\nuse = "@@name@@/through"\nlatency_ms = 10.0',
    ),
    "history": _Kind(
        "quotes",
        "An mmframe history: best bids and asks from a CSV file.",
        '[history]\nuse = "@@name@@/quotes"\npath = "quotes.csv"',
        examples=("quotes.csv",),
    ),
    "sink": _Kind(
        "fills",
        "An mmframe sink that writes a CSV row for each fill.",
        '[[sink]]\nuse = "@@name@@/fills"\npath = "fills.csv"',
    ),
    "command": _Kind(
        "",
        "A command for mmframe: the spread at which a maker breaks even.",
        "$ mmframe @@name@@ --maker-fee-bps 1.5",
        dependencies=("click>=8.1.7",),
    ),
}

KINDS: tuple[str, ...] = tuple(_KINDS)
"""What a package can start with."""


def create(kind: str, name: str, directory: Path) -> Path:
    """Make the package of plugin `name` with one component of `kind` and return its folder.

    Args:
        kind: One of `KINDS`.
        name: The plugin's name as strategy files will write it; a leading `mmframe-` is dropped.
        directory: Where the package's own folder `mmframe-<name>` is made; made itself when missing.

    Raises:
        UsageError: If the kind or the name cannot be used, or the folder is there already.
    """
    if kind not in _KINDS:
        msg = f"kind: expected one of {', '.join(KINDS)}, was {kind!r}"
        raise UsageError(msg)
    name = name.removeprefix(_PREFIX)
    _check_name(name)
    folder = directory / f"{_PREFIX}{name}"
    contents = _contents(kind, name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        for path, text in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except FileExistsError as error:
        msg = f"{error.filename}: expected no such file or folder yet, was there already"
        raise UsageError(msg, hint="choose another name or --directory, or remove it yourself") from None
    except OSError as error:
        msg = f"{error.filename}: cannot be written: {error.strerror}"
        raise UsageError(msg, hint="choose another --directory") from error
    return folder


def _check_name(name: str) -> None:
    problem = ""
    if not _NAME.fullmatch(name):
        problem = "lower-case letters, digits and single dashes, starting with a letter"
    elif len(name) > _NAME_LENGTH_MAX:
        problem = f"at most {_NAME_LENGTH_MAX} characters"
    elif name in _RESERVED or keyword.iskeyword(name):
        problem = "a name that is not taken by mmframe or Python"
    if problem:
        msg = f"name: expected {problem}, was {name!r}"
        raise UsageError(msg, hint=f"for example {_suggested(name)!r}")


def _suggested(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    suggestion = "-".join(words)[:_NAME_LENGTH_MAX].strip("-").lstrip("0123456789-")
    if not suggestion or suggestion in _RESERVED or keyword.iskeyword(suggestion):
        return f"my-{suggestion or 'quoter'}"
    return suggestion


def _contents(kind: str, name: str) -> dict[str, str]:
    """Return every file of the package by its path in it."""
    made = _KINDS[kind]
    package = f"mmframe_{name.replace('-', '_')}"
    dependencies = ", ".join(f'"{item}"' for item in sorted((*made.dependencies, "mmframe")))
    values = {
        "name": name,
        "package": package,
        "distribution": f"{_PREFIX}{name}",
        "summary": made.summary,
        "dependencies": dependencies,
        "usage": _usage(made, name),
    }
    sources = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        ".gitignore": "common/gitignore",
        f"src/{package}/__init__.py": "common/src/package/__init__.py",
        f"src/{package}/py.typed": "common/src/package/py.typed",
        f"src/{package}/plugin.py": f"{kind}/plugin.py",
        "tests/test_plugin.py": "common/tests/test_plugin.py",
        "tests/test_component.py": f"{kind}/test_component.py",
    }
    if made.component:
        sources["tests/test_example.py"] = "common/tests/test_example.py"
        sources |= {f"examples/{file}": f"{kind}/{file}" for file in ("strategy.toml", *made.examples)}
    else:
        sources[f"src/{package}/command.py"] = f"{kind}/command.py"
    return {path: _filled(source, values) for path, source in sources.items()}


def _usage(made: _Kind, name: str) -> str:
    shown = _KEY.sub(name, made.usage)
    if not made.component:
        return f"```console\n{shown}\n```"
    return (
        f"It holds one component, `{name}/{made.component}`. In a strategy file:\n\n```toml\n{shown}\n```\n\n"
        "`examples/strategy.toml` is a whole one:\n\n```console\n$ mmframe run examples/strategy.toml\n```"
    )


def _filled(source: str, values: dict[str, str]) -> str:
    template = files("mmframe.scaffold") / "templates" / f"{source}{_SUFFIX}"
    return _KEY.sub(lambda match: values[match[1]], template.read_text(encoding="utf-8"))
