"""Lets operators' commands take effect in a session, between two steps of its driver, and answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import ALL_MARKETS
from mmframe.domain.records import Command
from mmframe.runtime.commands import Answer

if TYPE_CHECKING:
    from mmframe.runtime.commands import CommandSource, SentCommand
    from mmframe.runtime.session import Session

__all__ = ["OperatorDesk"]


class OperatorDesk:
    """Takes commands from a source to a session.

    Args:
        session: The run.
        source: Where commands come from.
    """

    def __init__(self, session: Session, source: CommandSource) -> None:
        self._session = session
        self._source = source
        self._symbols = {instrument.symbol: index for index, instrument in enumerate(session.plan.instruments)}
        self._pending: list[SentCommand] = []
        self._pulling: list[tuple[Answer, frozenset[str]]] = []
        self._is_first = True
        self._is_early = False

    def look(self, now_ns: int, next_ns: int = NEVER_NS) -> bool:
        """Tell whether a command is to take effect now, before what is due at `next_ns`; `apply` lets it."""
        if self._pulling:
            self._follow_orders()
        if not self._pending:
            self._pending = list(self._source.take(now_ns, next_ns))
            self._is_early, self._is_first = self._is_first, False
        return bool(self._pending)

    def apply(self) -> None:
        """Let the commands that were found take effect, in order."""
        pending, self._pending = self._pending, []
        for sent in pending:
            self._apply(sent)

    def _apply(self, sent: SentCommand) -> None:
        session, engine = self._session, self._session.engine
        market = self._symbols.get(sent.symbol) if sent.symbol else ALL_MARKETS
        if market is None:
            problem = f"it has no market {sent.symbol!r}, but {', '.join(self._symbols)}"
            self._source.answer(Answer(sent.number, problem))
            return
        is_resume = sent.command.command is Command.RESUME
        if is_resume and self._is_early and (engine.has_halt(market) or not engine.is_stopped_by_operator(market)):
            # Sent while nobody ran: it ends a pause that a run comes back with, but is no word on a halt.
            self._source.answer(Answer(sent.number))
            return
        resting = frozenset() if is_resume else frozenset(engine.unresolved_ids(market))
        session.advance_to(max(sent.command.receive_ns, session.now_ns))
        command = msgspec.structs.replace(sent.command, market=market, receive_ns=session.now_ns)
        session.on_command(command, sent.number)
        answer = Answer(sent.number, pulled=len(resting), left=len(resting))
        self._source.answer(answer)
        if resting:
            self._pulling.append((answer, resting))

    def _follow_orders(self) -> None:
        """Tell the senders when the orders that they pulled have ended."""
        live = frozenset(self._session.engine.unresolved_ids())
        still = []
        for answer, resting in self._pulling:
            left = len(resting & live)
            told = msgspec.structs.replace(answer, left=left)
            if left != answer.left:
                self._source.answer(told)
            if left:
                still.append((told, resting))
        self._pulling = still
