"""Looks at everything that a live run stands on before anything starts: this machine, the strategy, then the venue.

Nothing is placed or changed; what is written to measure the disk is removed again.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs

from mmframe import __version__
from mmframe.domain.findings import Finding, FindingLevel
from mmframe.errors import MmframeError
from mmframe.runtime.kill_switch import KillSwitch
from mmframe.runtime.traces import RunTraces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.engine.settings import GateLimits
    from mmframe.runtime.plan import Plan

__all__ = ["Examination", "examine"]

WITHIN_S = 30.0
"""Time that the venue gets to answer everything."""

_MIB = 1 << 20
_FREE_MIB_MIN = 100
"""Less is refused: a journal that cannot be written ends the run."""
_FREE_MIB_LOW = 1024
_SYNC_COUNT = 5
_SYNC_SLOW_MS = 50.0
"""Each decision with orders waits for one: slower is felt in every quote."""
_CLOCK_STEP_MS_MAX = 50.0
_FUTURE_S_MAX = 60.0
_ACKNOWLEDGE_SHORT_MS = 1_000
"""Answers of real venues take this long at bad times."""
_SHOWN_PACKAGES = ("anyio", "httpx", "msgspec", "websockets")


@attrs.frozen
class Examination:
    """What was found.

    Attributes:
        here: On this machine and in the strategy.
        venue: At the venue.
    """

    here: tuple[Finding, ...]
    venue: tuple[Finding, ...]

    @property
    def is_ready(self) -> bool:
        """Tell whether a live run may start: nothing failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Return what a live run must not start with."""
        return tuple(finding for finding in (*self.here, *self.venue) if finding.level is FindingLevel.FAILED)


def examine(
    plan: Plan,
    *,
    within_s: float = WITHIN_S,
    wall_ns: Callable[[], int] = time.time_ns,
    monotonic_ns: Callable[[], int] = time.monotonic_ns,
) -> Examination:
    """Return what stands in the way of a live run of `plan`, and what does not.

    Args:
        plan: Composed for mode live; nothing of it is started.
        within_s: Time that the venue gets.
        wall_ns: The machine's time of day, nanoseconds UTC.
        monotonic_ns: A clock that is never set.
    """
    began_ns = wall_ns() - monotonic_ns()
    here = [
        *_strategy(plan),
        _kill_switch(plan),
        _other_runs(plan),
        *_journal(plan, monotonic_ns),
        _acknowledge_timeout(plan),
    ]
    venue = anyio.run(_ask_venue, plan, within_s)
    here += anyio.run(_ask_models, plan, within_s)
    ended_ns = wall_ns()
    stepped_ms = abs(ended_ns - monotonic_ns() - began_ns) / 1e6
    here += [_wall_clock(plan, ended_ns, stepped_ms), _versions(plan)]
    return Examination(tuple(here), tuple(venue))


def _ok(subject: str, text: str) -> Finding:
    return Finding(subject, FindingLevel.OK, text)


def _warning(subject: str, text: str, hint: str) -> Finding:
    return Finding(subject, FindingLevel.WARNING, text, hint)


def _failed(subject: str, text: str, hint: str) -> Finding:
    return Finding(subject, FindingLevel.FAILED, text, hint)


# --- the strategy ----------------------------------------------------------------------------------------------------


def _strategy(plan: Plan) -> list[Finding]:
    return [
        _ok("strategy file", "no problems in mode live"),
        *(_warning("strategy file", text, "change it, or leave it if it is meant") for text in plan.warnings),
        *(
            _ok("limits", f"{market.instrument.symbol}: {_limits_text(market.instrument, market.limits)}")
            for market in plan.settings.markets
        ),
    ]


def _limits_text(instrument: Instrument, limits: GateLimits) -> str:
    def size(lots: int | None) -> str:
        return "none" if lots is None else f"{instrument.size(lots):f} {instrument.base}"

    return (
        f"order {size(limits.max_order_lots)}, position {size(limits.max_position_lots)}, "
        f"daily loss {limits.max_daily_loss_quote} {instrument.quote}"
    )


def _kill_switch(plan: Plan) -> Finding:
    switch = KillSwitch.of(Path(plan.strategy_file), plan.name)
    if not switch.is_set():
        return _ok("kill switch", "not set")
    return _failed(
        "kill switch", f"set ({switch.reason()}), expected it not to be", "`mmframe kill FILE --release` takes it back"
    )


def _other_runs(plan: Plan) -> Finding:
    named = None if plan.journal.path is None else Path(plan.journal.path)
    processes = RunTraces.of(Path(plan.strategy_file), plan.name, named).processes()
    if not processes:
        return _ok("other runs", "no other process runs this strategy live")
    text = f"{processes[0]} runs this strategy live, expected none: two would cancel each other's orders"
    return _failed("other runs", text, "stop it first: Ctrl+C, SIGTERM or `mmframe kill FILE`")


def _acknowledge_timeout(plan: Plan) -> Finding:
    subject = "answers"
    waits_ms = plan.settings.acknowledge_timeout_ns // 1_000_000
    absent_ms = plan.venue.capabilities.absence_delay_ns // 1_000_000
    if waits_ms < _ACKNOWLEDGE_SHORT_MS:
        text = f"acknowledge_timeout_ms = {waits_ms}, expected at least {_ACKNOWLEDGE_SHORT_MS}"
        return _warning(subject, text, "slow answers would leave orders in doubt; raise it")
    if not absent_ms:
        text = "the venue's plugin does not say how long a request may still take effect"
        return _warning(subject, text, f"an order in doubt is held for absent after {waits_ms} ms already")
    if waits_ms > absent_ms:
        text = f"acknowledge_timeout_ms = {waits_ms}, expected at most {absent_ms}, after which nothing can arrive"
        return _warning(subject, text, "orders without an answer block their side for longer than they need; lower it")
    return _ok(subject, f"in doubt after {waits_ms} ms without one; proved absent after {absent_ms} ms at the earliest")


# --- this machine ----------------------------------------------------------------------------------------------------


def _journal(plan: Plan, monotonic_ns: Callable[[], int]) -> list[Finding]:
    if plan.journal.path is None:
        hint = "leave --no-journal and journal.is_enabled = false away: a crash would leave nothing to resume from"
        return [_warning("journal", "none is written", hint)]
    folder = _nearest_folder(Path(plan.journal.path).absolute().parent)
    try:
        slowest_ms = _slowest_sync_ms(folder, monotonic_ns)
        free_mib = shutil.disk_usage(folder).free // _MIB
    except OSError as error:
        text = f"{str(folder)!r} cannot be written: {error.strerror}"
        return [_failed("journal", text, "choose another folder in [journal] path, or make this one writable")]
    return [_sync(folder, slowest_ms), _disk(free_mib)]


def _nearest_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there: a run makes what is missing."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _slowest_sync_ms(folder: Path, monotonic_ns: Callable[[], int]) -> float:
    with tempfile.TemporaryFile(dir=folder) as stream:
        slowest_ns = 0
        for _ in range(_SYNC_COUNT):
            began_ns = monotonic_ns()
            stream.write(bytes(4096))
            stream.flush()
            os.fsync(stream.fileno())
            slowest_ns = max(slowest_ns, monotonic_ns() - began_ns)
    return slowest_ns / 1e6


def _sync(folder: Path, slowest_ms: float) -> Finding:
    text = f"{str(folder)!r} takes {slowest_ms:.1f} ms at most to write to disk"
    if slowest_ms <= _SYNC_SLOW_MS:
        return _ok("journal", text)
    hint = "every decision with orders waits for the disk; keep the journal on a faster, local one"
    return _warning("journal", f"{text}, expected {_SYNC_SLOW_MS:g} ms at most", hint)


def _disk(free_mib: int) -> Finding:
    text = f"{free_mib:,} MiB free"
    if free_mib < _FREE_MIB_MIN:
        return _failed("disk", f"{text}, expected at least {_FREE_MIB_MIN}", "make room: a full disk ends the run")
    if free_mib < _FREE_MIB_LOW:
        return _warning("disk", f"{text}, expected at least {_FREE_MIB_LOW:,}", "a full disk ends the run")
    return _ok("disk", text)


def _wall_clock(plan: Plan, now_ns: int, stepped_ms: float) -> Finding:
    subject = "clock"
    if stepped_ms > _CLOCK_STEP_MS_MAX:
        text = f"it was set by {stepped_ms:.0f} ms while this was looked at, expected {_CLOCK_STEP_MS_MAX:g} at most"
        return _warning(subject, text, "let a time service steer it smoothly (chrony, systemd-timesyncd)")
    try:
        changed_ns = Path(plan.strategy_file).stat().st_mtime_ns
    except OSError:
        changed_ns = 0
    ahead_s = (changed_ns - now_ns) / 1e9
    if ahead_s > _FUTURE_S_MAX:
        text = f"it stands {ahead_s:.0f} s before the last change of the strategy file"
        return _failed(subject, text, "set the clock: venues refuse requests with a wrong time")
    return _ok(subject, "runs evenly; the venue's own answer below tells by how much it is off")


def _versions(plan: Plan) -> Finding:
    plugins = [f"{used.distribution} {used.version}" for used in plan.provenance if used.distribution != "mmframe"]
    packages = [f"{name} {metadata.version(name)}" for name in _SHOWN_PACKAGES]
    return _ok(
        "versions",
        ", ".join([f"mmframe {__version__}", *plugins, f"Python {platform.python_version()}", *packages]),
    )


# --- the venue -------------------------------------------------------------------------------------------------------


async def _ask_models(plan: Plan, within_s: float) -> Sequence[Finding]:
    if plan.ask_models is None:
        return []
    found: Sequence[Finding] | None = None
    with anyio.move_on_after(within_s):
        found = await plan.ask_models()
    if found is None:
        hint = "advice stays neutral until it answers; quoting does not need it"
        return [_warning("models", f"no answer within {within_s:g} s", hint)]
    return found


async def _ask_venue(plan: Plan, within_s: float) -> Sequence[Finding]:
    if plan.ask_venue is None:
        return [_warning("venue", "its plugin asks nothing in advance", "try it with the smallest orders first")]
    found: Sequence[Finding] | None = None
    with anyio.move_on_after(within_s):
        try:
            found = await plan.ask_venue()
        except MmframeError as error:
            found = [_failed("venue", error.message, error.hint or "the venue could not be asked")]
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; a run on such a venue must not start
            text = f"its plugin failed while asking: {type(error).__name__}"
            found = [_failed("venue", text, "this is a fault of the plugin: tell its authors")]
    if found is None:
        return [_failed("venue", f"no answer within {within_s:g} s", "look at the network and at the venue's status")]
    return found
