"""What every command's --help must say."""

import shlex

import pytest

from tests.cli.test_outputs import all_parsers
from tinyres.cli import make_parser

COMMANDS = {parser.prog: parser for parser in all_parsers(make_parser()) if not any(a.choices for a in parser._actions)}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_an_example_that_can_be_run(command):
    said, _, example = COMMANDS[command].epilog.partition(" ")
    assert said == "Example:"
    assert example.startswith(f"{command} ")
    parsed = make_parser().parse_args(shlex.split(example)[1:])
    assert f"{parsed.command} {getattr(parsed, 'part', None) or getattr(parsed, 'kind', '')}".strip() in command


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_tells_its_default(command):
    for action in COMMANDS[command]._actions:
        settings = [a for group in COMMANDS[command]._action_groups if group.title == "settings"
                    for a in group._group_actions]  # fmt: skip
        if action.option_strings and action.nargs != 0 and action not in settings:
            assert "default" in action.help, action.option_strings
        assert "%" not in (action.help or "")
