from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch.nn.functional import binary_cross_entropy

from command_line import run
from throughtime import LabelledVideos, VideoPredictor, load
from throughtime.cli import main
from throughtime.data import moving_digits, save_animation
from throughtime.errors import ArgumentError, DataError
from throughtime.models import FramePredictor
from throughtime.sequence import SequenceBatch
from throughtime.training import next_frame_losses

TINY: dict[str, Any] = {"hidden_channels": 4, "num_layers": 1, "batch_size": 8}


def running_bar(count: int, frames: int = 6) -> LabelledVideos:
    """A white bar that goes one column to the right in each frame and comes in again on the left."""
    videos: list[np.ndarray] = []
    for start in range(count):
        video = np.zeros((frames, 8, 8), np.uint8)
        for t in range(frames):
            video[t, :, (start + t) % 8] = 255
        videos.append(video)
    return LabelledVideos.of(videos)


def test_a_network_learns_what_moves_and_goes_on_freely(tmp_path: Path) -> None:
    model = VideoPredictor.fit(
        running_bar(24), epochs=40, hidden_channels=16, num_layers=1, kernel_size=3, patch_size=4, batch_size=8,
        learning_rate=0.02,
    )  # fmt: skip
    found = model.evaluate(running_bar(8), observed=3)
    ours, persistence = found.rows
    assert persistence.mse == pytest.approx(16, abs=1e-4)  # eight pixels go and eight come
    assert ours.mse < 2
    assert len(ours.continued) == 3
    assert ours.continued[-1] < 4 < persistence.continued[-1]
    model.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert isinstance(loaded, VideoPredictor)
    video = running_bar(1).examples[0].video
    assert isinstance(video, np.ndarray)
    gone_on = loaded.predict(video, 2)
    assert gone_on.shape == (8, 8, 8, 1)
    assert (gone_on[:6, ..., 0] == video).all()
    assert gone_on[6, 0, :, 0].argmax() == 6
    assert (gone_on == model.predict(video, 2)).all()


def test_the_loss_is_cross_entropy_of_what_there_is_of_each_video() -> None:
    torch.manual_seed(0)
    network = FramePredictor((8, 8, 1), hidden_channels=3, num_layers=1)
    values = torch.randint(256, (5, 2, 8, 8, 1), dtype=torch.uint8)
    losses = next_frame_losses(network, SequenceBatch(values, torch.tensor([5, 3])))
    assert losses.shape == (6,)
    found: list[torch.Tensor] = []
    for row, length in ((0, 5), (1, 3)):
        video = values[:length, row : row + 1]
        predicted = network(SequenceBatch(video[:-1])).sigmoid()
        found += [
            binary_cross_entropy(one, wanted) for one, wanted in zip(predicted, video[1:].float() / 255, strict=True)
        ]
    torch.testing.assert_close(losses.sum(), torch.stack(found).sum(), rtol=1e-5, atol=1e-5)


def test_going_on_step_by_step_is_reading_it_all() -> None:
    torch.manual_seed(0)
    network = FramePredictor((8, 12, 3), hidden_channels=3, cell="gru", patch_size=2)
    values = torch.rand(4, 2, 8, 12, 3)
    continued = network.continued(SequenceBatch(values), 3)
    whole = torch.cat([values, continued[:2]])
    torch.testing.assert_close(network(SequenceBatch(whole)).sigmoid()[3:], continued, rtol=1e-4, atol=1e-5)
    with pytest.raises(ArgumentError, match="`patch_size` must divide height and width of the frames, 8 x 12"):
        FramePredictor((8, 12, 3), patch_size=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    with pytest.raises(SystemExit) as stopped:
        main(["next-frame", "train", "--sample", "-o", str(folder), "--steps", "1", "--validations", "1", "--quiet",
              "--hidden-channels", "4", "--num-layers", "1"])  # fmt: skip
    assert stopped.value.code == 0
    return folder


def test_the_commands_evaluate_and_go_on(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = moving_digits(1).examples[0].video
    assert isinstance(video, np.ndarray)
    save_animation(video[..., None], tmp_path / "video.gif")
    code, out, err = run(capsys, "next-frame", "predict", model, tmp_path / "video.gif", "-o", tmp_path / "on.gif")
    assert (code, err) == (0, "")
    assert "20 frames as they were and 10 predicted ones" in out
    with Image.open(tmp_path / "on.gif") as animation:
        assert len(list(ImageSequence.Iterator(animation))) == 30
    code, out, _ = run(capsys, "next-frame", "evaluate", model, tmp_path / "video.gif", "--observed", "15", "--json")
    result = json.loads(out)
    assert [len(row["continued"]) for row in result["rows"]] == [5, 5]
    code, out, _ = run(capsys, "next-frame", "evaluate", model)
    assert "persistence" in out
    assert (model / "README.md").read_text(encoding="utf-8").startswith("# The next frame of a video")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-o", "OUT"], "there is nothing to learn from; give a file or folder of videos, or --sample"),
        (["train", "--sample"], "give --output"),
        (["train", "GIF", "--sample", "-o", "OUT"], "give data or --sample, not both"),
        (["train", "none", "-o", "OUT"], "none: there is no such file or folder"),
        (["train", "GIF", "-o", "OUT", "--quiet"], "too few to keep some for validation"),
        (
            ["evaluate", "MODEL", "--observed", "20"],
            "`observed` must be from 1 to 11 frames, as the videos have, got 20",
        ),
        (["predict", "MODEL", "none.gif", "-o", "on.gif"], "none.gif: there is no such file"),
        (["predict", "MODEL", "GIF", "-o", "on.gif", "--frames", "0"], "`frames` must be a positive integer, got 0"),
        (["predict", "MODEL", "GIF", "-o", "on.mp4"], "`output` must be a file that ends in .gif, got 'on.mp4'"),
    ],
)
def test_bad_input_is_one_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    places = {"MODEL": model, "OUT": tmp_path / "out", "GIF": tmp_path / "one.gif"}
    save_animation(np.zeros((3, 8, 8, 1), np.uint8) + np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1), places["GIF"])
    code, out, err = run(capsys, "next-frame", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_videos_without_a_second_frame_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="no video has two frames"):
        VideoPredictor.fit(running_bar(8, frames=1), **TINY)
