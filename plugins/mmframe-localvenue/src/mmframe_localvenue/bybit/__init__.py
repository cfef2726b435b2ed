"""The protocols of Bybit v5: spot and linear on one server, one wallet behind both.

Sources: the exchange's documents (`bybit-exchange/docs`, folder `docs/v5`). Where they leave something open, the choice
is named where it is made.
"""
