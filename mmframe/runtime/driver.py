"""Runs a plan: the one entry to paper, backtest and live. A driver knows *when*; `Session` knows what happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmframe.domain.kinds import Mode
from mmframe.errors import UsageError
from mmframe.runtime.kill_switch import KillSwitch
from mmframe.runtime.operator_desk import OperatorDesk
from mmframe.runtime.session import Session

if TYPE_CHECKING:
    from mmframe.domain.status import RunResult, RunStatus
    from mmframe.engine.state import RestoredRun
    from mmframe.runtime.commands import CommandSource
    from mmframe.runtime.journal import Journal
    from mmframe.runtime.plan import Plan

__all__ = ["RunObserver", "StopRequest", "run_plan"]


class StopRequest:
    """A wish to stop that signal handlers and other threads can make; the driver looks at it between steps.

    Attributes:
        reason: Why, or None while nobody has asked. The first reason stays.
    """

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask the run to cancel all orders and end."""
        if self.reason is None:
            self.reason = reason


def _require_time_to_ask(plan: Plan, speed: float | None) -> None:
    """Refuse a run whose time would be over before a model could answer.

    Raises:
        UsageError: If it is as fast as possible and an adviser of it really asks.
    """
    if speed is not None or not plan.is_virtual or not plan.advisers:
        return
    from mmframe.runtime.advice.desk import asks_in  # noqa: PLC0415 - loaded where there is an adviser

    asking = asks_in(plan)
    if asking:
        names = ", ".join(repr(adviser.name) for adviser in asking)
        msg = f"speed: expected a finite one, was max: virtual time would be over before a model answers {names}"
        raise UsageError(msg, hint="use --speed 1, or recorded replies with --advice-from JOURNAL")


class RunObserver(Protocol):
    """Looks at a run now and then; never changes it."""

    interval_s: float
    """Shortest wall time between two looks."""

    def on_status(self, status: RunStatus) -> None:
        """Take the run's state; called between steps and once at the end."""
        ...


def run_plan(  # noqa: PLR0913 - one keyword for each thing the command line can ask for
    plan: Plan,
    *,
    speed: float | None = None,
    stop: StopRequest | None = None,
    observer: RunObserver | None = None,
    journal: Journal | None = None,
    restored: RestoredRun | None = None,
    limit_ns: int | None = None,
    commands: CommandSource | None = None,
) -> RunResult:
    """Run a plan to its end and return the result.

    Args:
        plan: What to run.
        speed: Pace on virtual time: 1.0 is real time, None as fast as possible. Live feeds have no choice.
        stop: Ends the run early when asked; orders are cancelled first.
        observer: Gets the state now and then.
        journal: Open journal; the caller closes it.
        restored: A journaled run to continue from.
        limit_ns: Length after which the run ends by itself; by default the plan's own.
        commands: Where operators' commands come from; not looked at by a run that is as fast as possible.

    Raises:
        UsageError: If a speed is not above 0, or asked for on a live feed, or a model would be asked in a run that is
            as fast as possible.
        DataError: If recorded data cannot be read; orders are left to the venue's simulation, the journal is whole.
        FeedError: If a live feed gives up; orders are cancelled first, as with every failure of a live run.
        JournalError: If the journal cannot be written; nothing that adds risk has left since.
    """
    if speed is not None and not speed > 0.0:
        msg = f"speed: expected a number above 0, was {speed!r}"
        raise UsageError(msg, hint="use --speed 1 for real time, --speed max for as fast as possible")
    _require_time_to_ask(plan, speed)
    session = Session(plan, journal=journal, restored=restored)
    session.open_advice()
    limit = limit_ns if limit_ns is not None else plan.duration_ns
    stop = stop or StopRequest()
    desk = None if commands is None else OperatorDesk(session, commands)
    if plan.is_virtual:
        from mmframe.runtime.virtual import VirtualDriver  # noqa: PLC0415 - each driver is loaded only when it runs

        return VirtualDriver(session, speed=speed, stop=stop, observer=observer, limit_ns=limit, desk=desk).run()
    from mmframe.runtime.realtime import RealTimeDriver  # noqa: PLC0415

    kill_switch = KillSwitch.of(Path(plan.strategy_file), plan.name) if plan.mode is Mode.LIVE else None
    return RealTimeDriver(
        session, stop=stop, observer=observer, limit_ns=limit, kill_switch=kill_switch, desk=desk
    ).run()
