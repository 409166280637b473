"""From text to token ids and back, by characters, bytes, words or byte-pair encoding.

Every tokeniser is a ``tokenizer.json`` of the Hugging Face tokenizers library, which gives the same ids. Where the
library is slow on plain jobs (characters, bytes, words between white space) the ids come from tables instead.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from throughtime.data.token_decoders import BytesDecoder, Decoder, TableDecoder, WordDecoder, byte_symbols
from throughtime.errors import ArgumentError, ModelFolderError, check_choice
from throughtime.files import write_text

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"

_LONGEST_WORD = 1 << 20
_MOST_WORDS = 5_000_000
_BPE_SAMPLE = 64_000_000
_PIECE = 10_000

Ids = npt.NDArray[np.int64]


class Tokenizer(ABC):
    """A vocabulary and the way from text to its ids and back.

    Attributes:
        kind: char, byte, word or bpe.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type[Tokenizer]]] = {}

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self.library = library
        self.vocabulary_size: int = library.get_vocab_size()
        self.unknown_id: int | None = library.token_to_id(UNKNOWN)

    def __init_subclass__(cls) -> None:
        Tokenizer._kinds[cls.kind] = cls

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The ids of a whole text, shape (tokens,), int64."""

    @abstractmethod
    def complete(self, text: str) -> int:
        """How many of the first characters make the same ids whatever text follows."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder for ids that come one by one."""

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: ARG002 - for those that can grow
        """This tokeniser with what is new in a text appended to its vocabulary; ids that were there stay."""
        return self

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Ids]:
        """The ids of a text that comes in blocks; where the blocks are cut makes no difference."""
        rest = ""
        for block in blocks:
            text = rest + block
            end = self.complete(text)
            rest = text[end:]
            if end:
                yield self.encode(text[:end])
        if rest:
            yield self.encode(rest)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        decoder = self.decoder()
        return "".join([decoder.push(int(token)) for token in ids]) + decoder.finish()

    def token(self, index: int) -> str:
        """The text of a single token, for people to read."""
        return self.decode([index])

    def save(self, path: Path) -> None:
        """Write tokenizer.json."""
        write_text(path, self.library.to_str(pretty=True))

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a tokenizer.json that one of these tokenisers wrote.

        Raises:
            ModelFolderError: where it is missing, damaged or of another kind.
        """
        try:
            content = path.read_text(encoding="utf-8")
            kind = _kind(json.loads(content))
            library = tokenizers.Tokenizer.from_str(content)
        except FileNotFoundError as error:
            raise ModelFolderError(f"{path}: there is no such file") from error
        except Exception as error:  # the library raises bare Exceptions
            raise ModelFolderError(f"{path}: damaged, or not a tokeniser of throughtime ({error})") from error
        return cls._kinds[kind](library)


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point; id 0 is for those that are not in the vocabulary."""

    kind = "char"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        vocabulary: dict[str, int] = library.get_vocab()
        self._table = np.zeros(0x110000, dtype=np.int64)
        self._characters = [""] * len(vocabulary)
        for token, index in vocabulary.items():
            self._characters[index] = token
            if token != UNKNOWN:
                self._table[ord(token)] = index

    @classmethod
    def of(cls, characters: Iterable[str]) -> Self:
        """The tokeniser of these characters, in this order."""
        vocabulary = {token: index for index, token in enumerate([UNKNOWN, *characters])}
        library = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        library.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
        library.decoder = decoders.Fuse()
        return cls(library)

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int | None, min_count: int) -> Self:
        """All characters of a text, or the ``size`` - 1 most frequent ones, by code point."""
        counts = _code_point_counts(blocks)
        points = np.flatnonzero(counts >= min_count)
        if size is not None and len(points) > size - 1:
            points = np.sort(points[np.argsort(-counts[points], kind="stable")[: size - 1]])
        return cls.of(map(chr, points.tolist()))

    def encode(self, text: str) -> Ids:  # noqa: D102
        return self._table[_code_points(text)]

    def complete(self, text: str) -> int:  # noqa: D102
        return len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return TableDecoder(self._characters)

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: D102
        counts = _code_point_counts(blocks)
        new = [chr(point) for point in np.flatnonzero(counts).tolist() if not self._table[point]]
        return self.of([*self._characters[1:], *new])


