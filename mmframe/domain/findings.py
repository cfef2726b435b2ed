"""What a check of the surroundings found: the lines of `mmframe doctor`."""

from __future__ import annotations

from enum import Enum

import attrs

__all__ = ["Finding", "FindingLevel"]


class FindingLevel(Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    """Works, and is probably not meant."""
    FAILED = "failed"
    """A live run must not start."""


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What was looked at, in two or three words, such as `clock skew` or `key permissions`.
        level: Whether it is as it must be.
        text: What was found, with figures and units; was and expected when it failed. Never a secret.
        hint: The way out, for a warning or failure; empty when there is nothing to do.
    """

    subject: str
    level: FindingLevel
    text: str
    hint: str = ""
