"""What every tokeniser does: text to token ids and back, whole or in blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tokenizers

from throughtime.data.token_decoders import Decoder
from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.files import write_text

UNKNOWN = "<unk>"

LONGEST_PIECE = 1 << 20
"""Characters after which a piece that does not end is taken to have ended, to bound the memory."""

Ids = npt.NDArray[np.int64]


class Tokenizer(ABC):
    """A vocabulary and the way from text to its ids and back.

    Every tokeniser is a ``tokenizer.json`` of the Hugging Face tokenizers library, which gives the same ids. Where
    the library is slow on plain jobs (characters, bytes, words between white space) the ids come from tables instead.

    Attributes:
        kind: char, byte, word or bpe.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[list[type[Tokenizer]]] = []

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self.library = library
        self.vocabulary_size: int = library.get_vocab_size()
        self.unknown_id: int | None = library.token_to_id(UNKNOWN)

    def __init_subclass__(cls) -> None:
        Tokenizer._kinds.append(cls)

    @classmethod
    @abstractmethod
    def _empty_libraries(cls) -> list[tokenizers.Tokenizer]:
        """What the library needs to do as this kind does, in each of its forms, before it knows a vocabulary."""

    @abstractmethod
    def _encode(self, text: str) -> Ids: ...

    @abstractmethod
    def complete(self, text: str) -> int:
        """How many of the first characters make the same ids whatever text follows."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder for ids that come one by one."""

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: ARG002 - for those that can grow
        """This tokeniser with what is new in a text appended to its vocabulary; ids that were there stay."""
        return self

    def encode(self, text: str) -> Ids:
        """The ids of a whole text, shape (tokens,), int64.

        Raises:
            ArgumentError: where the text holds a lone surrogate, such as an undecoded byte of a command line.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            code = f"U+{ord(text[error.start]):04X}"
            raise ArgumentError(
                f"character {error.start} of the text is {code}, a lone surrogate, which is not text"
            ) from error
        return self._encode(text)

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Ids]:
        """The ids of a text that comes in blocks.

        Where the blocks are cut makes no difference, unless a word or an unbroken line is longer than a mebibyte.
        """
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
            library = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
            steps = _steps(library)
            for kind in Tokenizer._kinds:
                if any(_steps(empty) == steps for empty in kind._empty_libraries()):
                    return kind(library)
            raise ValueError(f"a {type(library.model).__name__} model after {library.pre_tokenizer}")
        except FileNotFoundError as error:
            raise ModelFolderError(f"{path}: there is no such file") from error
        except Exception as error:  # the library raises bare Exceptions
            raise ModelFolderError(f"{path}: damaged, or not a tokeniser of throughtime ({error})") from error


def _steps(library: tokenizers.Tokenizer) -> list[Any]:
    """All that a tokeniser of the library does, but for its vocabulary."""
    steps: list[Any] = [library.normalizer, library.pre_tokenizer, library.post_processor, library.decoder]
    states = [None if step is None else step.__getstate__() for step in steps]
    return [type(library.model), len(library.get_added_tokens_decoder()), *states]
