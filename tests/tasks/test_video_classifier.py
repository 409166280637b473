from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from command_line import run
from throughtime import LabelledVideos, VideoClassifier, load
from throughtime.cli import main
from throughtime.errors import ArgumentError, DataError
from throughtime.models import ConvolutionalEncoder, RecurrentVideoClassifier
from throughtime.sequence import SequenceBatch

TINY = ["--hidden-size", "4", "--channels", "4", "--frame-size", "8", "--steps", "1", "--validations", "1", "--quiet"]


def brightening(count: int) -> LabelledVideos:
    """Videos that become lighter or darker; their frames are the same in another order."""
    ramp = np.array([40, 120, 200, 240], np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)
    labels = ["lighter" if number % 2 else "darker" for number in range(count)]
    return LabelledVideos.of([ramp if label == "lighter" else ramp[::-1] for label in labels], labels)


@pytest.mark.parametrize("recurrence", ["vectors", "convolutional"])
def test_a_network_learns_what_no_frame_tells(recurrence: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"hidden_size": 8, "frame_size": 8, "channels": [4], "dropout": 0.0, "batch_size": 8}
    model = VideoClassifier.fit(brightening(40), recurrence=recurrence, epochs=15, learning_rate=0.01, **options)
    found = model.evaluate(brightening(20))
    assert [row.model for row in found.rows[1:]] == ["most frequent class", "nearest middle frame"]
    assert found.rows[0].accuracy == 1
    assert found.rows[1].accuracy == 0.5
    model.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert isinstance(loaded, VideoClassifier)
    video = brightening(2).examples[1].video
    assert video is not None
    (prediction,) = loaded.predict([video])
    assert prediction.labels == ("lighter",)
    assert prediction.probabilities == pytest.approx(model.predict([video])[0].probabilities, abs=1e-6)


@pytest.mark.parametrize("recurrence", ["vectors", "convolutional"])
def test_what_stands_after_the_end_of_a_video_means_nothing(recurrence: str) -> None:
    torch.manual_seed(0)
    images = ConvolutionalEncoder((8, 8, 1), channels=(4,))
    network = RecurrentVideoClassifier(
        images, 3, recurrence=recurrence, hidden_size=5, frame_size=6, bidirectional=True, pooling="last"
    ).eval()
    frames = torch.randint(256, (5, 2, 8, 8, 1), dtype=torch.uint8)
    scores = network(SequenceBatch(frames, torch.tensor([5, 3])))
    for row, length in ((0, 5), (1, 3)):
        alone = network(SequenceBatch(frames[:length, row : row + 1]))
        torch.testing.assert_close(scores[row], alone[0], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, one in enumerate(brightening(20).examples):
        assert isinstance(one.video, np.ndarray)
        place = folder / one.labels[0] / str(number)
        place.mkdir(parents=True)
        for step, frame in enumerate(one.video):
            Image.fromarray(frame).save(place / f"{step}.png")
    return folder


def test_the_commands_train_evaluate_and_predict(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    with pytest.raises(SystemExit) as stopped:
        main(["video", "train", str(clips), "-o", str(model), *TINY])
    assert stopped.value.code == 0
    assert "nearest middle frame" in capsys.readouterr().out
    code, out, _ = run(capsys, "video", "evaluate", model, clips, "--json", "--no-baselines")
    assert code == 0
    assert json.loads(out)["examples"] == 20
    code, out, _ = run(capsys, "video", "predict", model, clips / "lighter" / "1", clips / "darker" / "0", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [Path(answer["video"]).name for answer in answers] == ["1", "0"]
    assert set(answers[0]["probabilities"]) == {"darker", "lighter"}
    assert (model / "README.md").read_text(encoding="utf-8").startswith("# A video classifier")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-o", "OUT"], "there is nothing to learn from; give a file or folder of labelled videos"),
        (["train", "CLIPS"], "give --output"),
        (["train", "CLIPS", "-o", "OUT", "--skip-broken"], "`skip_broken` is for single pictures"),
        (["train", "CLIPS", "-o", "OUT", "--pooling", "sum"], "sum"),
        (["predict", "nowhere", "x.gif"], "nowhere: there is no such folder"),
        (["predict", "nowhere"], "there are no videos; give GIFs"),
    ],
)
def test_bad_input_is_one_sentence(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    places = {"CLIPS": clips, "OUT": tmp_path / "out"}
    code, out, err = run(capsys, "video", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_videos_need_labels_to_be_classified() -> None:
    with pytest.raises(DataError, match="must have one label, has 0"):
        VideoClassifier.fit(LabelledVideos.of([np.zeros((2, 8, 8), np.uint8)] * 10))
    with pytest.raises(ArgumentError, match="must be a list of videos"):
        VideoClassifier.predict(None, "one.gif")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
