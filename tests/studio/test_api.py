from __future__ import annotations

import asyncio
import io
import json
import math
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from throughtime import Captioner, Forecaster, LanguageModel, TextClassifier, Translator, Word2Vec
from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.inspection import flow_numbers, flow_of, flow_reading
from throughtime.studio import Shelf, make_app
from throughtime.studio.limits import MOST_TOKENS, Limits
from throughtime.studio.run_routes import run_events
from throughtime.studio.server import STATIC
from throughtime.studio.written_text import WrittenText
from throughtime.training import ModelFolder


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events, read as WHATWG HTML says."""
    found: list[tuple[str, Any]] = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def asked(client: TestClient, path: str, **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_models_are_told_with_their_tasks(client: TestClient, folders: dict[str, Path]) -> None:
    models = {one["name"]: one for one in client.get("/v1/models").json()["models"]}
    assert set(models) == set(folders)
    assert models["lm"]["task"] == "language_modelling"
    assert models["lm"]["about"] == "GRU 2 x 16"
    assert models["reviews"]["classes"] == ["bad", "good"]
    network = LanguageModel.load(folders["lm"], device="cpu").network
    assert models["lm"]["weights"] == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", ["lm", "lstm"])
def test_a_seed_writes_what_the_library_writes(name: str, client: TestClient, folders: dict[str, Path]) -> None:
    model = LanguageModel.load(folders[name], device="cpu")
    options: dict[str, Any] = {"length": 40, "temperature": 0.9, "seed": 3, "top_k": 20, "repetition_penalty": 1.1}
    expected = "".join(model.generate("(he ", **options))
    found = asked(client, "/v1/generate", model=name, prompt="(he ", **options)
    assert found["text"] == "".join(found["pieces"]) == expected
    assert found["ended"] == "length"
    stream = client.post("/v1/generate", json={"model": name, "prompt": "(he ", "stream": True, **options})
    assert stream.headers["content-type"].startswith("text/event-stream")
    *pieces, (last, end) = events(stream.text)
    assert "".join(data["text"] for _, data in pieces) == expected
    assert (last, end) == ("end", {"ended": "length"})
    if name == "lm":  # a token is a character here, so the pieces' surprises are those of the tokens
        tokens = torch.from_numpy(model.tokenizer.encode("(he " + expected)).unsqueeze(1)
        with torch.no_grad():
            scores = model.network(tokens[:-1])[0].log_softmax(-1)
        nats = -scores.gather(-1, tokens[1:].unsqueeze(-1)).flatten()[3:]
        np.testing.assert_allclose(found["surprise"], nats, atol=2e-4)


def test_texts_that_are_written_side_by_side_are_those_written_alone(
    client: TestClient, shelf: Shelf, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughtime.studio.batched_writing.READ_AT_ONCE", 3)  # so that prompts are read in parts
    model = LanguageModel.load(folders["lm"], device="cpu")
    assert isinstance(client.app, FastAPI)
    writer = client.app.state.studio.writer(shelf.entries["lm"])
    ways: list[dict[str, Any]] = [
        {"temperature": 0.7},
        {"temperature": 1, "top_k": 5, "repetition_penalty": 1.2},
        {"temperature": 0},
    ]
    rows: list[dict[str, Any]] = [
        {"prompt": '"no" (he '[: row % 10], "length": 20 + 7 * row, "seed": row, **ways[row % 3]} for row in range(12)
    ]

    begun: list[WrittenText] = []
    begin = writer.begin

    def begin_and_note(text: WrittenText) -> None:
        begin(text)
        begun.append(text)

    monkeypatch.setattr(writer, "begin", begin_and_note)

    def written(row: dict[str, Any]) -> str:
        return asked(client, "/v1/generate", model="lm", **row)["text"]

    with ThreadPoolExecutor(len(rows)) as pool:
        with shelf.entries["lm"].turn():  # all of them wait
            coming = [pool.submit(written, row) for row in rows]
            while len(begun) < len(rows):
                time.sleep(0.001)
        found = [one.result() for one in coming]
    assert found == ["".join(model.generate(**row)) for row in rows]
    assert writer.largest_batch == len(rows)


def test_a_text_ends_before_a_stop_string(client: TestClient, folders: dict[str, Path]) -> None:
    options: dict[str, Any] = {"length": 200, "seed": 1, "prompt": "(he ", "temperature": 1.0}
    model = LanguageModel.load(folders["lm"], device="cpu")
    whole = "".join(model.generate(**options))
    stop = whole[60:63]
    found = asked(client, "/v1/generate", model="lm", stop=["nowhere to be found", stop], **options)
    assert found["text"] == whole[: whole.index(stop)] == "".join(model.generate(stop=[stop], **options))
    assert found["ended"] == "stop"
    assert found["text"] == "".join(found["pieces"])


def test_reading_tells_surprise_and_neurons(client: TestClient, folders: dict[str, Path]) -> None:
    text = '"no" (she said) twice,\n\n"Yes" (he said) 3 times.' * 2
    found = asked(client, "/v1/read", model="lm", text=text)
    assert "".join(found["pieces"]) == text
    assert found["surprise"][0] is None
    mean = sum(found["surprise"][1:]) / (len(text) - 1)
    assert found["bits_per_character"] == pytest.approx(mean / math.log(2), rel=1e-3)
    assert {neuron["follows"] for neuron in found["neurons"]} >= {"inside quotes", "inside brackets", None}
    assert all(len(neuron["values"]) == len(found["pieces"]) for neuron in found["neurons"])


def test_a_classifier_explains_word_by_word(client: TestClient, folders: dict[str, Path]) -> None:
    text = "a good film, not a bad one"
    found = asked(client, "/v1/classify", text=text, explain=True)
    model = TextClassifier.load(folders["reviews"], device="cpu")
    assert found["probabilities"] == pytest.approx(model.predict([text])[0].probabilities, abs=1e-5)
    expected = model.explain(text)
    assert found["explained"] == expected.label
    assert [word["word"] for word in found["words"]] == text.split()
    assert [word["change"] for word in found["words"]] == pytest.approx(
        [one.change for one in expected.contributions], abs=1e-3
    )
    assert asked(client, "/v1/classify", text=text)["words"] is None


def test_a_translation_has_its_alignment(client: TestClient, folders: dict[str, Path]) -> None:
    found = asked(client, "/v1/translate", model="translator", text="a b c", n_best=2)
    assert found["text"] == Translator.load(folders["translator"], device="cpu").translate(["a b c"])[0].text
    assert found["source_pieces"] == ["a", "b", "c"]
    assert len(found["alignment"]) == len(found["pieces"]) + 1
    np.testing.assert_allclose(np.sum(found["alignment"], axis=1), 1, atol=1e-3)
    assert len(found["others"]) == 1
    assert asked(client, "/v1/translate", model="plain", text="a b")["alignment"] is None
    assert asked(client, "/v1/translate", model="translator", text="")["text"] == ""


def test_words_have_neighbours_and_analogies(client: TestClient, folders: dict[str, Path]) -> None:
    vectors = Word2Vec.load(folders["vectors"]).vectors
    a, b, c = vectors.words[5:8]
    found = client.get("/v1/vectors/neighbours", params={"word": a, "count": 4}).json()
    assert [one["word"] for one in found["found"]] == [word for word, _ in vectors.most_similar(a, 4)]
    (answer,) = vectors.analogies([(a, b, c)], 3)
    found = client.get("/v1/vectors/analogy", params={"a": a, "b": b, "c": c, "count": 3}).json()
    assert [one["word"] for one in found["found"]] == [word for word, _ in answer]
    assert [one["word"] for one in found["asked"]] == [a, b, c]
    begin = client.get("/v1/vectors/words", params={"prefix": a[:1]}).json()["words"]
    assert begin == [word for word in vectors.words if word.startswith(a[:1])][:50]


def test_a_table_is_forecast_with_intervals(client: TestClient, folders: dict[str, Path]) -> None:
    model = Forecaster.load(folders["sales"], device="cpu")
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    values = 50 + 10 * np.sin(np.arange(len(days)))
    table = "unique_id;ds;y\n" + "".join(
        f"kiosk;{day};{value:.4f}\n".replace(".", ",") for day, value in zip(days, values, strict=True)
    )
    response = client.post("/v1/forecast", params={"horizon": 5}, content=table.encode())
    assert response.status_code == 200, response.text
    (series,) = response.json()["series"]
    expected = model.predict(table.encode(), h=5)
    assert series["unique_id"] == "kiosk"
    assert series["ds"] == [f"2024-03-0{day}" for day in range(1, 6)]
    assert series["forecast"] == pytest.approx(expected[model.name].to_list(), rel=1e-5)
    assert [interval["level"] for interval in series["intervals"]] == [90, 80]
    assert series["intervals"][0]["low"] == pytest.approx(expected[f"{model.name}-lo-90"].to_list(), rel=1e-5)
    assert series["history"][-1] == pytest.approx(values[-1], abs=1e-3)
    own = client.post("/v1/forecast").json()["series"]
    assert [len(one["forecast"]) for one in own] == [7, 7]


def test_pictures_are_captioned_asked_about_and_labelled(client: TestClient, folders: dict[str, Path]) -> None:
    pixels = np.full((12, 16, 3), 80, np.uint8)
    said = client.post("/v1/caption", content=png(pixels)).json()
    model = Captioner.load(folders["captions"], device="cpu")
    assert said["text"] == model.caption([pixels])[0].text
    rows, columns = model.network.images.grid
    assert np.shape(said["attention"]) == (len(said["pieces"]) + 1, rows, columns)
    answer = client.post("/v1/answer", params={"question": "is it green?"}, content=png(pixels)).json()
    assert set(answer["probabilities"]) == {"yes", "no"}
    assert answer["unknown"] == ["green"]
    label = client.post("/v1/label", content=png(pixels)).json()
    assert label["labels"] == [max(label["probabilities"], key=label["probabilities"].get)]


@pytest.mark.parametrize("name", ["lm", "reviews", "translator", "sales"])
def test_the_inside_is_what_inspection_measures(name: str, client: TestClient, shelf: Shelf) -> None:
    text = {"lm": '"no" (she said)', "reviews": "a good film", "translator": "a b c"}.get(name)
    found = asked(client, "/v1/inspect", model=name, text=text)
    model = shelf.entries[name].model()
    reading = flow_reading(model, [text] if text else [])
    assert reading is not None
    expected = flow_numbers(flow_of(reading))
    assert [row["layer"] for row in found["flow"]] == [row["layer"] for row in expected]
    for row, own in zip(found["flow"], expected, strict=True):
        assert row["relative_norm"] == pytest.approx(own["relative_norm"], rel=1e-4)
    for layer in found["layers"]:
        for heat in layer["maps"]:
            assert np.shape(heat["values"])[0] == len(heat["units"])
            assert np.min(heat["values"]) >= heat["low"] - 1e-3
            assert np.max(heat["values"]) <= heat["high"] + 1e-3
    if name == "lm":
        assert "".join(found["pieces"]) == '"no" (she said'


MISTAKES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("post", "/v1/generate", {"json": {"model": "none"}}, 404, "there is no model 'none'; there are "),
    ("post", "/v1/generate", {"json": {}}, 422, "`model` must be one of 'l"),
    ("post", "/v1/generate", {"json": {"model": "reviews"}}, 409, "'reviews' is a model for text_classification"),
    ("post", "/v1/generate", {"json": {"model": "lm", "length": MOST_TOKENS + 1}}, 422, "`length`: input should be"),
    ("post", "/v1/generate", {"json": {"model": "lm", "temprature": 1}}, 422, "`temprature` is no argument here"),
    (
        "post",
        "/v1/generate",
        {"content": b"{", "headers": {"content-type": "application/json"}},
        422,
        "the request is no",
    ),
    ("post", "/v1/generate", {"content": b"{}"}, 422, "the request must be a JSON object, sent as application/json"),
    ("post", "/v1/classify", {"json": {}}, 422, "`text` is missing"),
    ("post", "/v1/classify", {"json": {"text": "x" * 20_001}}, 422, "`text`: string should have at most 20000"),
    ("post", "/v1/classify", {"json": {"text": "good", "explain": True, "label": "so"}}, 400, "`label` must be one of"),
    ("get", "/v1/vectors/neighbours?word=kign", {}, 400, "`word` 'kign' is not among the "),
    ("post", "/v1/forecast", {"content": b"a,b\n1,2,3\n"}, 400, "the table:2: has 3 columns where the first row has 2"),
    ("post", "/v1/forecast", {"content": png(np.zeros((4, 4), np.uint8))}, 400, "the table"),
    ("post", "/v1/caption", {"content": b"no picture"}, 400, "the picture: is not a picture that Pillow can read"),
    ("post", "/v1/caption", {"content": b""}, 400, "send the content of a picture's file as the body"),
    ("post", "/v1/inspect", {"json": {"model": "vectors"}}, 400, "'vectors' has no recurrent layers"),
    ("get", "/v1/runs/none", {}, 404, "there is no model 'none'"),
    ("get", "/v1/nothing", {}, 404, "there is nothing at /v1/nothing; see /docs"),
    ("get", "/v1/generate", {}, 405, "/v1/generate can't be asked by GET"),
]


@pytest.mark.parametrize(("method", "path", "content", "status", "message"), MISTAKES)
def test_what_is_wrong_is_said_in_one_sentence(
    method: str, path: str, content: dict[str, Any], status: int, message: str, client: TestClient
) -> None:
    response = client.request(method, path, **content)
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    assert response.json()["error"].startswith(message), response.json()["error"]
    assert "\n" not in response.json()["error"]


def test_a_picture_of_few_bytes_and_many_pixels_is_not_unpacked(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("1", (6_000, 6_000)).save(buffer, "PNG")
    response = client.post("/v1/caption", content=buffer.getvalue())
    assert response.status_code == 400
    assert "has 6,000 x 6,000 pixels; make it smaller" in response.json()["error"]


def test_too_much_and_too_long_is_refused(shelf: Shelf) -> None:
    app = make_app(shelf, limits=Limits(body=1_000, seconds=0.05, waiting=1))
    with TestClient(app, base_url="http://localhost") as client:
        response = client.post("/v1/caption", content=b"0" * 1_001)
        assert response.status_code == 413
        assert response.json()["error"] == "the request is too large, 1,001 bytes; 1,000 are read at most"
        response = client.post("/v1/caption", content=iter([b"0"]))
        assert response.status_code == 411
        entry = shelf.entries["reviews"]
        with entry.turn():
            response = client.post("/v1/classify", json={"text": "good"})
        assert response.status_code == 503
        assert response.json()["error"].startswith("this took longer than 0.05 seconds")
        found = asked(client, "/v1/generate", model="lm", length=MOST_TOKENS)
        assert found["ended"] == "time"
        assert 0 < len(found["pieces"]) < MOST_TOKENS


def test_the_page_and_the_documentation_need_no_other_host(client: TestClient) -> None:
    for path in ("/", "/docs"):
        response = client.get(path)
        assert "default-src 'self'" in response.headers["content-security-policy"]
        for address in re.findall(r'(?:src|href)="([^"]+)"', response.text):
            assert address.startswith(("/", "#"))
            if address.startswith("/static"):
                assert client.get(address).status_code == 200, address
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file
        for imported in re.findall(r'from "\./([^"]+)"', text):
            assert (STATIC / imported).is_file(), imported
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/generate", "/v1/classify", "/v1/translate", "/v1/forecast", "/v1/caption", "/v1/answer"} <= set(paths)
    assert {"/v1/label-sequences", "/v1/detect", "/v1/label-video", "/v1/caption-video", "/v1/next-frames"} <= set(
        paths
    )
    assert all(operation["description"] for methods in paths.values() for operation in methods.values())


def test_uploads_leave_nothing_behind(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    client.post("/v1/caption", content=png(np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)))
    assert not list(tmp_path.iterdir())


def test_a_run_is_followed_and_better_weights_are_taken_up(folders: dict[str, Path], tmp_path: Path) -> None:
    model = LanguageModel.load(folders["lm"], device="cpu")
    run = tmp_path / "run"
    model.save(run)
    weights = run / "model.safetensors"
    (run / "metrics.jsonl").write_text('{"step": 10, "loss": 2.5}\n{"step": 20, "loss": NaN}\n{"st', encoding="utf-8")
    content = weights.read_bytes()
    weights.unlink()
    with TestClient(make_app(Shelf([run], device="cpu")), base_url="http://localhost") as client:
        (facts,) = client.get("/v1/models").json()["models"]
        assert not facts["is_ready"]
        response = client.post("/v1/generate", json={})
        assert (response.status_code, response.json()["error"]) == (
            409,
            "'run' has not reached its first validation, so it has no weights yet",
        )
        found = client.get("/v1/runs/run").json()
        assert found["records"] == [{"step": 10, "loss": 2.5}, {"step": 20, "loss": None}]
        assert client.get("/v1/runs/run", params={"start": found["next"]}).json()["records"] == []
        weights.write_bytes(content)
        before = asked(client, "/v1/generate", temperature=0, length=20)["text"]
        with torch.no_grad():
            model.network.output.bias[model.tokenizer.encode("3")] += 100
        ModelFolder(run).save_weights(model.network)
        assert before != asked(client, "/v1/generate", temperature=0, length=20)["text"] == "3" * 20


def test_what_comes_of_a_run_is_told_as_it_comes(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughtime.studio.run_routes.PAUSE", 0)
    LanguageModel.load(folders["lm"], device="cpu").save(tmp_path / "run")
    entry = Shelf([tmp_path / "run"], device="cpu").entries["run"]
    log = tmp_path / "run" / "metrics.jsonl"

    async def follow() -> list[tuple[str, Any]]:
        log.write_text('{"step": 10}\n{"step": 20}\n', encoding="utf-8")
        following = run_events(entry, 1)
        told = [await anext(following)]
        log.write_text(log.read_text(encoding="utf-8") + '{"step": 30}\n{"st', encoding="utf-8")
        told.append(await anext(following))
        os.utime(tmp_path / "run" / "model.safetensors", ns=(1, 1))
        told.append(await anext(following))
        await following.aclose()
        return [one for text in told for one in events(text)]

    assert asyncio.run(follow()) == [
        ("records", {"records": [{"step": 20}], "next": 2}),
        ("records", {"records": [{"step": 30}], "next": 3}),
        ("weights", {"is_ready": True}),
    ]


def test_folders_that_can_not_be_shown_are_told_before_anything_starts(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="give at least one model folder"):
        Shelf([])
    with pytest.raises(ModelFolderError, match="there is no such folder"):
        Shelf([tmp_path / "nothing"])
    copy = tmp_path / "lm"
    Translator.load(folders["translator"], device="cpu").save(copy)
    assert list(Shelf([folders["lm"], copy, copy], device="cpu").entries) == ["lm", "lm-2"]
