"""What stands before every request: whose it is, how large it is, and what its answer may be used for."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from throughtime.studio.limits import Limits
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
OWN_SITE = frozenset({"same-origin", "none"})
SECRET_PATHS = ("/v1", "/openapi.json")


class Guard:
    """Lets pass what the page or a program sends, and nothing that another page in the browser sends.

    Args:
        app: what comes after.
        token: that a request for models must carry; None where none is needed, which is right on 127.0.0.1 alone.
        limits: bytes of a request's body, and of all that are being served, and for how long one may be sent.

    A page that is open in the same browser can reach 127.0.0.1, too: by a form or a picture's address, or by a name of
    its own that resolves to it (DNS rebinding). So the names in Host and Origin must be this server's, and what the
    browser says of where a request comes from (Sec-Fetch-Site) must not be another site.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, limits: Limits) -> None:
        self.app = app
        self.token = token
        self.limits = limits
        self._held = 0

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

        headers = Headers(scope=scope)
        refusal = self._foreign(scope, headers) or self._too_much(scope, headers)
        if refusal is not None:
            await refused(*refusal)(scope, receive, send_with_headers)
            return
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else 0
        self._held += size
        try:
            await self.app(scope, _in_time(receive, self.limits.seconds), send_with_headers)
        finally:
            self._held -= size

    def _foreign(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self.token is None and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
            return 403, f"this studio answers as 127.0.0.1 and localhost alone, not as {host!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "pages of other hosts can't use this studio"
        is_secret = scope["path"].startswith(SECRET_PATHS)
        if is_secret and headers.get("sec-fetch-site", "none") not in OWN_SITE:
            return 403, "pages of other hosts can't use this studio"
        if self.token is not None and is_secret and not self._is_known(headers):
            return 401, "this studio needs its token: send it as Authorization: Bearer TOKEN"
        return None

    def _too_much(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["method"] not in {"POST", "PUT", "PATCH"}:
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "the request must say its length by Content-Length"
        most = self.limits.body
        if int(length) > most:
            return 413, f"the request is too large, {int(length):,} bytes; {most:,} are read at most"
        if self._held + int(length) > self.limits.bodies:
            return 503, "too much has been sent and is not done yet; try again later"
        return None

    def _is_known(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return secrets.compare_digest(given.encode(), (self.token or "").encode())


def _in_time(receive: Receive, seconds: float) -> Receive:
    """What is received, as long as a request's body comes in time; how long one waits for its end is no matter."""
    deadline = anyio.current_time() + seconds
    is_whole = False

    async def receive_in_time() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the request was not sent within {seconds:g} seconds") from error
        is_whole = not message.get("more_body", False)
        return message

    return receive_in_time
