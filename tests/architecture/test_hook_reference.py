"""The page on hooks says exactly what the hooks are."""

from __future__ import annotations

import inspect
import re

from mmframe.plugin.hooks import Hooks

HOOKS = {name: hook.__func__ for name, hook in vars(Hooks).items() if name.startswith("mmframe_")}


def headings(repository):
    page = (repository / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    return re.findall(r"^## `(.+)`$", page, re.MULTILINE)


def test_every_hook_has_a_heading_with_its_exact_signature_in_the_order_of_the_code(repository):
    # Annotations are text in the source, which str() would quote.
    expected = [f"{name}{inspect.signature(hook)}".replace("'", "") for name, hook in HOOKS.items()]

    assert headings(repository) == expected


def test_a_hook_is_a_plain_function_with_a_docstring():
    assert [name for name, hook in HOOKS.items() if inspect.iscoroutinefunction(hook) or not hook.__doc__] == []
