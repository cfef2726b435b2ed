"""Turn expected errors into what a person reads on stderr and what a machine reads on stdout."""

from __future__ import annotations

from typing import Any

from mmframe.errors import ConfigError, ConfigErrors, MmframeError, PluginError

__all__ = ["BUG_REPORT_REQUEST", "error_object", "error_text"]

BUG_REPORT_REQUEST = "this is a bug in mmframe; please report it at the project's issue tracker with this text"

_LABEL_WIDTH = 7
"""Characters of `from`, `cause` and `fix` with the space behind them."""


def error_text(error: MmframeError) -> str:
    """Return `error[code]: message` with its `from`, `cause` and `fix` lines; a file's problems one below another."""
    if isinstance(error, ConfigErrors):
        blocks = [error_text(problem) for problem in (*error.problems, *error.plugin_errors)]
        if len(blocks) > 1:
            blocks.append(f"{len(blocks)} problems; nothing was started")
        return "\n".join([*blocks, *_notes(error)])
    lines = [f"error[{error.code}]: {_headline(error)}"]
    lines += [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in _details(error) if text]
    return "\n".join([*lines, *_notes(error)])


def error_object(error: MmframeError) -> dict[str, Any]:
    """Return the error as the value of the key `error` of a JSON answer.

    Always: code, message, exit_code. Where known: hint, key, file, line, plugin, distribution, needed_by, cause, and
    `notes` (what became of the orders of a run that it ended). Of a strategy file with problems: `problems` and
    `plugin_errors`, lists of such objects.
    """
    known = {"code": error.code, "message": error.message, "exit_code": int(error.exit_code), "hint": error.hint}
    for name in ("key", "file", "line", "plugin", "distribution", "needed_by", "cause"):
        known[name] = getattr(error, name, None)
    answer: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    if hasattr(error, "__notes__"):
        answer["notes"] = list(error.__notes__)
    if isinstance(error, ConfigErrors):
        answer["problems"] = [error_object(problem) for problem in error.problems]
        answer["plugin_errors"] = [error_object(problem) for problem in error.plugin_errors]
    return answer


def _notes(error: MmframeError) -> list[str]:
    return [f"  {'note':<{_LABEL_WIDTH}}{text}" for text in getattr(error, "__notes__", ())]


def _headline(error: MmframeError) -> str:
    if isinstance(error, ConfigError) and error.location:
        return f"{error.message} ({error.location})"
    # A loader that already said who needs the plugin is not made to say it twice.
    if isinstance(error, PluginError) and error.needed_by and error.needed_by not in error.message:
        return f"{error.message}, needed by {error.needed_by}"
    return error.message


def _details(error: MmframeError) -> tuple[tuple[str, str | None], ...]:
    if isinstance(error, PluginError):
        return (("from", error.distribution), ("cause", error.cause), ("fix", error.hint))
    return (("fix", error.hint),)
