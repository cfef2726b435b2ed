"""The journal: one SQLite file that a run writes before it acts, and that tells afterwards what happened and why.

`Journal` writes (one process at a time), `JournalReader` reads (any number, also while a run writes and after a crash).
The tables are described in `docs/reference/journal.md`.
"""

from mmframe.runtime.journal.header import RecordedInstrument, RunHeader
from mmframe.runtime.journal.limits import JournalLimit
from mmframe.runtime.journal.orders import JournalOrder
from mmframe.runtime.journal.reader import JournalFill, JournalIntent, JournalReader, JournalRun, OrderEvent
from mmframe.runtime.journal.schema import APPLICATION_ID, SCHEMA_VERSION
from mmframe.runtime.journal.writer import Journal

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "Journal",
    "JournalFill",
    "JournalIntent",
    "JournalLimit",
    "JournalOrder",
    "JournalReader",
    "JournalRun",
    "OrderEvent",
    "RecordedInstrument",
    "RunHeader",
]
