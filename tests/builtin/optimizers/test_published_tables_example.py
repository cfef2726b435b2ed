"""The example of the published tables prints what its page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "06_published_tables"


def test_the_example_prints_the_table_of_its_page():
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)

    ended = subprocess.run(
        [sys.executable, str(EXAMPLE / "reproduce.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout == table
