"""Whose requests are served, and how much of them is read."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from throughtime.studio import Shelf, make_app
from throughtime.studio.limits import Limits


def test_pages_of_others_can_not_ask(client: TestClient) -> None:
    assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"host": "127.0.0.1.evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={"origin": "null"}).status_code == 403
    assert client.get("/v1/models", headers={"origin": "http://127.0.0.1:8765"}).status_code == 200
    assert client.get("/v1/models", headers={"host": "[::1]:80"}).status_code == 200


def test_elsewhere_a_token_is_needed(shelf: Shelf) -> None:
    word = "sesame"
    with TestClient(make_app(shelf, token=word), base_url="http://machine") as client:
        assert client.get("/").status_code == 200
        for path in ("/v1/models", "/openapi.json"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"authorization": "Bearer open"}).status_code == 401
            assert client.get(path, headers={"authorization": "Bearer sesame"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_picture_or_link_of_another_page_computes_nothing(client: TestClient, site: str) -> None:
    for path in ("/v1/models", "/openapi.json"):
        assert client.get(path, headers={"sec-fetch-site": site}).status_code == 403
        assert client.get(path, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200  # a link to the page


def test_no_more_is_held_than_the_limit_for_all(shelf: Shelf) -> None:
    app = make_app(shelf, limits=Limits(bodies=1_500))
    sentence = {"text": "good " * 150}
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def insist() -> None:  # it is refused, too, where it comes while the other is being read
            while client.post("/v1/classify", json=sentence).status_code == 503:
                pass

        with shelf.entries["reviews"].turn():
            first = threading.Thread(target=insist)
            first.start()
            deadline = time.monotonic() + 10
            while (answer := client.post("/v1/caption", content=b"0" * 800)).status_code != 503:
                assert time.monotonic() < deadline
        first.join()
        assert answer.json()["error"].startswith("too much has been sent and is not done yet")
        assert client.post("/v1/classify", json=sentence).status_code == 200


@pytest.mark.parametrize("path", ["/v1/caption", "/v1/classify"])
def test_a_request_that_never_ends_is_given_up(shelf: Shelf, path: str) -> None:
    app = make_app(shelf, limits=Limits(seconds=0.05))
    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"100"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
    }
    sent: list[Any] = []

    async def receive() -> Message:
        if not sent:
            sent.append(None)
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    _, start, body = sent
    assert start["status"] == 408
    assert json.loads(body["body"]) == {"error": "the request was not sent within 0.05 seconds"}
