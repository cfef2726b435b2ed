"""The toolbox of adapters: sockets, requests, rate budgets and signatures, all on time that is handed in.

A module here knows how venues are spoken to, never which venue: it reads no clock, re-sends nothing by itself and lets
no secret into a log record, an error or a repr.
"""

__all__: list[str] = []
