"""Batches: each order for itself, the outcomes beside the results in `retExtInfo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmframe_localvenue.bybit.envelope import BybitError, Outcome
from mmframe_localvenue.bybit.orders import BATCH_MAX
from mmframe_localvenue.bybit.params import category_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["batch_of", "run_batch"]


def batch_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the orders of a batch request, each with its category.

    Raises:
        BybitError: 10001 for an unknown category, no list, an empty one, or more orders than the category takes.
    """
    category, orders = category_in(body, BATCH_MAX), body.get("request")
    if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
        raise BybitError(10001, "params error: request is empty")
    if len(orders) > BATCH_MAX[category]:
        raise BybitError(10001, f"params error: a batch takes at most {BATCH_MAX[category]} orders")
    return [order | {"category": category} for order in orders]


def run_batch(
    orders: list[dict[str, Any]], run: Callable[[Mapping[str, Any]], dict[str, Any]], *, granted: int, created_ms: int
) -> Outcome:
    """Run each order of a batch; those beyond what the rate limit grants fail with 10006, one by one.

    Args:
        orders: From `batch_of`.
        run: One order.
        granted: How many the limit lets through.
        created_ms: For `createAt` of new orders; 0 where the result has none.
    """
    results: list[dict[str, Any]] = []
    codes: list[dict[str, Any]] = []
    for place, order in enumerate(orders):
        result: dict[str, Any] = {
            "category": order["category"],
            "symbol": order.get("symbol", ""),
            "orderId": "",
            "orderLinkId": order.get("orderLinkId", ""),
        }
        try:
            if place >= granted:
                raise BybitError(10006, "Too many visits. Exceeded the API Rate Limit.")
            result |= run(order)
            codes.append({"code": 0, "msg": "OK"})
            created_text = str(created_ms)
        except BybitError as error:
            codes.append({"code": error.code, "msg": error.message})
            created_text = ""
        if created_ms:
            result["createAt"] = created_text
        results.append(result)
    return Outcome({"list": results}, ext={"list": codes})
