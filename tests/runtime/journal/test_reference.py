"""The reference page names every table and column, and no other."""

from __future__ import annotations

import re
import sqlite3

from mmframe.runtime.journal import APPLICATION_ID, SCHEMA_VERSION


def test_the_reference_describes_every_table_and_column(journal, path, repository):
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {
        table: {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        for table in tables
    }
    connection.close()

    page = (repository / "docs" / "reference" / "journal.md").read_text()

    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    described = {
        table: {
            name
            for line in text.splitlines()
            if line.startswith("| `")
            for name in re.findall(r"`(\w+)`", line.split("|")[1])
        }
        for table, text in sections.items()
    }
    assert described == columns
    assert f"`{APPLICATION_ID:#x}`" in page
    assert f"the version of the tables: {SCHEMA_VERSION}." in page
