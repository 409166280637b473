"""Networks that others trained on many pictures: found on the hub or in a folder, with the way to prepare pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from throughtime.data import Preprocessing
from throughtime.errors import DataError
from throughtime.models.pretrained_encoder import PretrainedEncoder, transformers_library

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
USUAL_SIZE = 224
_PREPROCESSOR = "preprocessor_config.json"


def load_pretrained(
    name: str, *, spatial: bool = False, frozen: bool = True
) -> tuple[PretrainedEncoder, Preprocessing]:
    """Load a network with its weights.

    Args:
        name: a folder with config.json and model.safetensors, or the name of a model on the hub, such as
            microsoft/resnet-18, which is downloaded, once.
        spatial: whether a vector for each place comes out, or one for the whole picture.
        frozen: whether it stays as it is.

    Returns:
        The network, and how its pictures are prepared.

    Raises:
        DataError: where there is no such folder, or the weights can't be fetched.
        MissingExtraError: where transformers is not installed.
    """
    transformers = transformers_library()
    is_folder = Path(name).is_dir()
    if is_folder and not (Path(name) / "config.json").is_file():
        raise DataError(f"{name}: has no config.json, so it is no network of transformers")
    try:
        with _silent(transformers):
            network = _fetched(transformers, name, is_folder=is_folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        if is_folder:
            raise DataError(f"{name}: can't be loaded by transformers ({_first_line(error)})") from error
        raise DataError(
            f"the backbone {name!r} is no folder here and can't be fetched ({_first_line(error)}); download "
            f"config.json, {_PREPROCESSOR} and model.safetensors of https://huggingface.co/{name} into a folder, and "
            "give that folder"
        ) from error
    config = cast("dict[str, Any]", json.loads(network.config.to_json_string(use_diff=False)))
    preprocessing = pretrained_preprocessing(name)
    encoder = PretrainedEncoder(
        config, preprocessing.shape, preprocessing.mean, preprocessing.std, spatial=spatial, frozen=frozen
    )
    encoder.network.load_state_dict(network.state_dict())
    return encoder, preprocessing


def pretrained_preprocessing(name: str) -> Preprocessing:
    """How the pictures were prepared that a network was trained on; as for ImageNet where it doesn't say.

    Args:
        name: a folder, or the name of a model on the hub.

    Raises:
        DataError: where its preprocessor_config.json can't be read.
    """
    file = Path(name) / _PREPROCESSOR
    if not Path(name).is_dir():
        from transformers.utils.hub import cached_file  # noqa: PLC0415 - an extra

        found = cached_file(name, _PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
        file = Path(found) if found else file
    content: dict[str, Any] = {}
    if file.is_file():
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: can't be read as JSON ({error})") from error
    cropped = content.get("crop_size") if content.get("do_center_crop") else None
    height, width = _size(cropped or content.get("size") or USUAL_SIZE)
    fraction = float(content.get("crop_pct") or 1.0)
    if cropped and content.get("size"):
        fraction = min(1.0, height / max(_size(content["size"])[0], height))
    is_cropped = bool(cropped) or fraction < 1 or "shortest_edge" in str(content.get("size", ""))
    return Preprocessing(
        height,
        width,
        mean=tuple(content.get("image_mean") or IMAGENET_MEAN),
        std=tuple(content.get("image_std") or IMAGENET_STD),
        fit="crop" if is_cropped else "stretch",
        crop_fraction=fraction,
    )


def _size(given: Any) -> tuple[int, int]:
    if isinstance(given, dict):
        sizes = cast("dict[str, int]", given)
        edge = sizes.get("shortest_edge", USUAL_SIZE)
        return int(sizes.get("height", edge)), int(sizes.get("width", edge))
    return int(given), int(given)


def _fetched(transformers: Any, name: str, *, is_folder: bool) -> Any:
    """The network of transformers; one that was downloaded before needs no connection."""
    try:
        return transformers.AutoModel.from_pretrained(name, local_files_only=True, use_safetensors=True)
    except OSError:
        if is_folder:
            raise
        return transformers.AutoModel.from_pretrained(name, use_safetensors=True)


@contextmanager
def _silent(transformers: Any) -> Generator[None]:
    """Keep the library's reports on what it loads, and its bars, from standard error."""
    names = ("transformers", "huggingface_hub")
    levels = [logging.getLogger(name).level for name in names]
    settings = transformers.utils.logging
    had_bar = settings.is_progress_bar_enabled()
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    settings.disable_progress_bar()
    try:
        yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)
        if had_bar:
            settings.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