class ByteTokenizer(Tokenizer):
    """A token is a byte of the text's UTF-8 form; its id is its value."""

    kind = "byte"

    @classmethod
    def of(cls) -> Self:
        """The tokeniser; there is only one."""
        vocabulary = {symbol: value for value, symbol in enumerate(byte_symbols())}
        library = tokenizers.Tokenizer(models.BPE(vocabulary, []))
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        library.decoder = decoders.ByteLevel()
        return cls(library)

    def encode(self, text: str) -> Ids:  # noqa: D102
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)

    def complete(self, text: str) -> int:  # noqa: D102
        return len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return BytesDecoder([bytes([value]) for value in range(256)])


class WordTokenizer(Tokenizer):
    """A token is a word between white space, and each line end is ``<eos>``, as in the Penn Treebank data.

    Punctuation marks are words of their own if the tokeniser was made so.
    """

    kind = "word"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        self._ids: dict[str, int] = library.get_vocab()
        self._words = sorted(self._ids, key=self._ids.__getitem__)
        self._splits_punctuation = not isinstance(library.pre_tokenizer, pre_tokenizers.WhitespaceSplit)

    @classmethod
    def of(cls, words: Iterable[str], *, split_punctuation: bool) -> Self:
        """The tokeniser of these words, in this order, after ``<unk>`` and ``<eos>``."""
        vocabulary: dict[str, int] = {}
        for word in (UNKNOWN, END_OF_LINE, *words):
            vocabulary.setdefault(word, len(vocabulary))
        library = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        library.normalizer = normalizers.Replace("\n", f" {END_OF_LINE} ")
        library.pre_tokenizer = _word_splitter(split_punctuation=split_punctuation)
        return cls(library)

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int | None, min_count: int, split_punctuation: bool) -> Self:
        """The words that occur at least ``min_count`` times, or the most frequent ones, by frequency."""
        empty = cls.of([], split_punctuation=split_punctuation)
        counts = empty._count(blocks)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in ranked if counts[word] >= min_count]
        return cls.of(kept if size is None else kept[: max(size - 2, 0)], split_punctuation=split_punctuation)

    def split(self, text: str) -> list[str]:
        """The words of a text, ``<eos>`` among them."""
        marked = text.replace("\n", f" {END_OF_LINE} ")
        # Python takes four control characters for white space that Unicode, and the library, don't.
        if not self._splits_punctuation and not any(mark in marked for mark in "\x1c\x1d\x1e\x1f"):
            return marked.split()
        splitter: Any = self.library.pre_tokenizer
        return [word for word, _ in splitter.pre_tokenize_str(marked)]

    def encode(self, text: str) -> Ids:  # noqa: D102
        words = self.split(text)
        unknown = self._ids[UNKNOWN]
        get = self._ids.get
        return np.fromiter((get(word, unknown) for word in words), dtype=np.int64, count=len(words))

    def complete(self, text: str) -> int:  # noqa: D102
        # A word that has not ended may go on; one of a mebibyte is taken to have ended, to bound the memory.
        end = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
        return end if end or len(text) < _LONGEST_WORD else len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return WordDecoder(self._words, END_OF_LINE)

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: D102
        counts = self._count(blocks)
        new = sorted(counts.keys() - self._ids.keys(), key=lambda word: (-counts[word], word))
        return self.of([*self._words[2:], *new], split_punctuation=self._splits_punctuation)

    def _count(self, blocks: Iterable[str]) -> dict[str, int]:
        counts: dict[str, int] = {}
        rest = ""
        for block in blocks:
            text = rest + block
            end = self.complete(text)
            rest = text[end:]
            for word in self.split(text[:end]):
                counts[word] = counts.get(word, 0) + 1
            if len(counts) > _MOST_WORDS:
                # As the original word2vec does: words that stay rare must not fill the memory.
                counts = {word: count for word, count in counts.items() if count > 1}
        for word in self.split(rest):
            counts[word] = counts.get(word, 0) + 1
        return counts


