"""Tables that name pictures: CSV, TSV or JSONL with a column of files and others that say something about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.data.table_rows import first_named, json_rows, listed, table_rows
from throughtime.data.text_encodings import read_text_file
from throughtime.errors import data_error

PICTURE_NAMES = (
    "image",
    "picture",
    "file",
    "filename",
    "file_name",
    "path",
    "image_path",
    "image_name",
    "photo",
    "img",
)
USUAL_FOLDERS = ("images", "Images", "pictures", "photos", "videos", "clips")
TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class PictureTable:
    """The rows of a table, each with the names of its columns.

    Attributes:
        path: of the file.
        columns: their names; "1", "2" and so on where there is no header.
        rows: what stands in the columns; a string, in JSONL anything.
        places: where each row stands, such as "captions.csv:17".
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    places: tuple[str, ...]

    def column(self, given: str | None, names: Sequence[str], what: str) -> str:
        """The column that the user gave, or the one with a known name.

        Args:
            given: a name, or a number from 1.
            names: known names, the most usual first.
            what: it is for, such as "caption"; --caption-column then says which it is.

        Raises:
            DataError: naming the file, where there is no such column.
        """
        if given is not None and given in self.columns:
            return given
        if given is not None and given.isdecimal() and 1 <= int(given) <= len(self.columns):
            return self.columns[int(given) - 1]
        found = first_named(self.columns, names) if given is None else None
        if found is None:
            wanted = f"no column {given!r}" if given is not None else f"no column with a known name for the {what}"
            message = f"has {wanted}; there is {listed(self.columns)}; give --{what}-column"
            raise data_error(self.path, message, line=1)
        return found

    def picture(self, row: int, column: str, images: Path | None = None) -> Path:
        """The file that a row names.

        Args:
            row: which.
            column: that names it.
            images: the folder that names start from; that of the table, or one beside it, if None.

        Raises:
            DataError: naming file and line, where the row names nothing.
        """
        name = str(self.rows[row].get(column) or "").strip()
        if not name:
            raise data_error(self.places[row], f"names no picture in {column!r}")
        return picture_path(name, self.path.parent, images)


def picture_path(name: str, folder: Path, images: Path | None = None) -> Path:
    """The file of a picture that is named in a file of that folder.

    Args:
        name: as it is written, relative to one of the folders, or absolute.
        folder: of the file that names it.
        images: the folder that the user gave; else those that usually hold the pictures are tried.
    """
    if images is not None:
        return images / name
    tried = [folder / name, *(folder / usual / name for usual in USUAL_FOLDERS)]
    return next((path for path in tried if path.exists()), tried[0])


def read_picture_table(
    path: Path, names: Sequence[str], encoding: str | None = None, *, is_csv: bool | None = None
) -> PictureTable:
    """Read a table; its first row is a header where one of the known names is in it.

    Args:
        path: ends in .csv, .tsv, .jsonl or the like.
        names: known names of columns.
        encoding: of the file; recognised if None.
        is_csv: whether commas part the columns; as the file's name says if None.

    Raises:
        DataError: naming file and line, where it can't be read.
    """
    file = read_text_file(path, encoding)
    if path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")):
        records = list(json_rows(file))
        if not records:
            raise data_error(path, "is empty; give a JSON object on each line, one for each picture")
        columns = tuple(dict.fromkeys(name for _, record in records for name in record))
        return PictureTable(
            path,
            columns,
            tuple(record for _, record in records),
            tuple(f"{path}:{line}" for line, _ in records),
        )
    if is_csv is None:
        is_csv = path.name.lower().removesuffix(".gz").endswith(".csv")
    table = table_rows(file, "," if is_csv else "\t")
    if not table:
        raise data_error(path, "is empty; give a table with a row for each picture")
    header = tuple(cell.strip().lstrip("\ufeff") for cell in table[0][1])
    for line, cells in table:
        if len(cells) != len(header):
            message = f"has {len(cells)} columns where the first row has {len(header)}; a quote may be missing"
            raise data_error(path, message, line=line)
    has_header = first_named(header, names) is not None
    columns = header if has_header else tuple(str(number) for number in range(1, len(header) + 1))
    body = table[has_header:]
    return PictureTable(
        path,
        columns,
        tuple(dict(zip(columns, cells, strict=True)) for _, cells in body),
        tuple(f"{path}:{line}" for line, _ in body),
    )
