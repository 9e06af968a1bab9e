"""The same page in a notebook's cell: an anywidget, whose messages travel through the notebook, with no second port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget

from tinyres.play import words
from tinyres.play.session import Session


class Playground(anywidget.AnyWidget):
    """One page and its run.

    Args:
        lab, setting: what to begin with; the page may ask for something else.
    """

    _esm = Path(__file__).with_name("widget.js")

    def __init__(self, lab: str = "net", setting: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._opening = {"lab": lab, "setting": setting or {}}
        self._session = Session(lambda message: self.send(words.jsonable(message)))
        self.on_msg(self._heard)

    def _heard(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("type") == "hello":
            content = {**self._opening, **content}
        self._session.receive(content)

    def close(self) -> None:
        """End the training, and take the widget out of the notebook."""
        if hasattr(self, "_session"):
            self._session.close()
        super().close()
