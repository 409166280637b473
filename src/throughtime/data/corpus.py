"""Texts as plain files on the disk, for native code that reads them itself, in parallel and any number of times."""

from __future__ import annotations

import re
import shutil
import tempfile
import unicodedata
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

from throughtime.data.text import TextFile, TextSource, find_texts
from throughtime.errors import DataError, data_error
from throughtime.files import written_whole

WORD_END, SENTENCE_END = "\x1f", "\x1e"
# Western and East Asian marks, with the quotation marks and brackets that close behind them; or an empty line.
SENTENCE_MARKS = re.compile(r"[.!?\u2026]+[\"')\]\u2019\u201d]*(?=\s)|[\u3002\uff01\uff1f]+|\n\s*\n")

Words: TypeAlias = Literal["as-is", "lower", "letters"]
CorpusSource: TypeAlias = TextSource | Path | str | Iterable[Sequence[str]]


@dataclass(frozen=True)
class Corpus:
    """Plain files that hold a text.

    Attributes:
        files: read one after the other.
        is_tokens: whether control characters separate the words (WORD_END) and the sentences (SENTENCE_END), so that
            words may hold white space; else white space does, and each line is a sentence.
        name: what the user gave, for messages.
        temporary: the folder of files that were made here, which lives as long as this object.
    """

    files: tuple[Path, ...]
    is_tokens: bool
    name: str
    temporary: TemporaryFolder = field(compare=False)


class TemporaryFolder:
    """A folder that is removed with this object, made when it is first asked for."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def file(self, name: str) -> Path:
        """A path in the folder."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="throughtime-"))
            weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path / name


def open_corpus(sources: Sequence[CorpusSource], *, encoding: str = "utf-8", words: Words = "as-is") -> Corpus:
    """Make plain files of what the user gave; those that are so already are read where they lie.

    Gzipped files, standard input, texts in memory, other encodings and words that are not taken as they are go into
    a temporary file once, decoded: it needs as much room as the plain text.

    Args:
        sources: files, folders, "-" for standard input, texts in memory; or one iterable of sentences, each a
            sequence of words, which is read once.
        encoding: of the files.
        words: "as-is": what stands between white space, a line being a sentence. "lower": the same in lower case.
            "letters": runs of letters in lower case, apostrophes inside them included, and a sentence ends at . ! ?
            or an empty line, wherever lines are broken.

    Raises:
        DataError: where there is no text, it can't be read, or a word of an iterable can't be kept.
    """
    iterables = [source for source in sources if not _is_text(source)]
    if iterables and len(sources) > 1:
        raise DataError("give files and texts, or one iterable of sentences, not both")
    temporary = TemporaryFolder()
    if iterables:
        path = temporary.file("sentences")
        with written_whole(path) as file:
            for text in _sentences(iterables[0], words):  # pyright: ignore[reportArgumentType]
                file.write(text.encode())
        return Corpus((path,), True, "sentences", temporary)
    found = [text for source in sources for text in find_texts(source, encoding=encoding)]  # pyright: ignore[reportArgumentType]
    if not found:
        raise DataError("there is no text to learn from; give a text file, or --sample")
    files = [_plain_file(text, encoding, words, temporary, number) for number, text in enumerate(found)]
    return Corpus(tuple(files), False, ", ".join(text.name for text in found), temporary)


def _is_text(source: object) -> bool:
    return isinstance(source, str | Path) or hasattr(source, "blocks")


def _plain_file(text: TextSource, encoding: str, words: Words, temporary: TemporaryFolder, number: int) -> Path:
    is_plain = words == "as-is" and encoding.lower().replace("_", "-") in {"utf-8", "utf8", "ascii"}
    if is_plain and isinstance(text, TextFile) and text.path.suffix.lower() != ".gz":
        return text.path
    path = temporary.file(f"text-{number}")
    blocks = text.blocks()
    if words == "letters":
        blocks = _sentences_of_letters(blocks)
    elif words == "lower":
        blocks = (block.lower() for block in blocks)
    with written_whole(path) as file:
        for block in blocks:
            file.write(block.encode())
    return path


@cache
def _letters() -> re.Pattern[str]:
    """Runs of letters with the accents and vowel signs on them, and apostrophes between."""
    marks = "".join(mark for mark in map(chr, range(0x300, 0x110000)) if unicodedata.category(mark) in {"Mn", "Mc"})
    word = f"[^\\W\\d_]+(?:[{marks}]+[^\\W\\d_]*)*"
    return re.compile(f"{word}(?:['\u2019]{word})*")


def _sentences_of_letters(blocks: Iterator[str]) -> Iterator[str]:
    """A sentence a line; what follows a block's last mark is left for the next block."""
    rest = ""
    for block in chain(blocks, ["\n\n"]):
        sentences = SENTENCE_MARKS.split(rest + block)
        rest = sentences.pop()
        if len(rest) > 1 << 16:  # a text without marks: cut it between words
            cut = max(map(rest.rfind, " \n\t\r")) + 1 or len(rest)
            sentences.append(rest[:cut])
            rest = rest[cut:]
        for sentence in sentences:
            if found := _letters().findall(sentence.lower()):
                yield " ".join(found) + "\n"
    if found := _letters().findall(rest.lower()):
        yield " ".join(found) + "\n"


def _sentences(sentences: Iterable[Sequence[str]], words: Words) -> Iterator[str]:
    for number, sentence in enumerate(sentences, 1):
        if isinstance(sentence, str):
            raise DataError(f"sentence {number}: must be a sequence of words, got the text {sentence[:40]!r}; split it")
        try:
            text = WORD_END.join(sentence)
        except TypeError as error:
            raise data_error(f"sentence {number}", f"must be a sequence of words, which are text ({error})") from error
        if text.count(WORD_END) != max(len(sentence) - 1, 0) or SENTENCE_END in text:
            raise data_error(f"sentence {number}", "a word holds the control character U+001E or U+001F; leave it out")
        if words == "letters":
            text = WORD_END.join(_letters().findall(text.lower()))
        elif words == "lower":
            text = text.lower()
        try:
            text.encode()
        except UnicodeEncodeError as error:
            message = f"holds a lone surrogate, which is not text ({error.reason})"
            raise data_error(f"sentence {number}", message) from error
        yield text + SENTENCE_END
