"""What stands before every request: whose it is, how large it is, and what its answer may be used for."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from throughtime.studio.refusals import refused

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
SECRET_PATHS = ("/v1", "/openapi.json")


class Guard:
    """Lets pass what the page or a program sends, and nothing that another page in the browser sends.

    Args:
        app: what comes after.
        token: that a request for models must carry; None where none is needed, which is right on 127.0.0.1 alone.
        most: bytes of a request's body.

    A page that is open in the same browser can reach 127.0.0.1, too: by a form, or by a name of its own that resolves
    to it (DNS rebinding). So the names in Host and Origin must be this server's.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, most: int) -> None:
        self.app = app
        self.token = token
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        answer = self.app if refusal is None else refused(*refusal)
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.token is None and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
            return 403, f"this studio answers as 127.0.0.1 and localhost alone, not as {host!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "pages of other hosts can't use this studio"
        if self.token is not None and scope["path"].startswith(SECRET_PATHS) and not self._is_known(headers):
            return 401, "this studio needs its token: send it as Authorization: Bearer TOKEN"
        if scope["method"] in {"POST", "PUT", "PATCH"}:
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return 411, "the request must say its length by Content-Length"
            if int(length) > self.most:
                return 413, f"the request is too large, {int(length):,} bytes; {self.most:,} are read at most"
        return None

    def _is_known(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return secrets.compare_digest(given.encode(), (self.token or "").encode())
