"""Captions as people keep them: a table beside a folder of pictures, JSON of COCO and Karpathy, Flickr8k's tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from throughtime.data.captioned_images import CaptionedImage, CaptionedImages, picture_name
from throughtime.data.picture_tables import PICTURE_NAMES, TABLES, picture_path, read_picture_table
from throughtime.data.splits import joined_parts
from throughtime.data.text import part_of
from throughtime.data.text_encodings import read_text_file
from throughtime.errors import DataError, data_error

SEEN_NAMES = (*PICTURE_NAMES, "video", "clip")
CAPTION_NAMES = ("caption", "captions", "text", "sentence", "description", "comment", "title")
SPLIT_NAMES = ("split", "part", "set", "subset")
_PARTS = {"train": "train", "restval": "train", "val": "valid", "valid": "valid", "dev": "valid", "test": "test"}
_TOKEN_LINE = re.compile(r"(.+?)#\d+\s+(.*)")


@dataclass(frozen=True)
class CaptionColumns:
    """Where a row of a table has its picture and its caption.

    Attributes:
        image: the name of the column that names the file, or its number from 1; recognised if None.
        caption: the same of the caption's.
        images: the folder that the names of files start from; that of the captions, or one beside it, if None.
    """

    image: str | None = None
    caption: str | None = None
    images: Path | None = None


RECOGNISED_CAPTIONS = CaptionColumns()


def find_captioned(
    sources: Sequence[CaptionedImages | Path | str], columns: CaptionColumns = RECOGNISED_CAPTIONS
) -> dict[str, CaptionedImages]:
    """Find the parts of a set of pictures with captions in what the user gave.

    Args:
        sources: ``CaptionedImages``; files: CSV, TSV or JSONL with a picture and a caption on each row, the captions
            JSON of COCO, the split JSON of Karpathy, the token file of Flickr8k; or folders that have such a file.
        columns: where the rows of a table have picture and caption, and where the pictures are.

    Returns:
        The pictures of each part, train, valid or test; "train" has all where nothing says.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming it.
    """
    found: dict[str, list[CaptionedImages]] = {}
    for source in sources:
        if isinstance(source, CaptionedImages):
            found.setdefault("train", []).append(source)
            continue
        for file in _caption_files(Path(source)):
            for part, images in _read(file, columns).items():
                found.setdefault(part, []).append(images)
    if not found:
        raise DataError("there are no captions; give files or folders")
    return joined_parts(found)


def _caption_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and _is_captions(file))
    if not files:
        raise data_error(path, "has no file of captions: CSV, TSV, JSONL, JSON, captions.txt or Flickr8k.token.txt")
    return files


def _is_captions(file: Path) -> bool:
    name = file.name.lower().removesuffix(".gz")
    if name.startswith("."):
        return False
    return name.endswith((*TABLES, ".json")) or name in {"captions.txt", "results_20130124.token"} or "token" in name


def _read(file: Path, columns: CaptionColumns) -> dict[str, CaptionedImages]:
    name = file.name.lower().removesuffix(".gz")
    if name.endswith(".json"):
        parts, how = _json(file, columns)
    elif "token" in name and name.endswith((".txt", ".token")):
        parts, how = _flickr(file, columns)
    elif name.endswith(TABLES) or name == "captions.txt":
        parts, how = _table(file, columns)
    elif not file.exists():
        raise data_error(file, "there is no such file or folder")
    else:
        raise data_error(file, "is no file of captions; give CSV, TSV, JSONL, JSON, captions.txt or Flickr8k.token.txt")
    read = {part: CaptionedImages(tuple(examples), str(file)) for part, examples in parts.items() if examples}
    if not read:
        raise data_error(file, f"has no picture with a caption (read as {how})")
    numbers = ", ".join(f"{part} {images.summary()}" for part, images in read.items())
    first = next(iter(read))
    return {**read, first: replace(read[first], remarks=(f"{file}: {how}; {numbers}",))}


_Parts = dict[str, list[CaptionedImage]]


def _grouped(rows: Iterator[tuple[str, Path, str]]) -> _Parts:
    """Rows of part, picture and caption, those of one picture together, in the order of the pictures."""
    captions: dict[tuple[str, Path], list[str]] = {}
    for part, picture, caption in rows:
        captions.setdefault((part, picture), []).append(caption)
    parts: _Parts = {}
    for (part, picture), several in captions.items():
        example = CaptionedImage(picture, tuple(several), str(picture), picture_name(str(picture)))
        parts.setdefault(part, []).append(example)
    return parts


def _table(file: Path, columns: CaptionColumns) -> tuple[_Parts, str]:
    as_csv = file.name.lower() == "captions.txt"  # as Kaggle has Flickr8k
    table = read_picture_table(file, (*SEEN_NAMES, *CAPTION_NAMES), is_csv=as_csv or None)
    image = table.column(columns.image or ("1" if table.columns[0] == "1" else None), SEEN_NAMES, "image")
    caption = table.column(columns.caption or ("2" if "2" in table.columns else None), CAPTION_NAMES, "caption")
    split = next((name for name in table.columns if name.lower() in SPLIT_NAMES), None)
    named = part_of(file.name) or "train"

    def rows() -> Iterator[tuple[str, Path, str]]:
        for row, place in enumerate(table.places):
            content = table.rows[row]
            part = _PARTS.get(str(content[split]).lower(), "train") if split else named
            said = content.get(caption)
            several = cast("list[object]", said) if isinstance(said, list) else [said]
            for one in several:
                if not isinstance(one, str) or not one.strip():
                    raise data_error(place, f"has no caption in {caption!r}")
                yield part, table.picture(row, image, columns.images), one.strip()

    return _grouped(rows()), f"picture in {image!r}, caption in {caption!r}"


def _json(file: Path, columns: CaptionColumns) -> tuple[_Parts, str]:
    try:
        content: Any = json.loads(read_text_file(file).text)
        images: list[dict[str, Any]] = content["images"]
    except ValueError as error:
        raise data_error(file, f"is no JSON ({error})") from error
    except (KeyError, TypeError) as error:
        raise data_error(file, "has no list of images, as the captions of COCO and Karpathy's splits have") from error
    try:
        if "annotations" in content:
            return _coco(file, content, images, columns), "COCO captions"
        return _karpathy(file, images, columns), "Karpathy's splits"
    except (KeyError, TypeError) as error:
        raise data_error(file, f"lacks {error}, which captions of COCO or Karpathy's splits have") from error


def _coco(file: Path, content: dict[str, Any], images: list[dict[str, Any]], columns: CaptionColumns) -> _Parts:
    found = re.search(r"(train|val|test)", file.name.lower())
    part = _PARTS[found[1]] if found else "train"
    said: dict[Any, list[str]] = {}
    for annotation in content["annotations"]:
        said.setdefault(annotation["image_id"], []).append(str(annotation["caption"]).strip())
    return {
        part: [
            CaptionedImage(path, tuple(said[one["id"]]), str(path), str(one["id"]))
            for one in images
            if said.get(one["id"])
            for path in [picture_path(one["file_name"], file.parent, columns.images)]
        ]
    }


def _karpathy(file: Path, images: list[dict[str, Any]], columns: CaptionColumns) -> _Parts:
    parts: _Parts = {}
    for one in images:
        name = str(Path(one.get("filepath", "")) / one["filename"])
        path = picture_path(name, file.parent, columns.images)
        if columns.images is not None and not path.exists():
            path = columns.images / one["filename"]
        captions = tuple(
            str(sentence.get("raw") or " ".join(sentence["tokens"])).strip() for sentence in one["sentences"]
        )
        example = CaptionedImage(path, captions, str(path), str(one.get("cocoid", one["filename"])))
        if captions:
            parts.setdefault(_PARTS[one["split"]], []).append(example)
    return parts


def _flickr(file: Path, columns: CaptionColumns) -> tuple[_Parts, str]:
    """Lines of picture#number and caption; the parts are in the files of names beside it."""
    part_names = {"train": "trainImages", "valid": "devImages", "test": "testImages"}
    split: dict[str, str] = {}
    for part, name in part_names.items():
        for beside in sorted(file.parent.glob(f"*{name}.txt")):
            split.update(dict.fromkeys(read_text_file(beside).text.split(), part))

    def rows() -> Iterator[tuple[str, Path, str]]:
        for number, line in enumerate(read_text_file(file).text.split("\n"), 1):
            if not line.strip():
                continue
            found = _TOKEN_LINE.fullmatch(line.strip())
            if found is None:
                raise data_error(file, "must be picture#number and a caption", line=number)
            name, caption = found[1], found[2]
            if split and name not in split:
                continue
            path = picture_path(name, file.parent, columns.images)
            yield split.get(name, "train"), path, caption.strip()

    how = "picture#number and caption on each line"
    return _grouped(rows()), f"{how}, parts from the names beside it" if split else how