class BPETokenizer(Tokenizer):
    """A token is a piece of a word, made of bytes that occur together (Sennrich et al. 2016), as in GPT-2."""

    kind = "bpe"

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int) -> Self:
        """Merge the most frequent pairs of a text until there are ``size`` tokens."""
        library = tokenizers.Tokenizer(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        library.decoder = decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=max(size, 256),
            initial_alphabet=byte_symbols(),
            show_progress=False,
        )
        library.train_from_iterator(blocks, trainer)
        return cls(library)

    def encode(self, text: str) -> Ids:  # noqa: D102
        encodings = self.library.encode_batch_fast(list(self._pieces(text)))
        return np.concatenate([np.array(part.ids, dtype=np.int64) for part in encodings] or [np.zeros(0, np.int64)])

    def complete(self, text: str) -> int:  # noqa: D102
        # A space between two other characters always begins a piece, whatever stands before and after.
        end = len(text)
        while (end := text.rfind(" ", 1, end)) > 0:
            if end + 1 < len(text) and not text[end - 1].isspace() and not text[end + 1].isspace():
                return end
        return len(text) if len(text) >= _LONGEST_WORD else 0

    def decoder(self) -> Decoder:  # noqa: D102
        values = {symbol: value for value, symbol in enumerate(byte_symbols())}
        vocabulary: dict[str, int] = self.library.get_vocab()
        table = [b""] * self.vocabulary_size
        for token, index in vocabulary.items():
            table[index] = bytes(values[symbol] for symbol in token)
        return BytesDecoder(table)

    def _pieces(self, text: str) -> Iterator[str]:
        # The library keeps far more than the ids of what it encodes at a time.
        start = 0
        while start < len(text):
            end = start + (self.complete(text[start : start + _PIECE]) or len(text))
            end = len(text) if start + _PIECE >= len(text) else end
            yield text[start:end]
            start = end


def train_tokenizer(
    kind: str,
    blocks: Iterable[str],
    *,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    split_punctuation: bool = False,
) -> Tokenizer:
    """Learn a vocabulary from a text.

    Args:
        kind: char, byte, word or bpe.
        blocks: the training text; byte-pair encoding learns from its first 64 million characters.
        vocabulary_size: at most so many tokens; all characters and words by default, and for byte-pair encoding
            a size that grows with the text, from 512 to 16,000.
        min_count: how often a character or word must occur.
        split_punctuation: whether punctuation marks are words of their own.

    Raises:
        ArgumentError: for an unknown kind, or a text of which there is nothing to learn: a single token.
    """
    check_choice("tokens", kind, KINDS)
    if kind == "byte":
        return ByteTokenizer.of()
    if kind == "bpe":
        sample = list(_first(blocks, _BPE_SAMPLE))
        size = vocabulary_size or min(16_000, max(512, sum(map(len, sample)) // 400))
        return BPETokenizer.learn(sample, size=size)
    if kind == "char":
        learnt = CharTokenizer.learn(blocks, size=vocabulary_size, min_count=min_count)
    else:
        learnt = WordTokenizer.learn(
            blocks, size=vocabulary_size, min_count=min_count, split_punctuation=split_punctuation
        )
    specials = 1 if kind == "char" else 2
    if learnt.vocabulary_size < specials + (2 if kind == "char" else 1):
        raise ArgumentError(
            f"the vocabulary would be {learnt.vocabulary_size - specials} {kind}(s), so there is nothing to predict; "
            "give a text with more than one, or a smaller `min_count`"
        )
    return learnt


KINDS = ("char", "byte", "word", "bpe")


def _kind(description: dict[str, Any]) -> str:
    """Tell from a tokenizer.json which of the tokenisers wrote it."""
    model, splitter = description["model"]["type"], description["pre_tokenizer"] or {}
    match model, splitter.get("type"):
        case "WordLevel", "Split":
            return "char"
        case "WordLevel", _ if (description["normalizer"] or {}).get("content") == f" {END_OF_LINE} ":
            return "word"
        case "BPE", "ByteLevel":
            return "bpe" if splitter["use_regex"] else "byte"
        case _:
            raise ValueError(f"a {model} model with the pre-tokenizer {splitter.get('type')}")


def _word_splitter(*, split_punctuation: bool) -> pre_tokenizers.PreTokenizer:
    spaces = pre_tokenizers.WhitespaceSplit()
    if not split_punctuation:
        return spaces
    # The markers <unk> and <eos> stay whole.
    marks = tokenizers.Regex(rf"{UNKNOWN}|{END_OF_LINE}|[\w\p{{M}}]+|[^\w\p{{M}}\s]")
    return pre_tokenizers.Sequence([spaces, pre_tokenizers.Split(marks, "removed", invert=True)])


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _code_point_counts(blocks: Iterable[str]) -> Ids:
    counts = np.zeros(0x110000, dtype=np.int64)
    for block in blocks:
        found = np.bincount(_code_points(block))
        counts[: len(found)] += found
    return counts


def _first(blocks: Iterable[str], characters: int) -> Iterator[str]:
    for block in blocks:
        if characters <= 0:
            return
        yield block[:characters]
        characters -= len(block)
