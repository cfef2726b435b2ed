"""Each adviser in the guides to LLM advice stands the check of a strategy file, and none of them without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("mmframe_openai", reason="the provider's distribution is not installed here")

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("add-llm-advice-safely", "use-a-local-model")
KEYS = "export OPENAI_API_KEY=sk-1 LLM_API_KEY=sk-2"
FENCED = re.compile(r"```toml\n(.*?)```", re.DOTALL)
ADVISERS = [
    pytest.param(block, id=f"{guide}-{number}")
    for guide in GUIDES
    for number, block in enumerate(FENCED.findall((ROOT / "docs" / "how-to" / f"{guide}.md").read_text("utf-8")))
]


@pytest.mark.parametrize("adviser", ADVISERS)
def test_an_adviser_of_a_guide_can_be_pasted_into_a_strategy(clone, run_shell, adviser):
    folder = clone / "examples" / "01_first_run"
    strategy = (folder / "strategy.toml").read_text(encoding="utf-8")
    applies = "" if "[[optimizer]]" in adviser else '[[optimizer]]\nuse = "advice"\n'
    (folder / "strategy.toml").write_text(f"{strategy}\n{applies}{adviser}", encoding="utf-8")

    ended = run_shell(f"{KEYS}\nmmframe check strategy.toml", folder)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "no problems" in ended.stdout
    assert "warning" not in (ended.stdout + ended.stderr).lower()


def test_the_advisers_of_both_guides_were_found():
    assert len(ADVISERS) == 7
