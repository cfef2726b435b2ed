"""What is committed belongs to every machine: no folder of one computer, no address of a package registry."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

# Taken apart so that this file does not hold what it looks for.
FOLDERS = ("/work", "/root", "/farm", str(Path.home()), str(Path(__file__).resolve().parents[2]))
MACHINE_FOLDER = re.compile(rf"(?<![A-Za-z0-9_.~/-])(?:{'|'.join(map(re.escape, FOLDERS))})/" + r"[\w.-]")
REGISTRY = re.compile("|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "index" + "-url")))


@pytest.fixture(scope="module")
def tracked_text(repository):
    if shutil.which("git") is None or not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
    paths = [repository / name for name in listed.stdout.split("\0") if name]
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}


def test_no_tracked_file_names_a_folder_of_one_machine(tracked_text, repository):
    assert places(MACHINE_FOLDER, tracked_text, repository) == []


def test_no_tracked_file_names_a_package_registry(tracked_text, repository):
    assert places(REGISTRY, tracked_text, repository) == []


@pytest.mark.parametrize("text", ["open('/" + "work/x.csv')", f"see {Path.home()}/data"])
def test_a_folder_of_one_machine_is_recognised(text):
    assert MACHINE_FOLDER.search(text)


@pytest.mark.parametrize("text", ["https://example.com/work/x", "plugins/root/x", "~/work/x", "/usr/bin/env"])
def test_an_address_or_relative_path_is_no_folder_of_one_machine(text):
    assert not MACHINE_FOLDER.search(text)


def places(pattern, texts, repository):
    return [
        f"{path.relative_to(repository)}:{number}: {line.strip()[:120]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
