"""What a key may do, as the exchange tells it on spot and futures alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmframe_localvenue.core import Permission

if TYPE_CHECKING:
    from mmframe_localvenue.core import ApiKey

__all__ = ["restrictions_json"]


def restrictions_json(key: ApiKey | None, created: int, *, is_futures: bool) -> dict[str, Any]:
    """Return `apiRestrictions` of a key.

    Args:
        key: Which; None may do nothing.
        created: Since when it is there.
        is_futures: Whether its permission to trade is for futures, else for spot.
    """
    permissions = frozenset() if key is None else key.permissions
    may_trade = Permission.TRADE in permissions
    return {
        "ipRestrict": False,
        "createTime": created,
        "enableReading": Permission.READ in permissions,
        "enableSpotAndMarginTrading": may_trade and not is_futures,
        "enableWithdrawals": Permission.WITHDRAW in permissions,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": may_trade and is_futures,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
    }
