"""The exception tree: every error names what failed, carries a way out (`hint`) and the exit code of the command line.

Modules raise these and never print or exit; only `mmframe.cli` turns them into text and a status.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "ConfigError",
    "ConfigErrors",
    "ContractError",
    "DataError",
    "DomainError",
    "ExitCode",
    "FeedError",
    "JournalError",
    "MmframeError",
    "PluginError",
    "RiskHaltError",
    "UsageError",
    "VenueError",
    "VersionConflictError",
]


class ExitCode(IntEnum):
    """The status that `mmframe` ends with."""

    OK = 0
    BUG = 1
    USAGE = 2
    PLUGIN = 3
    VENUE = 4
    RISK_HALT = 5


class MmframeError(Exception):
    """An expected failure: shown without a traceback.

    Attributes:
        code: Short stable identifier, shown as `error[code]`.
        exit_code: The status that the command line ends with.
        message: What failed, where, expected and was.
        hint: The way out, one sentence, or None.
    """

    code = "error"
    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DomainError(MmframeError):
    """A value that cannot exist: an off-grid price, a non-finite number, a size below zero."""

    code = "domain"
    exit_code = ExitCode.USAGE


class UsageError(MmframeError):
    """A command that was called in a way that cannot work."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConfigError(MmframeError):
    """One problem in a strategy file.

    Attributes:
        key: Dotted path of the key, such as `feed.depth` or `optimizer[1].bps`.
        file: The file's name as the user gave it, or None.
        line: One-based line, or None when the problem has no line (a missing table).
        is_warning: What it tells of works and is probably not meant: `check` shows it and refuses nothing.
    """

    code = "config"
    exit_code = ExitCode.USAGE

    def __init__(  # noqa: PLR0913 - each argument is a part of what a user sees
        self,
        message: str,
        *,
        key: str,
        file: str | None = None,
        line: int | None = None,
        hint: str | None = None,
        is_warning: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.file = file
        self.line = line
        self.is_warning = is_warning

    @property
    def location(self) -> str:
        """Return `file:line`, as much of it as is known."""
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class ConfigErrors(MmframeError):
    """Every problem of a strategy file at once, in file order.

    Attributes:
        problems: What is wrong in the file itself.
        plugin_errors: Plugins and components that it names and that cannot be used.
    """

    code = "config"

    def __init__(self, problems: tuple[ConfigError, ...], *, plugin_errors: tuple[PluginError, ...] = ()) -> None:
        count = len(problems) + len(plugin_errors)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the strategy file")
        self.problems = problems
        self.plugin_errors = plugin_errors

    @property
    def exit_code(self) -> ExitCode:  # type: ignore[override]
        """Return PLUGIN when plugins are all that is wrong, USAGE otherwise."""
        return ExitCode.USAGE if self.problems else ExitCode.PLUGIN


class PluginError(MmframeError):
    """A plugin that cannot be used.

    Attributes:
        kind: What went wrong: missing, duplicate, import, hook, argument, api, spec, command, blocked, component,
            options, build, port.
        plugin: Entry-point name, such as `binance`.
        distribution: `name version` of the distribution that ships it, or None when there is none.
        needed_by: The place in the strategy file that asks for it, or None.
        cause: The underlying error as `Type: text`, or None.
    """

    exit_code = ExitCode.PLUGIN

    def __init__(  # noqa: PLR0913 - each argument is one line of the message a user sees
        self,
        message: str,
        *,
        kind: str,
        plugin: str,
        distribution: str | None = None,
        needed_by: str | None = None,
        cause: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.plugin = plugin
        self.distribution = distribution
        self.needed_by = needed_by
        self.cause = cause

    @property
    def code(self) -> str:  # type: ignore[override]
        """Return `plugin-<kind>`, the identifier shown to the user."""
        return f"plugin-{self.kind}"


class ContractError(PluginError):
    """A component that broke its port's contract while running: a crossed quote, a NaN, a loosened limit."""

    def __init__(self, message: str, *, plugin: str, hint: str | None = None) -> None:
        super().__init__(message, kind="contract", plugin=plugin, hint=hint)


class FeedError(MmframeError):
    """A feed that cannot deliver market data."""

    code = "feed"
    exit_code = ExitCode.VENUE


class DataError(FeedError):
    """Recorded data that cannot be read.

    Attributes:
        file: The file's path as given.
        line: One-based line, or None.
    """

    code = "data"

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {message}", hint=hint)
        self.file = file
        self.line = line


class VenueError(MmframeError):
    """A venue that refused or cannot be reached, where the outcome is certain."""

    code = "venue"
    exit_code = ExitCode.VENUE


class VersionConflictError(VenueError):
    """An update named a version of an order that is no longer current; retry on the fresh state.

    Attributes:
        expected: The version that the update named.
        was: The order's current version.
    """

    code = "version-conflict"

    def __init__(self, message: str, *, expected: int, was: int) -> None:
        super().__init__(message, hint="read the order again and retry on its current version")
        self.expected = expected
        self.was = was


class JournalError(MmframeError):
    """A journal that cannot be opened or written: locked, damaged, of a newer version."""

    code = "journal"
    exit_code = ExitCode.USAGE


class RiskHaltError(MmframeError):
    """The run ended because risk said stop."""

    code = "risk-halt"
    exit_code = ExitCode.RISK_HALT
