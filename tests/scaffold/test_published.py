"""From `mmframe new plugin` to a wheel in a clean environment, used from TOML: the whole way of an author."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def author(tmp_path_factory, make_wheel_venv):
    """Return an author's package, built as a wheel and installed beside the kernel's wheel, and that environment."""
    folder = tmp_path_factory.mktemp("author")
    kernel = make_wheel_venv("mmframe[testing]")
    made = _run(folder, kernel / "mmframe", "new", "plugin", "tight-quoter", "--kind", "optimizer")
    assert made.returncode == 0, made.stderr
    package = folder / "mmframe-tight-quoter"
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder / "dist", package]
    built = _run(folder, sys.executable, "-m", "pip", "--disable-pip-version-check", *wheel)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return package, make_wheel_venv("mmframe[testing]", wheel)


def test_it_is_found(author):
    package, scripts = author

    shown = _run(package, scripts / "mmframe", "plugins", "--json")

    assert shown.returncode == 0, shown.stderr
    assert "mmframe-tight-quoter" in shown.stdout


def test_a_strategy_file_uses_it(author, tmp_path):
    package, scripts = author
    strategy = tmp_path / "strategy.toml"
    strategy.write_bytes((package / "examples" / "strategy.toml").read_bytes())

    ended = _run(tmp_path, scripts / "mmframe", "run", "strategy.toml", "--speed", "max", "--for", "20s", "--json")

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["decisions"] > 0
    assert result["orders"] > 0


def test_it_passes_the_kit(author):
    package, scripts = author

    ended = _run(package, scripts / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert ended.returncode == 0, ended.stdout
    assert "failed" not in ended.stdout


def _run(cwd, *words):
    return subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
