"""An argument parser that takes only options that are spelled out, and suggests what was meant."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

NEAR, SHOWN = 0.6, 3  # how alike a suggestion is, from 0 to 1; how many are made


class Parser(argparse.ArgumentParser):
    """As `argparse.ArgumentParser`, for parsers and their subparsers; an error is one sentence, without the usage.

    An abbreviation is refused: today `--step` would mean `--steps`, tomorrow another option. `elsewhere` names commands
    that another program has, each with a sentence on where.
    """

    def __init__(self, *args: Any, elsewhere: Mapping[str, str] | None = None, **options: Any) -> None:
        self.elsewhere = elsewhere or {}
        super().__init__(*args, **{"allow_abbrev": False} | options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here, where the command's own options are at hand, and not in the parser above."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(self._unknown(left[0]))
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print the message and where to read more, and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = "command" if isinstance(action, argparse._SubParsersAction) else (action.dest or "value")
            if what == "command" and value in self.elsewhere:
                raise argparse.ArgumentError(None, self.elsewhere[value])
            raise argparse.ArgumentError(None, missing(what, str(value), map(str, action.choices)))

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """As argparse's, but for numbers in words of our own: "invalid int value" names a type of Python's."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            if action.type not in (int, float):
                raise
            needed = "a whole number" if action.type is int else "a number"
            name = action.option_strings[-1] if action.option_strings else action.metavar
            raise argparse.ArgumentError(None, f"{name} {arg_string}: {needed} is needed") from None

    def _unknown(self, argument: str) -> str:
        name = argument.partition("=")[0]
        if not name.startswith("-"):
            return f"does not know what to do with {argument!r}"
        near = suggested(name, [o for a in self._actions for o in a.option_strings if o.startswith("--")])
        return f"there is no option {name}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def could_not(why: str) -> int:
    """Say why the kernels' command could not be run. Returns the status for that."""
    print(f"tinyres_kernels: {why}", file=sys.stderr)
    return 2


def missing(what: str, name: str, names: Iterable[str]) -> str:
    """A sentence for a name that is none of `names`, with those that were perhaps meant, or all."""
    known = list(names)
    near = suggested(name, known)
    return f"no {what} called {name!r}; " + (
        f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    )


def suggested(name: str, names: Sequence[str]) -> list[str]:
    """Names that resemble `name`: those that begin with it first, then those of similar spelling."""
    low, given = {entry.lower().lstrip("-"): entry for entry in names}, name.lower().lstrip("-")
    begin = [entry for key, entry in low.items() if len(given) > 1 and key.startswith(given)]
    alike = [low[key] for key in get_close_matches(given, low, n=SHOWN, cutoff=NEAR)]
    return list(dict.fromkeys([*begin, *alike]))[:SHOWN]


__all__ = ["Parser", "could_not", "missing", "suggested"]
