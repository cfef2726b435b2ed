"""The futures exchange's own way to say that it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe_localvenue.binance.gateway import Gateway
from mmframe_localvenue.core import Reply

if TYPE_CHECKING:
    from mmframe_localvenue.core import Injection

__all__ = ["OVERLOADED", "UNAVAILABLE", "UNKNOWN_OUTCOME", "UsdmGateway"]

UNKNOWN_OUTCOME = '{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
"""Body of the 503 after which the order may be there or not."""
UNAVAILABLE = '{"code":-1001,"msg":"Service Unavailable."}'
"""Body of the 503 that is a failure for certain."""
OVERLOADED = (
    '{"code":-1008,"msg":"Request throttled by system-level protection. '
    'Reduce-only/close-position orders are exempt. Please try again."}'
)
"""Body of the 503 that is a refusal for certain."""


class UsdmGateway(Gateway):
    """As on spot, but for the text of an unknown outcome."""

    def unknown_outcome(self, injection: Injection) -> Reply:
        """Return the 503 after which nobody knows."""
        return Reply(injection.status or 503, UNKNOWN_OUTCOME, self._headers(), -1000)
