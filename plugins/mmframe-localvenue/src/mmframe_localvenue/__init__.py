"""A trading venue on this machine that speaks exchange protocols on real sockets, with scripted faults and a god view.

Written from the exchanges' documents; it knows nothing of the plugins that connect to it.
"""

from __future__ import annotations

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
}
"""Where the class of each dialect is, `module:name`; imported when it is used."""
