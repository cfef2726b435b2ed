"""Who may use whom, beyond the layers that import-linter holds (`[tool.importlinter]` in pyproject.toml)."""

from __future__ import annotations

import ast
import tomllib

AUTHORS_MAY_USE = (
    "mmframe.domain",
    "mmframe.errors",
    "mmframe.net",
    "mmframe.plugin",
    "mmframe.ports",
    "mmframe.testing",
)
# The local venue is a server over the embedded exchange's matching engine, or over a recording with simulated fills:
# second ones of either would be other truths.
MAY_ALSO_USE = {
    "mmframe_localvenue": ("mmframe.builtin.books", "mmframe.builtin.exchange", "mmframe.builtin.simulated")
}
SEAL = "_SEAL"
PRINTING_OR_EXITING = {"print", "exit", "quit", "sys.exit", "os._exit", "click.echo", "click.secho"}
TERMINAL = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}


def test_built_ins_and_plugins_use_the_public_contract_only(author_module):
    own = "mmframe.builtin" if author_module.name.startswith("mmframe.builtin") else author_module.name.split(".")[0]
    used = {name for name in author_module.imports(with_types=True) if within(name, "mmframe")}

    assert {name for name in used if not within(name, own, *AUTHORS_MAY_USE, *MAY_ALSO_USE.get(own, ()))} == set()


def test_plugins_do_not_import_each_other(author_module, plugin_packages):
    own = author_module.name.split(".")[0]
    others = [package for package in plugin_packages if package != own]

    assert {name for name in author_module.imports(with_types=True) if within(name, *others)} == set()


def test_only_the_command_line_prints_or_exits(quiet_module):
    calls = [ast.unparse(node.func) for node in ast.walk(quiet_module.tree) if isinstance(node, ast.Call)]
    raised = [ast.unparse(node.exc) for node in ast.walk(quiet_module.tree) if isinstance(node, ast.Raise) and node.exc]
    streams = [ast.unparse(node) for node in ast.walk(quiet_module.tree) if isinstance(node, ast.Attribute)]

    assert [call for call in calls if call in PRINTING_OR_EXITING] == []
    assert [error for error in raised if error.startswith("SystemExit")] == []
    assert [stream for stream in streams if stream in TERMINAL] == []


def test_only_the_gate_can_approve_an_action(kernel_modules):
    naming = {module.name for module in kernel_modules if SEAL in names_in(module.tree)}

    assert naming == {"mmframe.domain.orders", "mmframe.engine.gate"}


def test_plugins_cannot_approve_an_action(author_module):
    assert SEAL not in names_in(author_module.tree)


def test_import_linter_checks_every_plugin(repository, plugin_packages):
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]

    assert settings["root_packages"] == ["mmframe", *plugin_packages]


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def names_in(tree):
    """Return every name, attribute, imported name and string of a module: also `getattr(orders, "_SEAL")` is caught."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found
