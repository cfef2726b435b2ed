"""Packages that `mmframe new plugin` makes, installed as pip would, one of each kind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mmframe.scaffold import KINDS, create

ROOT = Path(__file__).resolve().parents[2]


class Made(NamedTuple):
    """The packages of all kinds and where they are installed."""

    folder: Path
    site: Path

    def package(self, kind):
        return self.folder / f"mmframe-my-{kind}"

    def run(self, kind, *words):
        """Run the interpreter in a kind's package, with all packages and the kernel importable."""
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.site), str(ROOT)]), "COLUMNS": "120"}
        variables.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(
            [sys.executable, *words], cwd=self.package(kind), env=variables, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return one package of each kind, all installed into one folder."""
    folder = tmp_path_factory.mktemp("packages")
    packages = [create(kind, f"my-{kind}", folder) for kind in KINDS]
    site = folder / "site"
    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", str(site)]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *install, *map(str, packages)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return Made(folder, site)
