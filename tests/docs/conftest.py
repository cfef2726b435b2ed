"""A place that looks like a clone: examples, and recorded data beside it where there is some; nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with copies of the examples, so that journals do not end up in the repository."""
    folder = tmp_path / "mmframe"
    folder.mkdir()
    ignored = shutil.ignore_patterns("mmframe-runs", "__pycache__")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignored)
    if SHARED.is_dir():
        (tmp_path / "shared").symlink_to(SHARED)
    return folder


@pytest.fixture(scope="session")
def run_shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs lines of shell with the installed `mmframe`."""

    def run(lines: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        scripts = Path(sys.executable).parent
        variables = {**os.environ, "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]), "COLUMNS": "120"}
        command = ["bash", "-euo", "pipefail", "-c", lines]
        return subprocess.run(
            command,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run
