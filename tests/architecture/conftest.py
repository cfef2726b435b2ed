"""Reads the source of the kernel and the plugins as syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Module(NamedTuple):
    """One source file."""

    name: str
    path: Path
    tree: ast.Module

    def imports(self, *, with_types: bool) -> set[str]:
        """Return the full names of imported modules; those under `if TYPE_CHECKING:` only `with_types`."""
        return set(_imported(self, self.tree, with_types=with_types))


CORE = ("mmframe.domain", "mmframe.ports", "mmframe.engine")
COMMAND_LINE = (
    "mmframe.cli",
    "mmframe.testing.llm_server.__main__",
    "mmframe_localvenue.command",
    "mmframe_localvenue.drill_command",
)
"""Where people are spoken to: the commands, those of plugins included."""


def pytest_generate_tests(metafunc):
    """Run a test that asks for `core_module`, `author_module` or `quiet_module` once for each of them."""
    if "core_module" in metafunc.fixturenames:
        _each(metafunc, "core_module", [module for module in kernel() if is_part_of(module, *CORE)])
    if "author_module" in metafunc.fixturenames:
        _each(metafunc, "author_module", [m for m in kernel() if is_part_of(m, "mmframe.builtin")] + plugins())
    if "quiet_module" in metafunc.fixturenames:
        modules = kernel() + plugins()
        _each(metafunc, "quiet_module", [m for m in modules if not is_part_of(m, *COMMAND_LINE)])


def _each(metafunc, fixture, modules):
    metafunc.parametrize(fixture, modules, ids=[module.name for module in modules])


@pytest.fixture(scope="session")
def kernel_modules() -> list[Module]:
    """Return every module of the kernel."""
    return kernel()


@pytest.fixture(scope="session")
def plugin_packages() -> list[str]:
    """Return the import names of the plugins of this repository."""
    return sorted(path.parent.name for path in ROOT.glob("plugins/*/src/*/__init__.py"))


def is_part_of(module: Module, *packages: str) -> bool:
    return any(module.name == package or module.name.startswith(f"{package}.") for package in packages)


def kernel() -> list[Module]:
    return _modules_below(ROOT, ROOT / "mmframe")


def plugins() -> list[Module]:
    sources = sorted(ROOT.glob("plugins/*/src"))
    return [module for source in sources for module in _modules_below(source, source)]


def _modules_below(base: Path, folder: Path) -> list[Module]:
    modules = []
    for path in sorted(folder.rglob("*.py")):
        if "templates" in path.parts:  # text that `mmframe new` fills in, not a module
            continue
        parts = path.relative_to(base).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path))))
    return modules


def _imported(module: Module, node: ast.AST, *, with_types: bool):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
            for _ in range(child.level - 1):
                package = package.rpartition(".")[0]
            source = ".".join(part for part in (package if child.level else "", child.module or "") if part)
            # `from a import b` may import the module a.b.
            yield from (f"{source}.{alias.name}" for alias in child.names)
        elif not with_types and isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _imported(module, other, with_types=with_types)
        else:
            yield from _imported(module, child, with_types=with_types)
