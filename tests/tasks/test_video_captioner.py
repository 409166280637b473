from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from command_line import run
from throughtime import CaptionedVideos, VideoCaptioner, load
from throughtime.data import moving_shapes, save_animation
from throughtime.data.captioned_videos import find_captioned_videos
from throughtime.errors import ArgumentError, DataError, ModelFolderError

TINY = {
    "channels": (4,),
    "hidden_size": 24,
    "embedding_size": 12,
    "dropout": 0.0,
    "batch_size": 8,
    "validations": 3,
    "precision": "32",
    "learning_rate": 0.01,
    "warmup": 5,
    "attention": "general",
    "attention_penalty": 0.0,
}


def bars(count: int) -> CaptionedVideos:
    """A white bar that runs to the left or to the right, from four to six frames; no single frame tells where to."""
    videos: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    captions: list[list[str]] = []
    for number in range(count):
        way, frames = (1, -1)[number % 2], 4 + number % 3
        picture = np.zeros((8, 8), np.uint8)
        picture[:, number % 8] = 255
        videos.append(np.stack([np.roll(picture, way * t, axis=1) for t in range(frames)]))
        side = "right" if way == 1 else "left"
        captions.append([f"a bar runs to the {side}", f"it goes {side}"])
    return CaptionedVideos.of(videos, captions)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> VideoCaptioner:
    folder = tmp_path_factory.mktemp("videos") / "model"
    return VideoCaptioner.fit(bars(48), output=folder, epochs=30, **TINY)  # pyright: ignore[reportArgumentType]


def test_it_learns_to_say_what_moves_where(trained: VideoCaptioner, tmp_path: Path) -> None:
    fresh = bars(12)
    videos = [one.video for one in fresh.examples if one.video is not None]
    found = trained.caption(videos, attention=True)
    assert all(one.text in references for one, references in zip(found, fresh.captions, strict=True))
    for one, length in zip(found, fresh.lengths.tolist(), strict=True):
        assert one.attention is not None
        assert one.attention.shape == (len(one.pieces) + 1, length)
        np.testing.assert_allclose(one.attention.sum(1), 1, rtol=1e-5)
    evaluation = trained.evaluate(fresh, beam_size=1)
    assert (evaluation.count, evaluation.unit) == (12, "video")
    assert [row.model for row in evaluation.rows[1:]] == ["caption of the nearest middle frame", "most common caption"]
    assert evaluation.rows[0].bleu_4 == pytest.approx(100)
    trained.save(tmp_path / "copy")
    again = load(tmp_path / "copy")
    assert isinstance(again, VideoCaptioner)
    assert [one.text for one in again.caption(videos)] == [one.text for one in found]
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        again.evaluate()


def test_how_long_the_other_videos_of_a_batch_are_makes_no_difference(trained: VideoCaptioner) -> None:
    (short, long) = bars(3).examples[0::2]
    assert (short.frames, long.frames) == (4, 6)
    alone = trained.caption([np.asarray(short.video)], attention=True)[0]
    beside = trained.caption([np.asarray(long.video), np.asarray(short.video)], attention=True)[1]
    assert alone.log_probability == pytest.approx(beside.log_probability, abs=1e-4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of captions beside GIFs."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["video,caption"]
    for number, one in enumerate(bars(12).examples):
        save_animation(np.asarray(one.video)[..., None], folder / f"{number}.gif")
        rows += [f"{number}.gif,{caption}" for caption in one.captions]
    (folder / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_a_table_names_videos(clips: Path) -> None:
    found = find_captioned_videos([clips])["train"]
    assert found.captions == bars(12).captions
    assert found.lengths.tolist() == bars(12).lengths.tolist()
    assert found.summary() == "12 videos with 24 captions"


def test_the_commands_train_on_videos_go_on_judge_and_caption(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    small = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if name != "channels"]
    train = ["caption", "train", "-o", str(model), "--json", "--quiet"]
    code, out, err = run(capsys, *train, clips, "--videos", "--channels", "4", "--steps", "2", *small)
    assert (code, err) == (0, "")
    assert json.loads(out)["unit"] == "video"
    code, out, err = run(capsys, *train, "--resume", "--steps", "4")
    assert (code, err, json.loads(out)["steps"]) == (0, "", 4)
    code, out, _ = run(capsys, "caption", "evaluate", model, clips, "--beam-size", "1", "--examples", "1")
    assert code == 0
    assert "12 videos" in out
    assert "nearest middle frame" in out
    code, out, _ = run(capsys, "caption", "predict", model, clips / "0.gif", clips / "1.gif")
    assert code == 0
    assert [line.partition("\t")[0] for line in out.splitlines()] == [str(clips / "0.gif"), str(clips / "1.gif")]
    code, _, err = run(capsys, "caption", "predict", model, clips / "0.gif", "--attention", tmp_path / "a.png")
    assert (code, "this one captions videos" in err) == (1, True)
    code, _, err = run(capsys, "caption", "predict", model)
    assert (code, "there are no videos; give GIFs" in err) == (1, True)


def test_wrong_use_is_refused_in_one_sentence(trained: VideoCaptioner, tmp_path: Path) -> None:
    assert trained.caption([]) == []
    with pytest.raises(ArgumentError, match="`videos` must be a list of videos, got one name"):
        trained.caption("clip.gif")
    with pytest.raises(DataError, match=r"none.gif: there is no such file"):
        trained.caption([tmp_path / "none.gif"])
    with pytest.raises(ArgumentError, match="`fine_tune` is for pictures"):
        VideoCaptioner.fit(bars(8), fine_tune=True)
    with pytest.raises(DataError, match="has 1 video, too few to keep one for validation"):
        VideoCaptioner.fit(bars(1))


def test_no_frame_of_a_generated_video_tells_where_the_shape_goes() -> None:
    videos = moving_shapes(60, frames=4, side=24, seed=3)
    assert videos.summary() == "60 videos with 120 captions"
    ways = {"left": (0, -3), "right": (0, 3), "up": (-3, 0), "down": (3, 0), "still": (0, 0)}
    seen: set[str] = set()
    for one in videos.examples:
        way = one.captions[0].split()[-1]
        seen.add(way)
        frames = np.asarray(one.video)
        for before, after in pairwise(frames):
            np.testing.assert_array_equal(after, np.roll(before, ways[way], axis=(0, 1)))
    assert seen == set(ways)
