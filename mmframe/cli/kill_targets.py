"""Which strategies a kill is about: files, or the strategies of folders by venue or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import tomli

from mmframe.cli.operate import named_strategy, require_market
from mmframe.domain.kinds import Mode
from mmframe.errors import ConfigErrors, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mmframe.config import StrategyFile

__all__ = ["Targets", "find_targets"]

_FILES = "*.toml"


@attrs.frozen
class Targets:
    """The strategies that are meant.

    Attributes:
        unread: Files of a folder that may be strategies and could not be read, each with why.
        is_scope: More than one file was asked for, whatever was found.
    """

    strategies: tuple[StrategyFile, ...]
    unread: tuple[str, ...]
    is_scope: bool


def find_targets(paths: Sequence[Path], *, symbol: str | None, use: str | None, is_all: bool) -> Targets:
    """Return the strategies that the command line means.

    Args:
        paths: Strategy files, and folders where `use` or `is_all` is given.
        symbol: One market of the one file.
        use: Those that trade live on this plugin (`binance`) or venue (`binance/spot`).
        is_all: Those that trade live at all.

    Raises:
        UsageError: If these do not fit together, or nothing is meant.
        ConfigErrors: If a file that was named has no name that can be read.
    """
    if use is not None and is_all:
        message = "--venue and --all: expected at most one of them"
        raise UsageError(message)
    is_chosen = use is not None or is_all
    if symbol is not None and (is_chosen or len(paths) > 1):
        message = "--market: expected one strategy file, and neither --venue nor --all"
        raise UsageError(message, hint="a market belongs to one strategy")
    folder = next((path for path in paths if path.is_dir()), None)
    if folder is not None and not is_chosen:
        message = f"{folder}: expected a strategy file, was a folder"
        raise UsageError(message, hint="--all stops every live strategy in it, --venue those of one venue")
    if not is_chosen:
        strategies = tuple(named_strategy(path) for path in paths)
        if symbol is not None:
            require_market(strategies[0], symbol)
        return Targets(strategies, (), is_scope=len(paths) > 1)
    return _chosen(paths, use)


def _chosen(paths: Sequence[Path], use: str | None) -> Targets:
    """Return the strategies that trade live, on one venue or anywhere."""
    found: dict[Path, StrategyFile] = {}
    unread: list[str] = []
    for path in _files(paths):
        if path.absolute() in found or not _may_be_strategy(path):
            continue
        try:
            found[path.absolute()] = named_strategy(path)
        except (ConfigErrors, UsageError) as error:
            unread.append(f"{path}: {error.message}")
    live = {path: venue.use for path, each in found.items() if (venue := each.venue_for(Mode.LIVE)) is not None}
    strategies = tuple(found[path] for path, where in live.items() if _is_at(where, use))
    if not strategies:
        where = " or ".join(str(path) for path in paths)
        message = f"no strategy in {where} trades live" + (f" on {use!r}" if use is not None else "")
        message += f"; could not be read: {'; '.join(unread)}" if unread else ""
        venues = ", ".join(sorted(set(live.values())))
        raise UsageError(message, hint=f"venues there: {venues}" if venues else "none has a [venue.live]")
    return Targets(strategies, tuple(unread), is_scope=True)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob(_FILES))
        else:
            yield path


def _may_be_strategy(path: Path) -> bool:
    """Tell whether a file is a strategy; one that nobody can read may be."""
    try:
        return "strategy" in tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True


def _is_at(where: str, use: str | None) -> bool:
    return use is None or where == use or where.startswith(f"{use}/")
