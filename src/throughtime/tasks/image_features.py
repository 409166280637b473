"""What all tasks that look at pictures share: their settings, pictures to inputs of a network, and its encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch

from throughtime.data import (
    FeatureCache,
    Frames,
    Ids,
    Picture,
    Pixels,
    Preprocessing,
    checked_pixels,
    open_features,
    open_image,
)
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.files import replacing, write_text
from throughtime.models import ConvolutionalEncoder, FullyConnectedEncoder, GivenFeatures, ImageEncoder
from throughtime.models.pretrained_encoder import PretrainedEncoder
from throughtime.tasks.network_training import Run, TrainingSettings
from throughtime.tasks.pretrained_backbones import load_pretrained
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ModelFolder

USUAL_SIDE = 64
LOOKED_AT = 50
MEASURED = 5_000
MOST_COMPARED = 5_000
AT_ONCE = 64


class ImageSettings(TrainingSettings):
    """How a network looks at pictures. What is None is chosen from the pictures."""

    image_size: Positive | None = None
    """Height and width of the network's input in pixels; the backbone's, or the pictures' own up to 64, by default."""
    fit: Literal["stretch", "crop", "pad"] | None = None
    """How a picture of another shape gets there: stretched, its middle cropped, or padded with white."""
    grey: bool | None = None
    """Whether colours are left out; where no picture has any, by default."""
    skip_broken: bool = False
    """Whether pictures that can't be read are left out, rather than an error."""
    backbone: str | None = None
    """A network that others trained, of transformers: a folder, or the name of a model on the hub."""
    fine_tune: bool = False
    """Whether the backbone is trained on; else it stays as it is, and what it gives is computed once."""
    channels: tuple[Positive, ...] = (32, 64, 128)
    """Filters of each stage of the own convolutional network, each of which halves height and width."""
    convolutions: Positive = 1
    """Convolutions in each stage."""
    image_dropout: Probability = 0.0
    """Probability of dropping a whole feature map after a stage of the own network."""
    batch_norm: bool = True
    """Whether the own convolutional network normalises over the batch after each convolution."""


