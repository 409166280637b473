"""Videos: an animation's content in; a label, a caption, or the frames that come next out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from typing import Annotated, NamedTuple

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.data import Pixels, VideoSequences, animation_of, frames_of, image_of, read_videos
from throughtime.errors import ModelFolderError
from throughtime.inspection.videos import own_videos
from throughtime.studio.limits import MOST_FRAMES, MOST_FRAMES_AHEAD, MOST_FRAMES_SHOWN, MOST_PIXELS, MOST_VIDEOS
from throughtime.studio.picture_routes import Said, captioned
from throughtime.studio.refusals import RefusedError
from throughtime.studio.requests import Beam, Name, content_of
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import next_frame, video_captioning, video_classification
from throughtime.tasks.image_features import PictureReader, open_pictures
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.training import ModelFolder

router = APIRouter(tags=["videos"])

VIDEO = content_of(
    "application/octet-stream",
    "The content of an animated GIF, or of NPZ with an array called video, of shape (time, height, width), or of "
    "several, (videos, time, height, width) or (..., channel). The model's own validation videos if empty.",
    required=False,
)

Look = Annotated[int, Query(ge=0, lt=MOST_VIDEOS, description="Which of several videos to look at, from 0.")]
Frame = Annotated[str, Field(description="A PNG picture in base64.")]


class VideoLabel(BaseModel):
    """What a classifier says about a video."""

    labels: list[str]
    probabilities: dict[str, float]
    known: list[str] = Field(description="Its true labels, where it is one of the model's own.")
    frames: int


class VideoLabels(BaseModel):
    """What a classifier says about videos."""

    model: str
    videos: list[VideoLabel]
    looked_at: int
    frames: list[Frame] = Field(description="The first ones of the video that is looked at, as the network saw them.")
    left_out: int = Field(description="Videos that are too many.")


class CaptionedVideo(Said):
    """What is said about a video."""

    attention: list[list[float]] | None = Field(
        description="How much each piece, and the end, looked at each frame: (pieces + 1, frames); none without "
        "attention."
    )
    known: list[str] = Field(description="Its captions, where it is one of the model's own.")
    videos: int = Field(description="How many there are to choose from.")
    looked_at: int
    frames: list[Frame] = Field(description="The first ones of the video, as the network saw them.")


class NextFrames(BaseModel):
    """How a video goes on."""

    model: str
    videos: int = Field(description="How many there are to choose from.")
    looked_at: int
    seen: list[Frame] = Field(description="The last ones of the video's frames, as the network saw them.")
    predicted: list[Frame]
    gif: str = Field(description="All of them as an animated GIF in base64.")


class _Clip(NamedTuple):
    """A video.

    Attributes:
        pixels: shape (time, height, width) or (time, height, width, channel).
        said: its true labels or captions; none where they aren't known.
    """

    pixels: Pixels
    said: tuple[str, ...] = ()


@router.post("/v1/label-video", openapi_extra=VIDEO)
async def label_video(studio: TheStudio, body: Body, model: Name = None, look: Look = 0) -> VideoLabels:
    """Classify a video, or several, which are the body of the request."""
    entry = studio.shelf.entry(model, video_classification.TASK)

    def answer(loaded: VideoClassifier) -> VideoLabels:
        clips, left_out = _read(body, loaded.folder, loaded.reader)
        chosen = _chosen(clips, look)
        found = loaded.predict([clip.pixels for clip in clips])
        return VideoLabels(
            model=entry.name,
            videos=[
                VideoLabel(
                    labels=list(one.labels),
                    probabilities={name: round(value, 6) for name, value in one.probabilities.items()},
                    known=list(clip.said),
                    frames=len(clip.pixels),
                )
                for clip, one in zip(clips, found, strict=True)
            ],
            looked_at=look,
            frames=_seen(chosen, loaded.reader),
            left_out=left_out,
        )

    return await studio.ask(entry, VideoClassifier, answer)


@router.post("/v1/caption-video", openapi_extra=VIDEO)
async def caption_video(
    studio: TheStudio, body: Body, model: Name = None, look: Look = 0, beam_size: Beam = 5
) -> CaptionedVideo:
    """Say what happens in a video, which is the body of the request, and at which frames each word looked."""
    entry = studio.shelf.entry(model, video_captioning.TASK)

    def answer(loaded: VideoCaptioner) -> CaptionedVideo:
        clips, _ = _read(body, loaded.folder, loaded.reader)
        chosen = _chosen(clips, look)
        return CaptionedVideo(
            **captioned(entry.name, loaded, chosen.pixels, beam_size),
            known=list(chosen.said),
            videos=len(clips),
            looked_at=look,
            frames=_seen(chosen, loaded.reader),
        )

    return await studio.ask(entry, VideoCaptioner, answer)


@router.post("/v1/next-frames", openapi_extra=VIDEO)
async def next_frames(
    studio: TheStudio,
    body: Body,
    model: Name = None,
    look: Look = 0,
    count: Annotated[int, Query(ge=1, le=MOST_FRAMES_AHEAD, description="Frames to predict.")] = 10,
) -> NextFrames:
    """Go on with a video, which is the body of the request: each predicted frame is what the next is predicted from."""
    entry = studio.shelf.entry(model, next_frame.TASK)

    def answer(loaded: VideoPredictor) -> NextFrames:
        clips, _ = _read(body, loaded.folder, loaded.reader)
        frames = loaded.predict(_chosen(clips, look).pixels, count)
        shown = frames[-MOST_FRAMES_SHOWN - count :]
        return NextFrames(
            model=entry.name,
            videos=len(clips),
            looked_at=look,
            seen=_pictures(shown[:-count]),
            predicted=_pictures(shown[-count:]),
            gif=b64encode(animation_of(shown)).decode(),
        )

    return await studio.ask(entry, VideoPredictor, answer)


def _read(content: bytes, folder: ModelFolder, reader: PictureReader) -> tuple[list[_Clip], int]:
    """The videos of a request, or the model's own, and how many are left out."""
    if not content:
        return _own(folder, reader), 0
    videos = read_videos(content, most_pixels=MOST_PIXELS)
    longest = max(map(len, videos))
    if longest > MOST_FRAMES:
        raise RefusedError(400, f"the video has {longest:,} frames; make it shorter, {MOST_FRAMES:,} are read at most")
    return [_Clip(video) for video in videos[:MOST_VIDEOS]], max(len(videos) - MOST_VIDEOS, 0)


