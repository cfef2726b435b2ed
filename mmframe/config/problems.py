"""Collects every problem of a strategy file, so that a person sees all of them at once, in file order."""

from __future__ import annotations

import datetime as dt
import difflib
from typing import TYPE_CHECKING, Any

from mmframe.config.locate import KeyPath, Locations, format_key
from mmframe.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mmframe.errors import PluginError

__all__ = ["Problems", "describe", "nearest", "nearest_hint", "unknown_keys"]

_SHOWN_LENGTH = 60
"""Longer values are cut in messages."""


class Problems:
    """The problems found so far in one file.

    Args:
        file: The file's name as the user gave it, or None when the options came from elsewhere.
        locations: Where the file's keys stand.
    """

    def __init__(self, file: str | None = None, locations: Locations | None = None) -> None:
        self.file = file
        self._locations = locations if locations is not None else Locations({})
        self._found: list[ConfigError] = []
        self._plugin_errors: list[PluginError] = []

    def __len__(self) -> int:
        return len(self._found) + len(self._plugin_errors)

    def add(self, path: KeyPath, text: str, *, hint: str | None = None, at: KeyPath | None = None) -> None:
        """Add one problem of the key `path`.

        Args:
            path: The key that the message names.
            text: `expected ..., was ...`.
            hint: The way out.
            at: The key whose line is shown, when it is not `path` itself.
        """
        key = format_key(path)
        line = self._locations.line(path if at is None else at)
        self._found.append(
            ConfigError(f"{key}: {text}" if key else text, key=key, file=self.file, line=line, hint=hint)
        )

    def add_error(self, error: ConfigError) -> None:
        """Add a problem that someone else worded; file and line are filled in from its key when it has none."""
        line = error.line if error.line is not None else self._locations.line_of_key(error.key)
        file = error.file if error.file is not None else self.file
        self._found.append(ConfigError(error.message, key=error.key, file=file, line=line, hint=error.hint))

    def add_plugin_error(self, error: PluginError) -> None:
        """Add a plugin that cannot be used; the same one is kept once."""
        if all(error.message != known.message for known in self._plugin_errors):
            self._plugin_errors.append(error)

    def has(self, path: KeyPath, text: str) -> bool:
        """Tell whether exactly this problem of the key `path` was added already."""
        key = format_key(path)
        return any(problem.message == f"{key}: {text}" for problem in self._found)

    def only(self, concerns: Callable[[str], bool]) -> Problems:
        """Return the problems of keys that `concerns` holds for, as a collection of its own.

        Args:
            concerns: Gets the dotted path of a key, such as `markets[0].tick_size`.
        """
        chosen = Problems(self.file, self._locations)
        chosen._found = [problem for problem in self._found if concerns(problem.key)]
        chosen._plugin_errors = list(self._plugin_errors)
        return chosen

    def place(self, path: KeyPath) -> str:
        """Return `file:line` of `path`, as much of it as is known."""
        return ConfigError("", key="", file=self.file, line=self._locations.line(path)).location

    def sorted(self) -> tuple[ConfigError, ...]:
        """Return the configuration problems by line; those without a line come first."""
        return tuple(sorted(self._found, key=lambda problem: (problem.line or 0, problem.key, problem.message)))

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            PluginError: If all there is, is one plugin that cannot be used.
            ConfigErrors: If there is anything else.
        """
        if not self._found and len(self._plugin_errors) == 1:
            raise self._plugin_errors[0]
        if len(self):
            raise ConfigErrors(self.sorted(), plugin_errors=tuple(self._plugin_errors))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was most likely meant to be, or None."""
    by_folded_name = {candidate.casefold(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.casefold(), by_folded_name, n=1, cutoff=0.6)
    return by_folded_name[close[0]] if close else None


def nearest_hint(name: str, known: Iterable[str]) -> str | None:
    """Return `did you mean 'x'?`, or None when no known name is near."""
    candidate = nearest(name, known)
    return None if candidate is None else f"did you mean {candidate!r}?"


def describe(value: Any) -> str:  # noqa: PLR0911 - one line a type
    """Return a TOML value as messages show it: short, on one line, in TOML's own words."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return repr(_cut(value))
        case int() | float():
            return _cut(str(value))
        case list():
            return "an array"
        case dict():
            return "a table"
        case dt.date() | dt.time():
            return f"the date or time {value.isoformat()}"
        case _:
            return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def unknown_keys(raw: Mapping[str, Any], known: Iterable[str], path: KeyPath, problems: Problems) -> None:
    """Report every key of `raw` that is not known."""
    names = sorted(known)
    for key in raw:
        if key not in names:
            hint = nearest_hint(key, names) or (
                f"known here: {', '.join(names)}" if names else "nothing can be set here"
            )
            problems.add((*path, key), "unknown key", hint=hint)
