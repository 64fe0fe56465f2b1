"""Whom the API answers as: a page from elsewhere that takes this machine's address (DNS rebinding) reads nothing."""

import os
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from app.shedding import refuse

HERE = "127.0.0.1,localhost,[::1]"


def known() -> frozenset[str]:
    """Return the names that this server goes by: those of `BRAINMRI_HOSTS`, apart by commas, or of this machine.

    Behind a proxy it is the proxy's; `*` is any.
    """
    return frozenset(name.strip().lower() for name in os.environ.get("BRAINMRI_HOSTS", HERE).split(",") if name.strip())


class KnownHosts:
    """ASGI middleware: answers 421 to a request that is for another host."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self.app, self.names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 421."""
        if scope["type"] != "http" or "*" in self.names or _named(scope) in self.names:
            await self.app(scope, receive, send)
            return
        rule = f"a request should be for one of {', '.join(sorted(self.names))}"
        await refuse(send, 421, f"{rule}, received another Host; whoever runs the server names more in BRAINMRI_HOSTS")


def _named(scope: Scope) -> str:
    """Return the host that a request names, without its port; nothing where it names none or several."""
    given = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    if len(given) != 1:
        return ""
    host, colon, port = given[0].rpartition(":")
    return host if colon and (port.isdigit() or not port) else given[0]
