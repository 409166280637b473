"""A translator to hold in the hand: fit it, let it translate, judge it, take sentences' vectors, save it, load it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from throughtime.data import (
    PARTS,
    Ids,
    ParallelText,
    SentenceTokenizer,
    chosen_part,
    evaluation_batches,
    find_parallel,
    find_sentences,
)
from throughtime.decoding import Hypothesis
from throughtime.errors import ArgumentError, check_choice, check_range
from throughtime.models import EncoderDecoder
from throughtime.tasks.language_cards import translator_card
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.network_training import Run
from throughtime.tasks.sentence_tokenizers import open_tokenizers
from throughtime.tasks.sequence_search import (
    EVALUATION_BATCH,
    Alignment,
    Search,
    alignments,
    encode,
    search_sequences,
    teacher_forced_loss,
)
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.tasks.translation import (
    TASK,
    Settings,
    TranslationData,
    build_model,
    fit,
    load_data,
    open_data,
)
from throughtime.tasks.translation_evaluation import Evaluation, EvaluationRow
from throughtime.tasks.translation_scores import score_translations
from throughtime.tasks.translation_sizing import size_settings
from throughtime.training import ModelFolder


@dataclass(frozen=True)
class Translation:
    """A translation.

    Attributes:
        text: the translation.
        score: what it was ranked by.
        log_probability: of its tokens and its end, in nats.
        source_pieces: the source's tokens, for people to read.
        pieces: the translation's tokens.
        alignment: how much each of the pieces, and the end, looked at each of the source's pieces, shape (pieces + 1,
            source pieces); None where it wasn't asked for, and without attention.
        others: the next best translations, the best of them first.
    """

    text: str
    score: float
    log_probability: float
    source_pieces: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()
    alignment: Alignment | None = None
    others: tuple[Translation, ...] = field(default=())

    def __str__(self) -> str:
        return self.text


class Translator(TrainableModel[EncoderDecoder, Settings, ParallelText]):
    """A trained encoder-decoder.

    Attributes:
        network: gives scores of each next token of a translation.
        source: the source's vocabulary.
        target: the target's vocabulary.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "files of sentences and their translations"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    FIT = staticmethod(fit)
    CARD = staticmethod(translator_card)

    def __init__(
        self,
        network: EncoderDecoder,
        source: SentenceTokenizer,
        target: SentenceTokenizer,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.source = source
        self.target = target

    @classmethod
    def _parts(cls, data: TranslationData) -> tuple[SentenceTokenizer, SentenceTokenizer]:
        return data.source, data.target

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: Settings) -> tuple[SentenceTokenizer, SentenceTokenizer]:
        return open_tokenizers(folder, joint=settings.is_joint, lower=settings.lower)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> EncoderDecoder:
        source, target = parts
        return build_model(settings, source.vocabulary_size, target.vocabulary_size)

    @classmethod
    def _fresh(cls, data: TranslationData, settings: Settings, run: Run) -> tuple[Settings, EncoderDecoder]:
        settings = size_settings(settings, len(data.splits.train), run.processes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _told(cls, network: EncoderDecoder, data: TranslationData, settings: Settings) -> str:
        return f"{settings.network_name}; {weights_of(network)}, dropout {settings.dropout}"

    def translate(
        self,
        sentences: Sequence[str],
        *,
        prefixes: Sequence[str] = (),
        alignment: bool = False,
        **search: Any,
    ) -> list[Translation]:
        """Translate sentences; an empty one becomes an empty one.

        Args:
            sentences: the sentences.
            prefixes: what each translation begins with, one for each sentence; none if empty.
            alignment: whether to tell where the network looked.
            **search: see ``Search``: beam_size, n_best, length_penalty, temperature and more.

        Raises:
            ArgumentError: where one string is given in place of a list, or for a search that can't be.
        """
        if isinstance(sentences, str):
            raise ArgumentError("`sentences` must be a list of strings, got a string")
        if prefixes and len(prefixes) != len(sentences):
            raise ArgumentError(f"`prefixes` must be as many as the sentences, {len(sentences)}, got {len(prefixes)}")
        how = _search(search)
        tokens = self.source.encode_all(sentences)
        given = [row for row, own in enumerate(tokens) if len(own)]
        found = [Translation("", 0.0, 0.0) for _ in sentences]
        sources = [tokens[row] for row in given]
        begins = self.target.encode_all(prefixes[row] for row in given) if prefixes else []
        hypotheses = search_sequences(self.network, sources, how, self.target, begins)
        texts = [sentences[row] for row in given]
        for row, several in zip(given, self._translations(texts, sources, hypotheses, alignment), strict=True):
            best, *others = several
            found[row] = Translation(
                best.text,
                best.score,
                best.log_probability,
                best.source_pieces,
                best.pieces,
                best.alignment,
                tuple(others),
            )
        return found

    def encode(self, sentences: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vector of each sentence: the hidden state that the decoder's last layer starts from.

        Returns:
            Shape (sentences, hidden_size); zeros for an empty sentence.

        Raises:
            ArgumentError: where one string is given in place of a list.
        """
        if isinstance(sentences, str):
            raise ArgumentError("`sentences` must be a list of strings, got a string")
        tokens = self.source.encode_all(sentences)
        vectors = np.zeros((len(tokens), self.settings.hidden_size), dtype=np.float32)
        given = [row for row, own in enumerate(tokens) if len(own)]
        with torch.inference_mode():
            for rows, padded in evaluation_batches([tokens[row] for row in given], EVALUATION_BATCH):
                state = encode(self.network, padded)
                vectors[[given[row] for row in rows.tolist()]] = state.recurrent[0][-1].cpu().numpy()
        return vectors

    def evaluate(
        self, *data: ParallelText | Path | str, part: str | None = None, examples: int = 10, **search: Any
    ) -> Evaluation:
        """How good the translations are, beside greedy ones and the copied source.

        Args:
            *data: files, folders, or ``ParallelText``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            examples: how many translations to give, taken at equal distances.
            **search: see ``Search``.

        Raises:
            DataError: where the data can't be read.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        check_range("examples", examples, low=0)
        how = _search(search)
        pairs = self._found(data, part) if data else self._own(part or "valid")
        begun = time.perf_counter()
        best = self.translate(pairs.sources, **search)
        seconds = time.perf_counter() - begun
        greedy = self.translate(pairs.sources, beam_size=1)
        name = "drawn" if how.temperature is not None else f"beam {how.beam_size}"
        rows: list[EvaluationRow] = []
        for label, texts in (
            (f"{self.settings.network_name}, {name}", [one.text for one in best]),
            ("the same, greedy", [one.text for one in greedy]),
            ("the source, copied", pairs.sources),
        ):
            scores = score_translations(texts, pairs.targets, lower=self.settings.lower)
            rows.append(EvaluationRow(label, scores.bleu, scores.chrf))
        places = np.linspace(0, len(pairs) - 1, min(examples, len(pairs))).astype(int).tolist()
        shown = [(pairs.examples[row].source, best[row].text, pairs.examples[row].target) for row in places]
        sides = self.source.encode_all(pairs.sources), self.target.encode_all(pairs.targets)
        loss = teacher_forced_loss(self.network, *sides, precision="32")
        signatures = scores.bleu_signature, scores.chrf_signature
        return Evaluation(len(pairs), tuple(rows), loss, *signatures, seconds, tuple(shown))

    def _translations(
        self, sentences: Sequence[str], sources: Sequence[Ids], found: Sequence[Sequence[Hypothesis]], alignment: bool
    ) -> list[list[Translation]]:
        """Hypotheses as text, with the words that stand for unknown ones, and alignments where they are asked for."""
        flat = [(row, one) for row, several in enumerate(found) for one in several]
        targets = [np.array(one.tokens, dtype=np.int64) for _, one in flat]
        unknown = self.target.unknown_id
        needed = [place for place, (_, one) in enumerate(flat) if alignment or unknown in one.tokens]
        looked = alignments(
            self.network, [sources[flat[place][0]] for place in needed], [targets[place] for place in needed]
        )
        weights = dict(zip(needed, looked, strict=True)) if looked is not None else {}
        translations: list[list[Translation]] = [[] for _ in found]
        for place, (row, one) in enumerate(flat):
            text = self.target.decode(one.tokens)
            pieces = [self.target.tokenizer.token(token) for token in one.tokens]
            own = weights.get(place)
            source_pieces = self.source.pieces(sentences[row]) if own is not None else []
            if own is not None and unknown is not None and unknown in one.tokens:
                pieces = [
                    source_pieces[int(own[index].argmax())] if token == unknown else pieces[index]
                    for index, token in enumerate(one.tokens)
                ]
                text = self.target.decode_replacing(one.tokens, pieces)
            kept = own if alignment else None
            translations[row].append(
                Translation(text, one.score, one.log_probability, tuple(source_pieces), tuple(pieces), kept)
            )
        return translations

    def _own(self, part: str) -> ParallelText:
        return ParallelText.load(self.folder.tokens / f"{part}.jsonl", part)

    def _found(self, data: Sequence[ParallelText | Path | str], part: str | None) -> ParallelText:
        settings = self.settings
        if settings.autoencode:
            found = find_sentences(data, encoding=settings.encoding)
        else:
            found = find_parallel(data, source=settings.source, target=settings.target, encoding=settings.encoding)
        return chosen_part(found, part)


def _search(options: dict[str, Any]) -> Search:
    for name in options:
        check_choice("search", name, Search.__dataclass_fields__)
    return Search(**options)