@dataclass(frozen=True)
class PictureReader:
    """From pictures to what a network gets: pixels, or the features that a frozen backbone gives.

    Attributes:
        preprocessing: from pictures to pixels.
        backbone: a network that others trained; None where there is none.
        fine_tuned: whether it is trained on: then the network gets pixels, and the backbone is a part of it.
    """

    preprocessing: Preprocessing
    backbone: PretrainedEncoder | None = None
    fine_tuned: bool = False

    @property
    def gives_pixels(self) -> bool:
        """Whether the network gets pixels."""
        return self.backbone is None or self.fine_tuned

    def frames(self, pictures: Sequence[Picture], places: Sequence[str] = ()) -> Frames:
        """What the network gets for pictures.

        Args:
            pictures: files or pixels.
            places: what each is called in messages.

        Raises:
            DataError: naming the picture, where one can't be read.
        """
        named = places or [""] * len(pictures)
        parts = [
            self._read(pictures[start : start + AT_ONCE], named[start : start + AT_ONCE])
            for start in range(0, len(pictures), AT_ONCE)
        ]
        return Frames(np.concatenate(parts))

    def _read(self, pictures: Sequence[Picture], places: Sequence[str]) -> np.ndarray[Any, Any]:
        pixels = np.stack([self.preprocessing.pixels(one, place) for one, place in zip(pictures, places, strict=True)])
        return pixels if self.gives_pixels else self._features(pixels)

    def cache(self, file: Path) -> FeatureCache:
        """What is written of many pictures into that file."""
        if self.backbone is None or self.fine_tuned:
            return FeatureCache(file, self.preprocessing)
        shape = self.backbone.places, self.backbone.output_size
        name = f"features of {self.backbone.name}"
        return FeatureCache(file, self.preprocessing, self._features, shape, "float32", name)

    def save(self, folder: ModelFolder) -> None:
        """Write what ``load`` needs into a model's folder."""
        content: dict[str, Any] = {"preprocessing": self.preprocessing.to_json()}
        if self.backbone is not None:
            content["backbone"] = self.backbone.config
            content["spatial"], content["fine_tuned"] = self.backbone.spatial, self.fine_tuned
            with replacing(folder.backbone_file) as temporary:
                safetensors.torch.save_model(self.backbone, str(temporary))
        write_text(folder.preprocessing_file, json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, folder: ModelFolder) -> PictureReader:
        """Take up what ``save`` wrote; a backbone that is fine-tuned has the weights that it began with.

        Raises:
            ModelFolderError: where it is missing or damaged.
        """
        try:
            content = json.loads(folder.preprocessing_file.read_text(encoding="utf-8"))
            how = Preprocessing.from_json(content["preprocessing"])
            if "backbone" not in content:
                return cls(how)
            fine_tuned = bool(content["fine_tuned"])
            backbone = PretrainedEncoder(
                content["backbone"], how.shape, how.mean, how.std, spatial=content["spatial"], frozen=not fine_tuned
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(f"{folder.preprocessing_file}: missing or damaged ({error})") from error
        try:
            safetensors.torch.load_model(backbone, folder.backbone_file)
        except (OSError, RuntimeError, safetensors.SafetensorError) as error:
            raise ModelFolderError(f"{folder.backbone_file}: missing or damaged ({error})") from error
        return cls(how, backbone.eval(), fine_tuned)

    @torch.inference_mode()
    def _features(self, pixels: Pixels) -> np.ndarray[Any, Any]:
        if self.backbone is None:
            raise ArgumentError("there is no backbone, the network gets pixels")
        return self.backbone(torch.from_numpy(np.ascontiguousarray(pixels))).numpy()


def choose_reader(pictures: Sequence[Picture], settings: ImageSettings, *, spatial: bool) -> PictureReader:
    """Choose how pictures are read.

    Args:
        pictures: those to learn from.
        settings: what the user said.
        spatial: whether the network wants a vector for each place of a picture.

    Raises:
        DataError: where a picture or the backbone can't be read.
    """
    if settings.backbone is not None:
        backbone, usual = load_pretrained(settings.backbone, spatial=spatial, frozen=not settings.fine_tune)
        if settings.image_size not in {None, usual.height} or settings.grey:
            raise ArgumentError(
                f"the backbone looks at {usual.height} x {usual.width} pixels in colour; leave out `image_size` and "
                "`grey`"
            )
        chosen = replace(usual, fit=settings.fit) if settings.fit else usual
        return PictureReader(chosen, backbone, settings.fine_tune)
    if settings.fine_tune:
        raise ArgumentError("`fine_tune` needs a `backbone`")
    pixels = _some_pixels(pictures)
    grey = settings.grey if settings.grey is not None else all(_is_grey(own) for own in pixels)
    sizes = {own.shape[:2] for own in pixels}
    height, width = sizes.pop() if len(sizes) == 1 else (USUAL_SIDE, USUAL_SIDE)
    if max(height, width) > USUAL_SIDE:
        height = width = USUAL_SIDE
    if settings.image_size is not None:
        height = width = settings.image_size
    return PictureReader(Preprocessing(height, width, 1 if grey else 3, fit=settings.fit or "stretch"))


def prepare_pictures(
    reader: PictureReader,
    parts: Mapping[str, tuple[Sequence[Picture], Sequence[str]]],
    settings: ImageSettings,
    run: Run,
) -> dict[str, list[int]]:
    """Write the pictures of each part into the model folder's tokens/, and how they are read, mean and deviation too.

    Args:
        reader: how they are read.
        parts: pictures and what they are called, by name; train is measured.
        settings: whether broken pictures are left out.
        run: its folder gets the files, its display shows how long it takes.

    Returns:
        Which pictures of each part were left out.

    Raises:
        DataError: naming the picture, where one can't be read.
    """
    broken: dict[str, list[int]] = {}
    for name, (pictures, places) in parts.items():

        def progress(fraction: float, name: str = name) -> None:
            run.display.update(f"reading the pictures of {name}", fraction)

        cache = reader.cache(pictures_file(run.folder, name))
        broken[name] = cache.write(
            pictures, places, skip_broken=settings.skip_broken, tell=run.display.line, progress=progress
        )
    if reader.backbone is None:
        mean, std = _measured(open_pictures(run.folder, "train"))
        reader = replace(reader, preprocessing=replace(reader.preprocessing, mean=mean, std=std))
    reader.save(run.folder)
    return broken


def build_image_encoder(
    reader: PictureReader, settings: ImageSettings, hidden_sizes: Sequence[int] = ()
) -> ImageEncoder:
    """Make the encoder that is trained with a network, with fresh weights.

    Args:
        reader: what gives its pictures.
        settings: its sizes.
        hidden_sizes: units of a feed-forward network, which the encoder then is.
    """
    how = reader.preprocessing
    if reader.backbone is not None:
        own = reader.backbone
        return own if reader.fine_tuned else GivenFeatures(own.grid, own.output_size)
    if hidden_sizes:
        dropout = settings.image_dropout
        return FullyConnectedEncoder(how.shape, how.mean, how.std, hidden_sizes=hidden_sizes, dropout=dropout)
    return ConvolutionalEncoder(
        how.shape,
        how.mean,
        how.std,
        channels=settings.channels,
        convolutions=settings.convolutions,
        dropout=settings.image_dropout,
        batch_norm=settings.batch_norm,
    )


def nearest_pictures(asked: Frames, known: Frames) -> Ids:
    """Which of the known pictures is nearest to each, by the distance of pixels or features, shape (pictures,), int64.

    Of many known ones only 5,000 at equal distances are compared.
    """
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - slow to import

    rows = np.linspace(0, len(known) - 1, min(MOST_COMPARED, len(known))).astype(np.int64)
    compared, own = (
        frames.array[chosen].reshape(len(chosen), -1).astype(np.float32)
        for frames, chosen in ((known, known.rows[rows]), (asked, asked.rows))
    )
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(compared).kneighbors(own)[1][:, 0]
    return rows[nearest]


def pictures_file(folder: ModelFolder, part: str) -> Path:
    """Where the pictures of a part stand."""
    return folder.tokens / f"{part}.npy"


def open_pictures(folder: ModelFolder, part: str) -> Frames:
    """The pictures of a part that ``prepare_pictures`` wrote.

    Raises:
        ModelFolderError: where they are missing or damaged.
    """
    return open_features(pictures_file(folder, part))


def _some_pixels(pictures: Sequence[Picture]) -> list[Pixels]:
    """The own pixels of some pictures; that others are broken is told when all of them are read.

    Raises:
        DataError: where none of them can be read.
    """
    looked = [pictures[row] for row in np.linspace(0, len(pictures) - 1, min(LOOKED_AT, len(pictures))).astype(int)]
    found: list[Pixels] = []
    broken: list[DataError] = []
    for picture in looked:
        try:
            found.append(np.asarray(open_image(picture)) if isinstance(picture, Path) else checked_pixels(picture))
        except DataError as error:
            broken.append(error)
    if not found:
        raise DataError(
            f"{broken[0]}; nor can any other of {len(looked)} pictures that were tried be read"
        ) from broken[0]
    return found


def _is_grey(pixels: Pixels) -> bool:
    return pixels.shape[2] == 1 or bool((pixels[..., :1] == pixels[..., :3]).all())


def _measured(frames: Frames) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of values from 0 to 1, over pictures at equal distances."""
    rows = frames.rows[np.linspace(0, len(frames) - 1, min(MEASURED, len(frames))).astype(int)]
    sums, squares, count = 0.0, 0.0, 0
    for part in np.array_split(rows, -(-len(rows) // 500)):
        values = np.asarray(frames.array[np.unique(part)]).astype(np.float64) / 255
        sums, squares = sums + values.sum((0, 1, 2)), squares + (values**2).sum((0, 1, 2))
        count += values.size // values.shape[3]
    mean = np.atleast_1d(sums / count)
    deviation = np.sqrt(np.maximum(np.atleast_1d(squares / count) - mean**2, 1e-6))
    return tuple(mean.round(4).tolist()), tuple(deviation.round(4).clip(1e-3).tolist())
