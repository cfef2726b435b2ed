"""How the controls that remember times deal with a clock that goes back."""

from __future__ import annotations

__all__ = ["CLOCK_TEXT", "JITTER_S"]

JITTER_S = 1.0
"""A time this little before one that is remembered is an event that was handled late. More is a clock that began anew,
as a virtual one does with each run: what was remembered is then in its future and would never end."""

CLOCK_TEXT = """\
Times are kept in seconds since 1970, exact to less than a microsecond. When the clock is more than a second before what
is remembered, as when a virtual run goes on with a journal, what is under way begins anew and ends as usual."""
