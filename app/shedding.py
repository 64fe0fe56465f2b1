"""What stands before the API: it turns away what is too much, before it takes memory or a place in line."""

import asyncio
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Shedding:
    """ASGI middleware: bounds requests with a body in number, size, and the time to send them and their parts."""

    def __init__(self, app: ASGIApp, waiting: int, max_bytes: int, seconds: float, whole_seconds: float) -> None:
        self.app, self.waiting, self.max_bytes = app, waiting, max_bytes
        self.seconds, self.whole_seconds = seconds, whole_seconds
        self.pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 413 or 503."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_bytes:
            await refuse(send, 413, f"a request should have at most {self.max_bytes} bytes, received more")
        elif self.pending >= self.waiting:
            await refuse(send, 503, f"{self.waiting} requests are waiting already; try again", {"retry-after": "1"})
        else:
            self.pending += 1
            try:
                await self.app(scope, self._bounded(receive), send)
            finally:
                self.pending -= 1

    def _bounded(self, receive: Receive) -> Receive:
        """Return `receive` with limits: a body may come without its length, and slowly."""
        size, arrived = 0, False
        end = asyncio.get_running_loop().time() + self.whole_seconds

        async def bounded() -> Message:
            nonlocal size, arrived
            if arrived:  # what comes now is that the client goes
                return await receive()
            left = end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(min(self.seconds, left), 0))
            except TimeoutError:
                said = f"nothing was received for {self.seconds:.0f} s"
                if left < self.seconds:
                    said = f"a request should be sent within {self.whole_seconds:.0f} s, received a part of it"
                raise HTTPException(408, said) from None
            size += len(message.get("body", b""))
            arrived = not message.get("more_body", False)
            if size > self.max_bytes:
                raise HTTPException(413, f"a request should have at most {self.max_bytes} bytes, received more")
            return message

        return bounded


async def refuse(send: Send, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
    """Answer a request without reading it."""
    body = json.dumps({"detail": detail}).encode()
    named: dict[str, Any] = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",  # the rest of the body is not read
        **(headers or {}),
    }
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
