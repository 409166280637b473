from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from throughtime.data import (
    AllFrames,
    Frames,
    LabelledVideos,
    VideoSequences,
    find_videos,
    frames_of,
    gliding_digits,
    moving_digits,
    save_animation,
    split_videos,
)
from throughtime.data.sample_digits import digit
from throughtime.errors import ArgumentError, DataError, ModelFolderError


def clip(count: int, shade: int = 0) -> np.ndarray:
    """Frames of one shade each, the next one lighter."""
    shades = np.arange(count, dtype=np.uint8)[:, None, None] * 20 + shade
    return np.broadcast_to(shades, (count, 4, 6)).astype(np.uint8)


def write_frames(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{number}.png")
    return folder


def shades(video: Path | np.ndarray) -> list[int]:
    return [
        int(np.asarray(Image.open(frame) if isinstance(frame, Path) else frame).flat[0]) for frame in frames_of(video)
    ]


def test_a_folder_a_gif_and_an_array_are_the_same_video(tmp_path: Path) -> None:
    frames = clip(12)  # frame10 comes after frame9
    folder = write_frames(tmp_path / "clip", frames)
    save_animation(frames[..., None], tmp_path / "clip.gif")
    assert shades(folder) == shades(tmp_path / "clip.gif") == shades(frames) == [20 * number for number in range(12)]


def test_videos_are_found_in_every_layout(tmp_path: Path) -> None:
    for part, label, count in (("train", "left", 3), ("train", "right", 4), ("test", "left", 5)):
        write_frames(tmp_path / "parts" / part / label / "1", clip(count))
    found = find_videos([tmp_path / "parts"])
    assert {part: videos.labels for part, videos in found.items()} == {
        "test": [("left",)], "train": [("left",), ("right",)],
    }  # fmt: skip
    assert found["train"].lengths.tolist() == [3, 4]
    (tmp_path / "gifs").mkdir()
    for number in (1, 2):
        save_animation(clip(3, number)[..., None], tmp_path / "gifs" / f"{number}.gif")
    (plain,) = find_videos([tmp_path / "gifs"]).values()
    assert plain.labels == [(), ()]
    (single,) = find_videos([tmp_path / "gifs" / "1.gif"]).values()
    assert single.lengths.tolist() == [3]
    np.savez(tmp_path / "a.npz", videos=np.stack([clip(4), clip(4, 5)]), labels=np.array([1, 0]))
    (arrays,) = find_videos([tmp_path / "a.npz"]).values()
    assert arrays.labels == [("1",), ("0",)]
    np.savez(tmp_path / "train.npz", frames=clip(4)[None] / 255)
    np.savez(tmp_path / "valid.npz", frames=clip(5)[None, ..., None])
    both = find_videos([tmp_path / "train.npz", tmp_path / "valid.npz"])
    assert shades(both["train"].examples[0].video) == shades(clip(4))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert both["valid"].lengths.tolist() == [5]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": np.zeros((1, 2, 4, 4), np.uint8)}, "has no array called videos or frames; its arrays are other"),
        ({"videos": np.zeros((4, 4), np.uint8)}, r"its videos must have shape \(videos, time, height, width\)"),
        ({"videos": np.full((1, 2, 4, 4), -1.0)}, "its pixels must be numbers from 0 to 255"),
        ({"videos": np.zeros((2, 2, 4, 4), np.uint8), "labels": np.zeros(3)}, "has 2 videos and 3 labels"),
    ],
)
def test_bad_arrays_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "v.npz", **arrays)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=f"v.npz: {message}"):
        find_videos([tmp_path / "v.npz"])


def test_bad_videos_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no video", encoding="utf-8")
    for name, message in (
        ("broken.gif", "broken"), ("empty", "has no videos in it"), ("text.txt", "is no video"), ("none", "no such"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            find_videos([tmp_path / name])
    with pytest.raises(ArgumentError, match="`labels` must be as many as the videos, 1, got 2"):
        LabelledVideos.of([clip(2)], ["a", "b"])
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        LabelledVideos.load(tmp_path / "none.jsonl", "none")


def test_frames_stand_one_after_the_other_and_are_cut_into_windows(tmp_path: Path) -> None:
    videos = LabelledVideos.of([clip(5), clip(2, 100), clip(3, 200)])
    frames = AllFrames(videos)
    assert len(frames) == 10
    values = [int(np.asarray(frame).flat[0]) for frame in frames]
    assert values == [0, 20, 40, 60, 80, 100, 120, 200, 220, 240]
    assert frames.places[6] == "videos[1], frame 2"
    array = Frames(np.array(values, np.uint8).reshape(10, 1, 1, 1))
    whole = VideoSequences.whole(array, videos).batch([2, 0])
    assert whole.values[..., 0, 0, 0].T.tolist() == [[200, 220, 240, 0, 0], [0, 20, 40, 60, 80]]
    assert whole.lengths is not None
    assert whole.lengths.tolist() == [3, 5]
    windows = VideoSequences.windows(array, videos, 2)
    assert windows.lengths.tolist() == [2, 2, 2, 2]
    assert windows.batch(range(4)).values[..., 0, 0, 0].T.tolist() == [[0, 20], [40, 60], [100, 120], [200, 220]]
    assert windows.batch(range(4)).lengths is None
    videos.save(tmp_path / "v.jsonl")
    loaded = LabelledVideos.load(tmp_path / "v.jsonl", "v")
    assert loaded.lengths.tolist() == [5, 2, 3]
    with pytest.raises(ArgumentError, match="its frames are not here"):
        AllFrames(loaded)[0]
    splits = split_videos({"train": videos}, 0.3, seed=0)
    assert len(splits.train) + len(splits.valid) == 3


def test_digits_move_as_they_are_said_to() -> None:
    assert len({digit(number).tobytes() for number in range(10)}) == 10
    gliding = gliding_digits(20, seed=1)
    for one in gliding.examples:
        video = one.video
        assert isinstance(video, np.ndarray)
        speeds = [
            speed for speed in (1, 2)
            if (np.roll(video[:-1], {"right": speed, "left": -speed}.get(one.labels[0], 0), 2) == video[1:]).all()
            or (np.roll(video[:-1], {"down": speed, "up": -speed}.get(one.labels[0], 0), 1) == video[1:]).all()
        ]  # fmt: skip
        assert speeds
    assert set(gliding.labels) == {("right",), ("left",), ("up",), ("down",)}
    single = moving_digits(5, frames=30, digits=1)
    for one in single.examples:
        video = one.video
        assert isinstance(video, np.ndarray)
        assert video.shape == (30, 32, 32)
        assert len({int(frame.sum()) for frame in video}) == 1  # the digit is there as a whole in each frame
        assert (video[1:] != video[:-1]).any((1, 2)).mean() > 0.9  # but where it turns around
    with pytest.raises(ArgumentError, match="`side` must be at least 16"):
        moving_digits(1, side=8)
