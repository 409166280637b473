"""Labelled data as people keep it: one file, files for training and test, a file or a folder for each class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from throughtime.data.labelled_examples import split_off
from throughtime.data.labelled_formats import RECOGNISED, Columns, read_labelled, unlabelled_lines
from throughtime.data.labelled_text import Example, LabelledText
from throughtime.data.splits import Splits, joined_parts, splits_of
from throughtime.data.text import part_of
from throughtime.data.text_encodings import read_text_file
from throughtime.errors import counted, data_error

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_UNLABELLED = "unsup"
_NOT_DATA = re.compile(r"(readme|license|licence|copying|manifest|changelog)\b", re.IGNORECASE)


def find_labelled(
    sources: Sequence[LabelledText | Path | str], *, columns: Columns = RECOGNISED, encoding: str | None = None
) -> dict[str, LabelledText]:
    """Find the parts of a labelled data set in what the user gave.

    Args:
        sources: files, "-" for standard input, ``LabelledText``, or folders. Of a folder, what its names say: files or
            folders called train, valid and test are those parts; else its folders, or its files, are the classes.
        columns: where a row has its text and its label.
        encoding: of the files; recognised if None.

    Returns:
        The examples of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming file and line.
    """
    found: dict[str, list[LabelledText]] = {}
    files: list[Path] = []
    for source in sources:
        if isinstance(source, LabelledText):
            found.setdefault("train", []).append(source)
            continue
        path = Path(source)
        if path.is_dir():
            for part, examples in _folder(path, columns, encoding).items():
                found.setdefault(part, []).append(examples)
        else:
            files.append(path)
    for part, examples in _files(files, columns, encoding).items():
        found.setdefault(part, []).append(examples)
    return joined_parts(found)


def split_labelled(parts: dict[str, LabelledText], validation_fraction: float, *, seed: int) -> Splits[LabelledText]:
    """Take a validation part out of the training part where there is none.

    Args:
        parts: what ``find_labelled`` found.
        validation_fraction: the share of each class that is taken out, between 0 and 1.
        seed: of the choice.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_off(train, validation_fraction, seed=seed))


def _folder(path: Path, columns: Columns, encoding: str | None) -> dict[str, LabelledText]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry.is_file() and not _NOT_DATA.match(entry.name)]
    parts = [entry for entry in files if part_of(entry.name)]
    if any(part_of(file.name) == "train" for file in parts):
        return _parts(path, parts, columns, encoding)
    part_folders = {part: folder for folder in folders if (part := part_of(folder.name))}
    if "train" in part_folders:
        return {part: _only(_folder(folder, columns, encoding), folder) for part, folder in part_folders.items()}
    classes = [folder for folder in folders if any(entry.is_file() for entry in folder.iterdir())]
    labelled = [folder for folder in classes if folder.name != _UNLABELLED]  # as in the IMDB data
    if len(labelled) > 1:
        found = _class_folders(path, labelled, encoding)
        told = () if labelled == classes else (f"{path / _UNLABELLED}: left out, its texts have no labels",)
        return {"train": replace(found, remarks=found.remarks + told)}
    if files:
        return _files(files, columns, encoding)
    raise data_error(path, "this folder has neither files with labels, nor a file or a folder for each class")


def _parts(path: Path, files: Sequence[Path], columns: Columns, encoding: str | None) -> dict[str, LabelledText]:
    by_part: dict[str, list[Path]] = {}
    for file in files:
        by_part.setdefault(part_of(file.name) or "", []).append(file)
    for part, candidates in by_part.items():
        if len(candidates) > 1:
            names = ", ".join(file.name for file in candidates)
            raise data_error(path, f"has several files for {part} ({names}); give the files that you mean")
    return {part: _file(candidates[0], columns, encoding) for part, candidates in by_part.items()}


def _only(parts: dict[str, LabelledText], folder: Path) -> LabelledText:
    if set(parts) != {"train"}:
        raise data_error(folder, f"has parts of its own ({', '.join(parts)}); give this folder alone")
    return parts["train"]


def _files(files: Sequence[Path], columns: Columns, encoding: str | None) -> dict[str, LabelledText]:
    if len(files) > 1 and not any(_is_table(file) or part_of(file.name) for file in files):
        names = _class_names(files)
        texts = [
            unlabelled_lines(read_text_file(file, encoding), label) for file, label in zip(files, names, strict=True)
        ]
        return joined_parts({"train": texts})
    found: dict[str, list[LabelledText]] = {}
    for file in files:
        found.setdefault(part_of(file.name) or "train", []).append(_file(file, columns, encoding))
    return {part: texts[0].joined(*texts[1:]) for part, texts in found.items()}


def _file(path: Path, columns: Columns, encoding: str | None) -> LabelledText:
    return read_labelled(read_text_file(path, encoding), columns)


def _is_table(file: Path) -> bool:
    return file.name.lower().removesuffix(".gz").endswith(_TABLES)


def _class_names(files: Iterable[Path]) -> list[str]:
    """What distinguishes the names of files: neg and pos of rt-polarity.neg and rt-polarity.pos."""
    names = [file.name.removesuffix(".gz").removesuffix(".txt") for file in files]
    first, last = min(names), max(names)
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    start = max(first.rfind(mark, 0, same) for mark in "._-") + 1
    return [name[start:] or name for name in names]


def _class_folders(path: Path, folders: Sequence[Path], encoding: str | None) -> LabelledText:
    """Each file a text, each folder a class."""
    examples: list[Example] = []
    remarks: list[str] = []
    for folder in folders:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
        for file in files:
            decoded = read_text_file(file, encoding)
            if decoded.remark and len(remarks) < 3:
                remarks.append(decoded.remark)
            if decoded.text.strip():
                examples.append(Example(decoded.text.strip(), (folder.name,), str(file)))
    if not examples:
        raise data_error(path, "the files in its folders are empty")
    summary = f"{path}: {counted(len(examples), 'file')} in {counted(len(folders), 'folder')}, each a class"
    return LabelledText(tuple(examples), str(path), (summary, *remarks))
