from __future__ import annotations


def test_a_new_plugin_is_made_and_the_next_steps_are_said(invoke, tmp_path):
    made = invoke("new", "plugin", "my-quoter", "--directory", tmp_path)

    folder = tmp_path / "mmframe-my-quoter"
    assert made.status == 0
    assert made.stdout.splitlines()[:4] == [f"made {folder}, a plugin of kind optimizer", "", "Next:", f"  cd {folder}"]
    assert (folder / "pyproject.toml").is_file()
    assert "mmframe plugins show my-quoter" in made.stdout


def test_an_existing_folder_is_left_alone(invoke, tmp_path):
    invoke("new", "plugin", "my-quoter", "--directory", tmp_path)
    mine = tmp_path / "mmframe-my-quoter" / "pyproject.toml"
    mine.write_text("mine", encoding="utf-8")

    again = invoke("new", "plugin", "my-quoter", "--directory", tmp_path)

    assert again.status == 2
    assert "error[usage]: " in again.stderr
    assert mine.read_text(encoding="utf-8") == "mine"


def test_an_unknown_kind_lists_the_kinds(invoke):
    ended = invoke("new", "plugin", "x", "--kind", "robot")

    assert ended.status == 2
    assert "--kind: 'robot' is not one of 'optimizer', 'signal'" in ended.stderr


def test_the_kinds_stand_in_the_help(invoke):
    assert "[optimizer|signal|risk" in invoke("new", "plugin", "--help").stdout.replace("\n", "")
