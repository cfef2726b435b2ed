"""Trading on the exchange: the venues `spot` and `usdm`. Beside the feeds, which it neither uses nor changes."""

__all__: list[str] = []
