"""Captioning of videos: from frames to a sentence, many to many of another length.

An encoder of pictures looks at each frame, and recurrent layers read what it saw. Their last state starts the
captioner's decoder, which with attention looks at the frames, at each word anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from throughtime.data import (
    AllFrames,
    CaptionedVideos,
    Splits,
    VideoSequences,
    find_captioned_videos,
    load_splits,
)
from throughtime.models import VideoCaptioner
from throughtime.tasks.captioning import (
    CaptionData,
    Settings,
    decoder_options,
    keep_captions,
    open_tokenizer,
    split_given,
)
from throughtime.tasks.image_features import (
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import Run
from throughtime.training import ModelFolder

TASK = "video_captioning"


def load_data(sources: Sequence[CaptionedVideos | Path | str], settings: Settings, run: Run) -> None:
    """Find videos with captions, tell what was understood, learn the words, and write the frames as they are read.

    Args:
        sources: files, folders, or ``CaptionedVideos``.
        settings: where a row has its video and its caption, what a token is, and how frames are read.
        run: its folder gets tokenizer.json, tokens/ and how frames are read, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the videos", 0.0)
    splits = split_given(find_captioned_videos(sources, settings.columns), settings, run)
    frames = {name: AllFrames(part) for name, part in splits.parts().items()}
    reader = choose_reader(frames["train"], settings, spatial=False)
    prepare_pictures(reader, {name: (own, own.places) for name, own in frames.items()}, settings, run)
    keep_captions(splits, reader, settings, run)


def open_data(folder: ModelFolder, settings: Settings) -> CaptionData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, CaptionedVideos.load)
    videos = {name: VideoSequences.whole(open_pictures(folder, name), part) for name, part in splits.parts().items()}
    seen = Splits(videos["train"], videos["valid"], videos.get("test"))
    return CaptionData(splits, seen, open_tokenizer(folder, settings), PictureReader.load(folder), settings)


def build_model(settings: Settings, reader: PictureReader, vocabulary_size: int) -> VideoCaptioner:
    """Make the network, with fresh weights."""
    return VideoCaptioner(build_image_encoder(reader, settings), vocabulary_size, **decoder_options(settings))
