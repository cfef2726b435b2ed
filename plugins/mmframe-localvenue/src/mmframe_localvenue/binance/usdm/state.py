"""What an account has chosen: position mode, asset mode, margin type. Margin is crossed whatever the type says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from mmframe_localvenue.core import Account

__all__ = ["AccountModes", "Modes"]


@attrs.define
class Modes:
    """Of one account.

    Attributes:
        is_hedged: Long and short held apart; this venue then takes no orders.
        has_multi_assets: Margin of several assets together.
        isolated: Names of the markets that were set to isolated margin.
    """

    is_hedged: bool = False
    has_multi_assets: bool = False
    isolated: set[str] = attrs.field(factory=set)


class AccountModes:
    """Of all accounts."""

    def __init__(self) -> None:
        self._modes: dict[str, Modes] = {}

    def of(self, account: Account) -> Modes:
        """Return the modes of an account, to read and to change."""
        return self._modes.setdefault(account.name, Modes())
