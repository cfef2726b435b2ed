"""A trading venue on this machine that speaks exchange protocols on real sockets, with scripted faults and a god view.

Written from the exchanges' documents; it knows nothing of the plugins that connect to it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmframe_localvenue.core import (
        ANY,
        AccountSetup,
        ApiKey,
        CrowdSetup,
        Fault,
        FaultScript,
        GodView,
        LocalVenue,
        MarketSetup,
        Permission,
        Role,
        VenueSetup,
    )

__all__ = [
    "ANY",
    "DIALECTS",
    "AccountSetup",
    "ApiKey",
    "CrowdSetup",
    "Fault",
    "FaultScript",
    "GodView",
    "LocalVenue",
    "MarketSetup",
    "Permission",
    "Role",
    "VenueSetup",
]

DIALECTS: dict[str, str] = {
    "binance-spot": "mmframe_localvenue.binance.spot:SpotDialect",
    "binance-usdm": "mmframe_localvenue.binance.usdm:UsdmDialect",
    "bybit": "mmframe_localvenue.bybit.dialect:BybitDialect",
}
"""Where the class of each dialect is, `module:name`; imported when it is used."""


def __getattr__(name: str) -> Any:
    """Return a name of the core; the server is loaded when it is first asked for, not with the plugin."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module("mmframe_localvenue.core"), name)
