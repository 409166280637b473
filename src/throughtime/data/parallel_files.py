"""Translations as people keep them: a file for each language, or both in the columns of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from throughtime.data.parallel_text import Pair, ParallelText
from throughtime.data.splits import joined_parts
from throughtime.data.text import part_of
from throughtime.data.text_encodings import read_text_file
from throughtime.errors import ArgumentError, counted, data_error

_TSV, _JSONL = (".tsv", ".tab"), (".jsonl", ".ndjson")
_NAMES = (("source", "target"), ("src", "trg"), ("src", "tgt"))
_NOT_LANGUAGES = frozenset({"md", "json", "yaml", "yml", "py", "sh", "log", "html", "pdf", "zip", "tar"})


def find_parallel(
    sources: Sequence[ParallelText | Path | str],
    *,
    source: str | None = None,
    target: str | None = None,
    encoding: str | None = None,
) -> dict[str, ParallelText]:
    """Find the parts of a set of translations in what the user gave.

    Args:
        sources: ``ParallelText``; folders; or files: TSV or JSONL with a pair on each line, "-" for standard input as
            TSV, or plain text in two languages, one sentence a line, the languages being the ends of the names:
            train.de and train.en. Files named train, valid and test are those parts.
        source: the language or column of the source: a file's end, a column's name or its number from 1. Of two files
            the first, of columns the first, of a folder the first in the alphabet, if None.
        target: the same of the target.
        encoding: of the files; recognised if None.

    Returns:
        The pairs of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming file and line.
        ArgumentError: where a language or column is asked for that isn't there.
    """
    if source is not None and source == target:
        raise ArgumentError(f"`source` and `target` are both {source!r}; give two languages or columns")
    found: dict[str, list[ParallelText]] = {}
    plain: list[Path] = []
    for given in sources:
        if isinstance(given, ParallelText):
            found.setdefault("train", []).append(given)
            continue
        path = Path(given)
        for file in _files_of(path):
            if _kind(file) == "text" and str(file) != "-":
                plain.append(file)
            else:
                found.setdefault(part_of(file.name) or "train", []).append(_read_table(file, source, target, encoding))
    for part, text in _pair_up(plain, source, target, encoding):
        found.setdefault(part, []).append(text)
    return joined_parts(found)


def find_sentences(
    sources: Sequence[ParallelText | Path | str], *, encoding: str | None = None
) -> dict[str, ParallelText]:
    """Find plain sentences, one a line, as pairs of each sentence with itself; parts as in ``find_parallel``.

    Raises:
        DataError: where there is nothing to read, or a file can't be read.
    """
    found: dict[str, list[ParallelText]] = {}
    for given in sources:
        if isinstance(given, ParallelText):
            found.setdefault("train", []).append(given)
            continue
        for file in _files_of(Path(given)):
            lines, remarks = _lines(file, encoding)
            pairs = _usable((Pair(line, line, f"{file}:{number}") for number, line in lines), str(file))
            text = ParallelText(pairs.examples, pairs.name, (*remarks, *pairs.remarks))
            found.setdefault(part_of(file.name) or "train", []).append(text)
    return joined_parts(found)


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [
        file
        for file in sorted(path.iterdir())
        if file.is_file() and not file.name.startswith((".", "_")) and _language(file) not in _NOT_LANGUAGES
    ]
    if not files:
        raise data_error(path, "this folder has no files; give one with train.de and train.en, TSV or JSONL")
    return files


def _name(file: Path) -> str:
    return file.name.lower().removesuffix(".gz")


def _language(file: Path) -> str:
    return _name(file).rpartition(".")[2]


def _kind(file: Path) -> str:
    name = _name(file)
    if name.endswith(_TSV):
        return "tsv"
    if name.endswith(_JSONL):
        return "jsonl"
    if name.endswith(".txt") or "." not in name:
        # Tatoeba's fra.txt has a pair on each line, between tabs.
        return "tsv"
    return "text"


def _lines(file: Path, encoding: str | None) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    decoded = read_text_file(file, encoding)
    lines = decoded.text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return list(enumerate(lines, 1)), (decoded.remark,) if decoded.remark else ()


def _usable(pairs: Iterable[Pair], name: str) -> ParallelText:
    """Leave out pairs with an empty side, and tell how many."""
    kept: list[Pair] = []
    empty: list[Pair] = []
    for pair in pairs:
        (kept if pair.source.strip() and pair.target.strip() else empty).append(pair)
    if not kept:
        raise data_error(name, "has no sentences; give a file with a sentence on each line")
    told = (
        (f"{counted(len(empty), 'pair')} left out that have an empty side, the first at {empty[0].place}",)
        if empty
        else ()
    )
    return ParallelText(tuple(kept), name, told)


def _pair_up(
    files: Sequence[Path], source: str | None, target: str | None, encoding: str | None
) -> list[tuple[str, ParallelText]]:
    """Files of plain text by the part that they are, each with the file of the other language."""
    if not files:
        return []
    languages = list(dict.fromkeys(map(_language, files)))
    source = source or next((name for name in languages if name != target), None)
    target = target or next((name for name in languages if name != source), None)
    if source is None or target is None:
        message = "plain text needs a file in a second language beside it, as in train.de train.en"
        raise data_error(files[0], f"{message}; give both")
    for name in (source, target):
        if name not in languages:
            message = f"there is no file that ends in .{name} beside those in {', '.join(languages)}"
            raise data_error(files[0], f"{message}; give it, too")
    by_stem: dict[str, dict[str, Path]] = {}
    for file in files:
        by_stem.setdefault(_name(file).rpartition(".")[0], {})[_language(file)] = file
    texts: list[tuple[str, ParallelText]] = []
    for stem, both in by_stem.items():
        if source in both and target in both:
            texts.append((part_of(stem) or "train", _read_two(both[source], both[target], encoding)))
        elif source in both or target in both:
            alone = both.get(source) or both[target]
            missing = target if source in both else source
            raise data_error(alone, f"there is no {stem}.{missing} beside it; give both files")
    return texts


def _read_two(source: Path, target: Path, encoding: str | None) -> ParallelText:
    (own, told), (other, told_too) = _lines(source, encoding), _lines(target, encoding)
    if len(own) != len(other):
        raise data_error(
            source,
            f"has {len(own):,} lines and {target.name} has {len(other):,}; line by line they must belong together",
        )
    pairs = (Pair(line, theirs, f"{source}:{number}") for (number, line), (_, theirs) in zip(own, other, strict=True))
    found = _usable(pairs, f"{source} and {target.name}")
    return ParallelText(found.examples, found.name, (*told, *told_too, *found.remarks))


def _read_table(file: Path, source: str | None, target: str | None, encoding: str | None) -> ParallelText:
    lines, told = _lines(file, encoding)
    is_json = _kind(file) == "jsonl" or (bool(lines) and lines[0][1].lstrip().startswith("{"))
    read = _json_pairs if is_json else _tsv_pairs
    found = _usable(read(file, lines, source, target), str(file))
    return ParallelText(found.examples, found.name, (*told, *found.remarks))


def _tsv_pairs(file: Path, lines: list[tuple[int, str]], source: str | None, target: str | None) -> list[Pair]:
    header = lines[0][1].split("\t") if lines else []
    names = [name.strip().lower() for name in header]
    has_header = any(name is not None and not name.isdigit() for name in (source, target))
    if not has_header and (pair := next((pair for pair in _NAMES if set(pair) <= set(names)), None)):
        has_header, (source, target) = True, pair
    places = [
        _column(file, name, names if has_header else None, default) for name, default in ((source, 0), (target, 1))
    ]
    pairs: list[Pair] = []
    for number, line in lines[1:] if has_header else lines:
        fields = line.split("\t")
        if not line.strip():
            continue
        if len(fields) <= max(places):
            message = f"has {counted(len(fields), 'column')} between tabs, at least {max(places) + 1} are needed"
            raise data_error(file, message, line=number)
        pairs.append(Pair(fields[places[0]], fields[places[1]], f"{file}:{number}"))
    return pairs


def _column(file: Path, name: str | None, names: list[str] | None, default: int) -> int:
    if name is None:
        return default
    if name.isdigit():
        return int(name) - 1
    if names is None or name.lower() not in names:
        raise data_error(file, f"has no column {name!r}, but {', '.join(names or [])}", line=1)
    return names.index(name.lower())


def _json_pairs(file: Path, lines: list[tuple[int, str]], source: str | None, target: str | None) -> list[Pair]:
    pairs: list[Pair] = []
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise data_error(file, f"not a JSON object ({error})", line=number) from error
        row = row.get("translation", row) if isinstance(row, dict) else row
        texts = (
            {str(key): value for key, value in row.items() if isinstance(value, str)} if isinstance(row, dict) else {}
        )
        if not (source and target):
            named = next((pair for pair in _NAMES if set(pair) <= texts.keys()), None)
            others = [key for key in texts if key not in (source, target)]
            source, target = (
                named or (source or others.pop(0), target or others.pop(0)) if len(texts) > 1 else (source, target)
            )
        if source not in texts or target not in texts:
            message = (
                f"has no texts {source or 'source'!r} and {target or 'target'!r}, but {', '.join(texts) or 'none'}"
            )
            raise data_error(file, message, line=number)
        pairs.append(Pair(texts[source], texts[target], f"{file}:{number}"))
    return pairs
