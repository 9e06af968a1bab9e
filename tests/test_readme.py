"""README as a reader takes it: its Python runs as it stands, and every option that it quotes exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tinyres.cli import make_parser

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
SHELL = [line.strip() for block in re.findall(r"(?:^    \S.*\n)+", TEXT, re.M) for line in block.splitlines()]
QUOTED = [
    " ".join(text.split()) for text in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S))
]
COMMAND = re.compile(r"(?:^|[/ ])tinyres ((?:[a-z]|-).*)")


def words(command):
    """What is typed after the program: without the comment, what follows `&&`, and with ARCH for dots."""
    found = shlex.split(command, comments=True)
    found = found[: found.index("&&")] if "&&" in found else found
    return ["resnet" if word == "..." else word for word in found]


def commands(lines):
    return [words(found[1]) for line in lines if (found := COMMAND.search(line.split("&&")[-1]))]


def modules(lines):
    """(module, what is typed after it) of each `python -m tinyres...`."""
    found = [re.search(r"-m (tinyres[\w.]*|tests[\w.]*) ?(.*)", line) for line in lines]
    return [(match[1], words(match[2])) for match in found if match]


def test_the_python_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """Block after block, in one session, in an empty folder."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) >= 2
    session = {"__name__": "__main__"}
    steps = []
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), session)
        steps += [len(session["recording"].steps)] if "recording" in session else []
    assert steps[0] == 20, "the loop is recorded step by step"
    for name in re.findall(r"[\"\']([\w-]+\.(?:html|csv|json|png))[\"\']", "".join(PYTHON)):
        assert (tmp_path / name).stat().st_size > 0, name
    assert "blocks.0" in capsys.readouterr().out


@pytest.mark.parametrize("typed", commands(SHELL), ids=" ".join)
def test_a_command_in_a_block_can_be_typed(typed):
    assert make_parser().parse_args(typed).command == typed[0]


def parser_of(typed):
    """The parser of the innermost subcommand."""
    parser = make_parser()
    for word in typed:
        inner = [action.choices for action in parser._actions if hasattr(action, "_name_parser_map")]
        if inner and word in inner[0]:
            parser = inner[0][word]
    return parser


@pytest.mark.parametrize("typed", commands(QUOTED), ids=" ".join)
def test_a_command_in_the_text_exists_with_its_options(typed):
    parser = parser_of(typed)
    assert parser.prog.split()[1:2] == typed[:1]
    assert {word for word in typed if word.startswith("--")} <= parser._option_string_actions.keys()


def test_names_of_experiments_exist():
    pytest.importorskip("rich")
    from tinyres.lab.registry import EXPERIMENTS, GROUPS

    for typed in commands([*SHELL, *QUOTED]):
        if typed[0] == "flow":
            names = make_parser().parse_args(typed).names
            assert set(names) <= {*EXPERIMENTS, *GROUPS}, typed


@pytest.mark.parametrize(("module", "typed"), modules([*SHELL, *QUOTED]), ids=lambda value: "".join(value))
def test_a_module_in_the_text_exists_with_its_options(module, typed):
    path = ROOT / ("kernels" if module.startswith("tinyres_kernels") else ".") / module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
    options = {word for word in typed if word.startswith("--")}
    if options:
        first = [word for word in typed[:1] if not word.startswith("-")]
        command = [sys.executable, "-m", module, *first, "--help"]
        help_text = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
        assert options <= set(re.findall(r"--[\w-]+", help_text))


def test_the_search_for_commands_finds_them():
    assert ["train", "resnet", "--check-kernels", "3"] in commands(QUOTED)
    assert len(commands(SHELL)) > 12
    assert {"tinyres_kernels", "tinyres.bench.gpu", "tests.mutations"} <= {
        module for module, _ in modules([*SHELL, *QUOTED])
    }
