"""Messages between page and engine: the first one, and what one from the page must be."""

from __future__ import annotations

from typing import Any

from tinyres.play import words
from tinyres.play.labs import LABS, Lab
from tinyres.play.stories import STORIES
from tinyres.version import __version__

Message = dict[str, Any]
FIELDS: dict[str, tuple[str, ...]] = {  # what a message must hold besides its type
    "hello": (), "set": ("values",), "play": (), "pause": (), "step": ("by",), "seek": ("step",), "reset": (),
    "speed": ("steps_per_second",), "lab": ("name",), "story": ("name",), "script": (), "save": ("what",), "ready": (),
}  # fmt: skip

ANEW = ("hello", "set", "reset", "lab", "story")  # a message that is answered with the setting


class Wrong(Exception):
    """A message that cannot be followed; the text says what came and what is allowed."""


def hello(lab: str, setting: dict[str, Any]) -> Message:
    """The first message: what there is to turn and to tell."""
    stories = [story.to_json() | {"setting": full(story.lab, story.setting)} for story in STORIES.values()]
    labs = [each.to_json() for each in LABS.values()]
    return {"type": "hello", "version": __version__, "labs": labs, "stories": stories, "setting": setting, "lab": lab}


def full(lab: str, setting: dict[str, Any]) -> dict[str, Any]:
    """A setting with every knob of its lab."""
    return LABS[lab].fit(LABS[lab].setting(setting))[0]


def kind_of(message: Any) -> str:
    """The type of a message that has all its fields.

    Raises:
        Wrong: it is no message; the text says what came and what is allowed.
    """
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Wrong(f"A message is an object with a type, got {short(message)}.")
    kind = str(message["type"])
    if kind not in FIELDS:
        raise Wrong(f"There is no message of type {short(kind)}; there are {', '.join(FIELDS)}.")
    missing = [name for name in FIELDS[kind] if name not in message]
    if missing:
        raise Wrong(f"A message of type {kind} needs {missing[0]}, got {short(message)}.")
    return kind


def merged(messages: list[Message]) -> list[Message]:
    """The same messages, but one `set` for several in a row: a slider that is dragged sends many."""
    found: list[Message] = []
    for message in messages:
        values, last = message.get("values"), found[-1] if found else {}
        if (
            message["type"] == last.get("type") == "set"
            and isinstance(values, dict)
            and isinstance(last["values"], dict)
        ):
            found[-1] = {**message, "values": last["values"] | values}
        else:
            found.append(message)
    return found


def ask_of(message: Message, before: int | None) -> int | None:
    """The number by which the page knows the answer again; the one before if it gave none."""
    ask = message.get("ask")
    return ask if type(ask) is int else before


def lab_of(name: Any) -> Lab:
    """The lab of this name.

    Raises:
        Wrong: there is none.
    """
    if not isinstance(name, str) or name not in LABS:
        raise Wrong(f"There is no lab called {short(name)}; there are {', '.join(LABS)}.")
    return LABS[name]


def values_of(values: Any) -> Any:
    """The values of a setting, with the words for what JSON lacks made into floats."""
    return {name: words.number(value) for name, value in values.items()} if isinstance(values, dict) else values


def whole(name: str, value: Any) -> int:
    """A whole number.

    Raises:
        Wrong: it is none, or beyond a thousand million.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) <= 10**9 or value != int(value):
        raise Wrong(f"{name} must be a whole number, got {short(value)}.")
    return int(value)


def short(value: Any) -> str:
    """The value's repr, at most 80 characters of it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