def _own(folder: ModelFolder, reader: PictureReader) -> list[_Clip]:
    if not reader.gives_pixels:
        raise RefusedError(400, "send the content of a video's file; of the model's own videos there are only features")
    try:
        videos, said = own_videos(folder)
        sequences = VideoSequences.whole(open_pictures(folder, "valid"), videos)
    except ModelFolderError as error:
        raise RefusedError(400, "send the content of a video's file; the model's own videos are not there") from error
    array = sequences.frames.array
    return [
        _Clip(np.asarray(array[begin : begin + length]), own)
        for begin, length, own in islice(
            zip(sequences.begins.tolist(), sequences.lengths.tolist(), said, strict=True), MOST_VIDEOS
        )
    ]


def _chosen(clips: Sequence[_Clip], number: int) -> _Clip:
    if number >= len(clips):
        raise RefusedError(400, f"`look` must be below {len(clips)}, the number of videos, got {number}")
    return clips[number]


def _seen(clip: _Clip, reader: PictureReader) -> list[str]:
    """The first frames of a video as its network sees them."""
    frames = frames_of(clip.pixels[:MOST_FRAMES_SHOWN])
    return _pictures([reader.preprocessing.pixels(frame) for frame in frames])


def _pictures(frames: Sequence[Pixels] | Pixels) -> list[str]:
    return [b64encode(_png(frame)).decode() for frame in frames]


def _png(frame: Pixels) -> bytes:
    content = BytesIO()
    image_of(frame, frame.shape[-1]).save(content, "PNG")
    return content.getvalue()
