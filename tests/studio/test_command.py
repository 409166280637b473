from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from starlette.testclient import TestClient

from command_line import run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Server]:
    """Servers that would have run."""
    servers: list[uvicorn.Server] = []

    def remember(self: uvicorn.Server, sockets: Any = None) -> None:
        servers.append(self)

    monkeypatch.setattr(uvicorn.Server, "run", remember)
    return servers


def test_it_listens_at_this_machine_alone_without_a_token(
    folders: dict[str, Path], started: list[uvicorn.Server], capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed, _ = run(capsys, "studio", folders["vectors"], "--no-browser", "--port", 0)
    assert status == 0
    assert re.match(r"The studio is at http://127\.0\.0\.1:\d+/\n", printed)
    client = TestClient(cast("Any", started[0].config.app), base_url="http://127.0.0.1")
    assert client.get("/v1/models").json()["models"][0]["name"] == "vectors"


@pytest.mark.parametrize("given", ["", "sesame"])
def test_elsewhere_it_makes_up_a_token_or_takes_the_given_one(
    given: str,
    folders: dict[str, Path],
    started: list[uvicorn.Server],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("THROUGHTIME_TOKEN", given)
    _, printed, _ = run(capsys, "studio", folders["vectors"], "--no-browser", "--host", "0.0.0.0", "--port", 0)  # noqa: S104 - that's what is tested
    found = re.search(r"#token=(\S+)", printed)
    assert found
    assert found[1] == given or (not given and len(found[1]) >= 32)
    client = TestClient(cast("Any", started[0].config.app), base_url="http://machine")
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/models", headers={"authorization": f"Bearer {found[1]}"}).status_code == 200


def test_what_can_not_be_served_is_said_in_one_sentence(
    folders: dict[str, Path],
    started: list[uvicorn.Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, said = run(capsys, "studio", tmp_path / "none")
    assert (status, said) == (
        1,
        f"throughtime: {tmp_path / 'none'}: there is no such folder; give one that `train -o` wrote\n",
    )
    assert run(capsys, "studio")[2] == "throughtime: give at least one model folder to show\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, said = run(capsys, "studio", folders["vectors"], "--port", port, "--no-browser")
    assert status == 1
    assert re.fullmatch(rf"throughtime: can't listen at 127\.0\.0\.1, port {port} \(.*\); give another --port\n", said)
    monkeypatch.setattr("throughtime.commands.studio.find_spec", {"fastapi": None}.get)
    assert "pip install 'throughtime[studio]'" in run(capsys, "studio", folders["vectors"])[2]
    assert not started
