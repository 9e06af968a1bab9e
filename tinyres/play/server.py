"""The server of the page: Starlette under uvicorn, on this machine's loopback only, behind a random token.

Every page that is opened has a session of its own; closing it ends its training. Whoever asks must know the token, must
have come by an address of this machine (Host: no other name may be made to point here), and must not be a foreign page
(Origin).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tinyres.play import words
from tinyres.play.keep import PAGE
from tinyres.play.session import Session

HOST, PORT, TRIES = "127.0.0.1", 8321, 50
PAGES = 4  # that may be open at a time
LARGEST = 1 << 20  # bytes of a message from the page


class Server:
    """Serves the page on a free port.

    Args:
        port: where to begin to look; None for the usual one. 0 is any free one.
        opening: the lab and the setting of a page whose address holds none.

    Attributes:
        address: what to open in a browser; it holds the token.

    Raises:
        OSError: no port is free.
    """

    def __init__(self, port: int | None = None, opening: dict[str, Any] | None = None) -> None:
        self._opening = opening or {}
        self._socket = listen(PORT if port is None else port)
        self.port = int(self._socket.getsockname()[1])
        self.token = secrets.token_urlsafe(24)
        self.address = f"http://{HOST}:{self.port}/?token={self.token}"
        self._sessions: set[Session] = set()
        app = Starlette(routes=[Route("/", self._page), WebSocketRoute("/ws", self._wire)])
        config = uvicorn.Config(
            app, log_level="error", lifespan="off", ws_max_size=LARGEST, ws_per_message_deflate=False,
            timeout_graceful_shutdown=1, server_header=False, access_log=False,
        )  # fmt: skip
        self._uvicorn = uvicorn.Server(config)

    def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serve until `stop` or Ctrl-C; `ready` is called once the address answers."""
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        """End it from another thread."""
        self._uvicorn.should_exit = True

    async def _serve(self, ready: Callable[[], object]) -> None:
        waiting = asyncio.create_task(self._told(ready))
        try:
            await self._uvicorn.serve([self._socket])
        finally:
            waiting.cancel()
            for session in list(self._sessions):
                session.close(0.2)

    async def _told(self, ready: Callable[[], object]) -> None:
        while not self._uvicorn.started:
            await asyncio.sleep(0.01)
        ready()

    # -- who may come in --------------------------------------------------------------------------------------------
    def refused(self, asked: HTTPConnection) -> str | None:
        """Why this request gets nothing; None if it may come in."""
        names = [f"{name}:{self.port}" for name in (HOST, "localhost")]
        if asked.headers.get("host") not in names:
            return f"This server answers to {' and '.join(names)} only."
        origin = asked.headers.get("origin")
        if origin is not None and origin not in [f"http://{name}" for name in names]:
            return "A page from elsewhere may not talk to this server."
        if not secrets.compare_digest(asked.query_params.get("token", "").encode(), self.token.encode()):
            return "The token is missing or wrong. Open the address that `tinyres play` printed."
        return None

    async def _page(self, request: Request) -> Response:
        why = self.refused(request)
        if why is not None:
            return PlainTextResponse(f"{why}\n", 403, headers=_headers("default-src 'none'"))
        html = PAGE.read_text(encoding="utf-8")
        return HTMLResponse(html, headers=_headers(policy(html, self.port)))

    async def _wire(self, websocket: WebSocket) -> None:
        if self.refused(websocket) is not None:
            await websocket.close(1008)  # before it is accepted: the browser is answered 403
            return
        await websocket.accept()
        if len(self._sessions) >= PAGES:
            text = f"{PAGES} pages are open already: close one of them, and load this one again."
            await websocket.send_text(words.text({"type": "notice", "level": "error", "text": text}))
            await websocket.close(1013)
            return
        loop, out = asyncio.get_running_loop(), asyncio.Queue[str]()

        def send(message: dict[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop has ended: so has the page
                loop.call_soon_threadsafe(out.put_nowait, words.text(message))

        session = Session(send)
        self._sessions.add(session)
        writer = asyncio.create_task(_write(websocket, out))
        try:
            while True:
                message = _parsed(await websocket.receive_text())
                if isinstance(message, dict) and message.get("type") == "hello":
                    message = {**self._opening, **message}
                session.receive(message)
        except (WebSocketDisconnect, RuntimeError, KeyError):  # it has gone; or it sent bytes, which no page does
            pass
        finally:
            writer.cancel()
            self._sessions.discard(session)
            session.close(0)


def listen(port: int) -> socket.socket:
    """A socket on the first free port from `port` on.

    Raises:
        OSError: none of them is free.
    """
    error: OSError | None = None
    for candidate in range(port, port + TRIES) if port else (0,):
        if candidate > 65535:
            break
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # on Windows two servers could share a port otherwise
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, candidate))
            made.listen(128)
            return made
        except OSError as taken:
            made.close()
            error = taken
    raise OSError(f"no port from {port} on is free on {HOST}") from error


def policy(html: str, port: int) -> str:
    """The content security policy of a page: its own scripts and nothing else, no other origin than this server."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    ]
    wires = " ".join(f"ws://{name}:{port}" for name in (HOST, "localhost"))
    return (
        f"default-src 'none'; script-src {' '.join(hashes) or chr(39) + 'none' + chr(39)}; style-src 'unsafe-inline'; "
        f"img-src data: blob:; font-src data:; connect-src 'self' {wires}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def serve(
    port: int | None = None,
    *,
    opening: dict[str, Any] | None = None,
    browser: bool = True,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the playground until Ctrl-C, and open it in a browser.

    Args:
        opening: the lab and the setting of a page whose address holds none.
        browser: open one; otherwise only say where to click.

    Raises:
        OSError: no port is free.
    """
    server = Server(port, opening)
    if port and server.port != port:
        say(f"Port {port} is in use, so the playground takes {server.port}.")

    def ready() -> None:
        say(f"The playground is at {server.address}\nCtrl-C ends it.")
        if browser:
            threading.Thread(target=_open, args=(server.address, say), daemon=True).start()

    server.run(ready)


def _open(address: str, say: Callable[[str], object]) -> None:
    opened = False
    with suppress(webbrowser.Error, OSError):
        opened = webbrowser.open(address)
    if not opened:
        say("No browser opened: click on the address above, or copy it into a browser on this machine.")


async def _write(websocket: WebSocket, out: asyncio.Queue[str]) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await websocket.send_text(await out.get())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # no message: the session says what one is


def _headers(security: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": security, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }  # fmt: skip
