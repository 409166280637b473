"""Files of numbers and videos: what is read of them, what is said about them, and what is too much."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from starlette.testclient import TestClient

from throughtime import AnomalyDetector, SequenceClassifier, VideoCaptioner, VideoClassifier, VideoPredictor
from throughtime.data import animation_of, sample_gestures
from throughtime.inspection import sequence_saliency
from throughtime.studio import anomaly_routes, video_routes
from throughtime.studio.series_routes import stamps


def asked(client: TestClient, path: str, content: bytes, **options: Any) -> Any:
    response = client.post(path, content=content, params=options)
    assert response.status_code == 200, response.text
    return response.json()


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def pixels(frame: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(b64decode(frame))))


GESTURES = [example.values for example in sample_gestures(3, seed=5).examples]
AS_STEPS = "id,t,x,y\n" + "".join(
    f"{number},{step},{x},{y}\n" for number, own in enumerate(GESTURES) for step, (x, y) in enumerate(own)
)
AS_LINES = "".join(json.dumps({"values": own.tolist()}) + "\n" for own in GESTURES)
AS_ARRAYS = npz(values=np.concatenate(GESTURES), lengths=np.array([len(own) for own in GESTURES]))
AS_ONE = "y,note,x\n" + "".join(f"{y},0,{x}\n" for x, y in GESTURES[1])


@pytest.mark.parametrize("content", [AS_STEPS.encode(), AS_LINES.encode(), AS_ARRAYS])
def test_sequences_of_any_file_are_labelled_as_the_library_does(
    content: bytes, client: TestClient, folders: dict[str, Path]
) -> None:
    model = SequenceClassifier.load(folders["gestures"], device="cpu")
    found = asked(client, "/v1/label-sequences", content, look=1)
    for own, expected in zip(found["sequences"], model.predict(GESTURES), strict=True):
        assert own["labels"] == list(expected.labels)
        assert own["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    label, added = sequence_saliency(model, GESTURES[1])
    look = found["looked_at"]
    assert (look["explained"], look["steps"]) == (label, len(GESTURES[1]))
    np.testing.assert_allclose(np.transpose(look["values"]), GESTURES[1], rtol=1e-4)
    np.testing.assert_allclose(look["added"], added, rtol=2e-3, atol=1e-4)


def test_a_table_of_the_channels_is_one_sequence(client: TestClient, folders: dict[str, Path]) -> None:
    (own,) = asked(client, "/v1/label-sequences", AS_ONE.encode())["sequences"]
    (expected,) = SequenceClassifier.load(folders["gestures"], device="cpu").predict([GESTURES[1]])
    assert own["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)


def test_the_own_sequences_come_with_what_they_are(client: TestClient, folders: dict[str, Path]) -> None:
    examples = SequenceClassifier.load(folders["gestures"], device="cpu").own_examples()
    found = asked(client, "/v1/label-sequences", b"")
    assert [one["known"] for one in found["sequences"]] == [list(labels) for labels in examples.labels]
    assert found["left_out"] == 0


def test_what_is_odd_is_what_the_library_finds(client: TestClient, folders: dict[str, Path]) -> None:
    model = AnomalyDetector.load(folders["machine"], device="cpu")
    steps = np.arange(120)
    current, temperature = 10 + np.sin(steps / 4), 60 + np.cos(steps / 4)
    current[70:73] += 40
    table = "hour,current,temperature\n" + "".join(
        f"2024-03-{1 + step // 24:02}T{step % 24:02}:00,{a:.3f},{b:.3f}\n"
        for step, a, b in zip(steps, current, temperature, strict=True)
    )
    found = asked(client, "/v1/detect", table.encode(), threshold=3)
    expected = model.detect(table.encode(), threshold=3, baselines=False)
    (own,), (recording,) = expected.found, found["recordings"]
    np.testing.assert_allclose(recording["scores"], own.scores, rtol=1e-5)
    np.testing.assert_allclose(np.transpose(recording["values"]), own.recording.values, rtol=1e-5)
    assert [(one["begin"], one["end"], datetime.fromisoformat(one["first"])) for one in found["spans"]] == [
        (one.begin, one.end, datetime.fromisoformat(one.first)) for one in expected.spans
    ]
    assert any(one["begin"] <= 70 < one["end"] and one["channel"] == "current" for one in found["spans"])
    assert found["threshold"] == 3
    # With fewer points than steps no peak is lost.
    small = asked(client, "/v1/detect", table.encode(), threshold=3, points=25)["recordings"][0]
    assert (small["steps"], small["steps_per_point"], len(small["ds"])) == (120, 5, 24)
    assert small["scores"] == [max(recording["scores"][start : start + 5]) for start in range(0, 120, 5)]
    assert small["values"][0][14] == max(recording["values"][0][70:75])
    assert asked(client, "/v1/detect", b"")["recordings"][0]["steps"] == 300


def test_points_that_stand_for_several_steps_leave_out_what_is_missing() -> None:
    values = np.array([1.0, np.nan, 1.0, np.nan, np.nan, 1.0, -9.0, 2.0])
    found = anomaly_routes._furthest(values, 3)  # pyright: ignore[reportPrivateUsage]
    np.testing.assert_array_equal(found, [1.0, 1.0, -9.0])
    np.testing.assert_array_equal(anomaly_routes._furthest(np.full(4, np.nan), 2), [np.nan] * 2)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        (["2024-05-01T00:00:00.000000", "2024-05-02T00:00:00.000000"], ["2024-05-01", "2024-05-02"]),
        (["2024-05-01 00:00:00", "2024-05-01 23:00:00"], ["2024-05-01 00:00", "2024-05-01 23:00"]),
        (["2024-05-01 00:00:00", "2024-05-01 00:00:30"], ["2024-05-01 00:00:00", "2024-05-01 00:00:30"]),
        ([3, 4], ["3", "4"]),
    ],
)
def test_stamps_are_written_alike(moments: list[object], expected: list[str]) -> None:
    assert stamps(moments) == expected


CLIPS = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32), np.uint8)


def test_videos_are_labelled_as_the_library_does(client: TestClient, folders: dict[str, Path]) -> None:
    model = VideoClassifier.load(folders["videos"], device="cpu")
    found = asked(client, "/v1/label-video", npz(videos=CLIPS), look=1)
    for own, expected in zip(found["videos"], model.predict(list(CLIPS)), strict=True):
        assert own["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
        assert own["frames"] == 4
    np.testing.assert_array_equal([pixels(frame) for frame in found["frames"]], CLIPS[1])
    gif = animation_of(np.repeat(CLIPS[0][..., None] // 8 * 8, 3, axis=-1))
    (own,) = asked(client, "/v1/label-video", gif)["videos"]
    (expected,) = model.predict([np.stack([np.asarray(f.convert("RGB")) for f in _frames(gif)])])
    assert own["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)
    own = asked(client, "/v1/label-video", b"")["videos"]
    assert [one["known"] for one in own] == _known(folders["videos"], "labels")


def _frames(gif: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(gif)) as file:
        return [frame.copy() for frame in ImageSequence.Iterator(file)]


def _known(folder: Path, name: str) -> list[list[str]]:
    lines = (folder / "tokens" / "valid.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[name] for line in lines]


def test_videos_are_captioned_as_the_library_does(client: TestClient, folders: dict[str, Path]) -> None:
    model = VideoCaptioner.load(folders["clips"], device="cpu")
    film = np.random.default_rng(1).integers(0, 256, (2, 5, 16, 16, 3), np.uint8)
    found = asked(client, "/v1/caption-video", npz(videos=film), look=1)
    (expected,) = model.caption([film[1]], attention=True, beam_size=5, n_best=3)
    assert (found["text"], found["pieces"]) == (expected.text, list(expected.pieces))
    assert found["log_probability"] == pytest.approx(expected.log_probability, abs=1e-4)
    assert found["others"] == [one.text for one in expected.others]
    assert expected.attention is not None
    np.testing.assert_allclose(found["attention"], expected.attention, atol=1e-3)
    np.testing.assert_array_equal([pixels(frame) for frame in found["frames"]], film[1])
    assert (found["videos"], found["known"]) == (2, [])
    own = asked(client, "/v1/caption-video", b"", look=1)
    assert own["known"] == _known(folders["clips"], "captions")[1]


def test_a_video_goes_on_as_the_library_says(client: TestClient, folders: dict[str, Path]) -> None:
    video = CLIPS[0][:, :16, :16]
    found = asked(client, "/v1/next-frames", npz(video=video), count=3)
    expected = VideoPredictor.load(folders["frames"], device="cpu").predict(video, 3)[..., 0]
    np.testing.assert_array_equal([pixels(frame) for frame in found["seen"]], expected[:4])
    np.testing.assert_array_equal([pixels(frame) for frame in found["predicted"]], expected[4:])
    assert len(_frames(b64decode(found["gif"]))) == 7
    assert len(asked(client, "/v1/next-frames", b"")["predicted"]) == 10


def zeros(count: int) -> bytes:
    """An NPZ file of a few bytes that holds many."""
    return npz(values=np.zeros(count, np.uint8))


def lying() -> bytes:
    """An NPZ file whose array says that it is larger than any memory."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        head = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + "\n"
        archive.writestr("values.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
    return content.getvalue()


WRONG: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("/v1/label-sequences", b"a,b\n1,2\n", {}, "the file: holds no sequences of numbers that are recognised"),
    ("/v1/label-sequences", b"\x89PNG\r\n\x1a\n\0\0", {}, "the file"),
    ("/v1/label-sequences", AS_LINES.encode(), {"look": 3}, "`look` must be below 3, the number of sequences, got 3"),
    ("/v1/label-sequences", b'{"values": [1, 2, 3]}\n', {}, "the file: has 1 numbers a step, the model reads 2 (x, y)"),
    ("/v1/label-sequences", zeros(200_000_000), {}, "the file: holds 200,000,128 bytes; make it smaller"),
    ("/v1/label-sequences", lying(), {}, "the file: cannot be read as NPZ"),
    ("/v1/detect", b"not,a\ntable\n", {}, "the table"),
    ("/v1/detect", b"t,a,b,c\n1,2,3,4\n2,3,4,5\n3,4,5,6\n", {}, ""),
    ("/v1/label-video", b"nothing", {}, "the video: is not a picture that Pillow can read"),
    ("/v1/label-video", npz(video=np.zeros((2, 3), np.uint8)), {}, "the file: its videos must have shape"),
    ("/v1/label-video", npz(numbers=np.zeros(3)), {}, "the file: has no array called videos or frames"),
    ("/v1/caption-video", npz(video=CLIPS[0]), {"look": 1}, "`look` must be below 1, the number of videos, got 1"),
    ("/v1/next-frames", npz(video=np.zeros((1_001, 2, 2), np.uint8)), {}, "the video has 1,001 frames"),
    ("/v1/next-frames", npz(video=CLIPS[0]), {"look": 1}, "`look` must be below 1, the number of videos, got 1"),
]


@pytest.mark.parametrize(("path", "content", "options", "message"), WRONG)
def test_files_that_can_not_be_used_are_refused_in_one_sentence(
    path: str, content: bytes, options: dict[str, Any], message: str, client: TestClient
) -> None:
    response = client.post(path, content=content, params=options)
    assert response.status_code == 400, response.text
    assert response.json()["error"].startswith(message)
    assert "\n" not in response.json()["error"]


def test_an_animation_is_refused_before_all_of_it_is_unpacked(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_routes, "MOST_PIXELS", 2_500)
    response = client.post("/v1/label-video", content=animation_of(CLIPS[0][..., None]))
    assert response.json()["error"] == "the video: has too many pixels; make it smaller, 2,500 are read at most"
