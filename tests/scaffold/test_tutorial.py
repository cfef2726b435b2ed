"""The tutorial tells the truth where its own blocks cannot: the kit finds what it says, and its package installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "your-first-optimizer-plugin.md"
LINES = re.DOTALL | re.MULTILINE


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a folder with the files of the tutorial as they are at its end, but for the corrected lines."""
    folder = tmp_path_factory.mktemp("tutorial")
    blocks = re.findall(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", PAGE.read_text("utf-8"), LINES)
    for name, text in blocks:
        (folder / name).write_text(text, encoding="utf-8")
    assert {"my_quoter.py", "strategy.toml", "test_my_quoter.py", "pyproject.toml"} == {name for name, _ in blocks}
    return folder


def test_the_kit_finds_the_mistake_and_is_content_with_the_correction(page):
    (corrected,) = re.findall(
        r"^<!-- not run: the last lines of propose -->\n```python\n(.*?)^```$",
        PAGE.read_text("utf-8"),
        LINES,
    )
    quoter = page / "my_quoter.py"

    before = _run(page, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    wrong = quoter.read_text(encoding="utf-8")
    quoter.write_text(re.sub(r"^        room = .*?\n        return .*?\n", corrected, wrong, flags=LINES))
    after = _run(page, "-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert "2 failed, 10 passed" in before.stdout
    (shown,) = re.findall(r"^```text\n(MM-O02.*?)^```$", PAGE.read_text("utf-8"), LINES)
    failure = re.sub(r"^E +(?:mmframe\S+: )?", "", before.stdout, flags=LINES)
    assert all(line.strip() in failure for line in shown.splitlines())
    assert "MM-O07: A side without size says why" in before.stdout
    assert "12 passed" in after.stdout, after.stdout


def test_the_minimal_package_is_a_plugin(page):
    site = page / "site"
    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", str(site), "."]
    installed = _run(page, "-m", "pip", "--disable-pip-version-check", "--quiet", *install)
    strategy = (page / "strategy.toml").read_text(encoding="utf-8")
    strategy = strategy.replace('[plugins]\nlocal = ["./my_quoter.py"]\n', "").replace("my_quoter/", "my-quoter/")
    (page / "installed.toml").write_text(strategy, encoding="utf-8")

    listed = _run(page, "-m", "mmframe", "plugins", site=site)
    checked = _run(page, "-m", "mmframe", "check", "installed.toml", site=site)

    assert installed.returncode == 0, installed.stderr
    assert re.search(r"^my-quoter +mmframe-my-quoter +0\.1\.0", listed.stdout, re.MULTILINE), listed.stdout
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _run(folder, *words, site=None):
    paths = [str(path) for path in (site, ROOT) if path is not None]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
