"""The toolbox of adapters: sockets, requests, rate budgets and signatures, all on time that is handed in.

A module here knows how venues are spoken to, never which venue: it reads no clock, sends nothing a second time and lets
no secret into a log record, an error or a repr. Import the modules themselves; this package imports none of them, so
that a plugin that signs and counts does not load a network library before it connects.
"""

__all__: list[str] = []
