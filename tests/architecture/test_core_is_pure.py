"""The decision core takes time and chance as arguments and never waits: the same events give the same actions."""

from __future__ import annotations

import ast

IMPURE = {"anyio", "asyncio", "httpx", "pluggy", "random", "socket", "time", "websockets"}
PORTS_THAT_WAIT = {
    "BatchProvider.batch_replies",
    "BatchProvider.batch_state",
    "BatchProvider.cancel_batch",
    "BatchProvider.find_batch",
    "BatchProvider.submit_batch",
    "Feed.run",
    "LLMProvider.aclose",
    "LLMProvider.complete",
    "LLMProvider.models",
    "Venue.run",
}
"""Protocol methods that drivers await. Ports state them and hold no behaviour."""


def test_the_core_imports_no_clock_chance_network_or_plugin_machinery(core_module):
    imported = core_module.imports(with_types=False)

    assert {name for name in imported if name.partition(".")[0] in IMPURE} == set()


def test_the_core_waits_for_nothing(core_module):
    found = set(coroutines(core_module.tree))

    assert found == (PORTS_THAT_WAIT if core_module.name == "mmframe.ports" else set())


def test_ports_hold_no_behaviour(kernel_modules):
    ports = next(module for module in kernel_modules if module.name == "mmframe.ports")
    methods = [node for node in ast.walk(ports.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]

    behaving = [method.name for method in methods if ast.unparse(method.body[-1]) != "..." or len(method.body) > 2]

    assert methods
    assert behaving == []


def coroutines(node, inside=""):
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "")
        place = f"{inside}.{name}".strip(".") if name else inside
        if isinstance(child, ast.AsyncFunctionDef):
            yield place
        elif isinstance(child, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            yield f"line {child.lineno}"
        yield from coroutines(child, place)
