"""How advice comes about while a strategy runs: when to ask, what it may cost, what an answer may change.

Nothing here is on the way of a quote: between two questions a step costs one comparison of integers.
"""
