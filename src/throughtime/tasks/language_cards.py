"""The model cards of language models, text classifiers, translators and word vectors."""

from __future__ import annotations

from typing import Any

from throughtime.models import (
    EncoderDecoder,
    RecurrentLanguageModel,
    RecurrentTextClassifier,
)
from throughtime.tasks import (
    text_classification,
    translation,
    word2vec,
)
from throughtime.tasks.language_modelling import Settings, TextData
from throughtime.tasks.model_card import classifier_card, training_figures, weights_of, write_card
from throughtime.tasks.text_classification import ClassifiedText
from throughtime.training import ModelFolder, duration, perplexity
from throughtime.word2vec import Word2VecTrainer


def language_model_card(
    folder: ModelFolder, settings: Settings, data: TextData, network: RecurrentLanguageModel
) -> None:
    """Write the model card of a language model into its folder."""

    def reached(best: dict[str, Any]) -> str:
        loss = best["validation_loss"]
        return f"**{loss:.4f} nats per token**, perplexity {perplexity(loss):.2f}"

    parts = {"training": data.train, "validation": data.valid, "test": data.test}
    rows = [
        f"| {name} | {part.counts.tokens:,} | {part.counts.characters:,} | {part.counts.unknown:,} |"
        for name, part in parts.items()
        if part is not None
    ]
    write_card(
        folder,
        f"A {settings.tokens} language model",
        f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, {weights_of(network)}, "
        f"a vocabulary of {data.tokenizer.vocabulary_size:,}.",
        training_figures(folder, network, "Best validation", reached),
        data=["| part | tokens | characters | unknown tokens |", "|---|---:|---:|---:|", *rows],
        settings=settings,
        use=[
            f"throughtime lm generate {folder.path.name} --prompt 'The '",
            f"throughtime lm evaluate {folder.path.name} TEXT",
        ],
    )


def text_classifier_card(
    folder: ModelFolder, settings: text_classification.Settings, data: ClassifiedText, network: RecurrentTextClassifier
) -> None:
    """Write the model card of a text classifier into its folder."""
    vocabulary = f"a vocabulary of {data.tokenizer.vocabulary_size:,}"
    classifier_card(
        folder, "A text classifier", settings, data.splits, data.targets, network, reads=vocabulary, example="'a text'"
    )


def translator_card(
    folder: ModelFolder, settings: translation.Settings, data: translation.TranslationData, network: EncoderDecoder
) -> None:
    """Write the model card of a translator into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**BLEU {best['validation_bleu']:.2f}**, chrF {best['validation_chrf']:.2f}, "
            f"{best['validation_loss']:.4f} nats per token"
        )

    command = f"throughtime translate {'encode ' if settings.autoencode else ''}{folder.path.name}"
    write_card(
        folder,
        "A recurrent autoencoder of sentences" if settings.autoencode else "A translator",
        f"{settings.network_name}; {weights_of(network)}, vocabularies of {data.source.vocabulary_size:,} and "
        f"{data.target.vocabulary_size:,}.",
        training_figures(folder, network, "Best validation, by greedy search", reached, decisive=settings.select_by),
        data=[
            "| part | pairs |",
            "|---|---:|",
            *(f"| {name} | {len(part):,} |" for name, part in data.splits.parts().items()),
        ],
        settings=settings,
        use=[f"{command} < sentences.txt", f"throughtime translate evaluate {folder.path.name}"],
    )


def word2vec_card(folder: ModelFolder, settings: word2vec.Settings, trainer: Word2VecTrainer) -> None:
    """Write the model card of word vectors into their folder."""
    vocabulary, name = trainer.vocabulary, folder.path.name
    speed = trainer.words / max(trainer.seconds, 1e-9)
    write_card(
        folder,
        "Word vectors",
        f"{len(vocabulary):,} words, {trainer.size} features, learned by {settings.architecture} with "
        f"{settings.objective.replace('-', ' ')}. Trained for "
        f"{duration(trainer.seconds)}, {trainer.done / trainer.pieces:.2f} epochs, {speed:,.0f} words/s.",
        f"The text has {vocabulary.text_words:,} words in {vocabulary.sentences:,} sentences.",
        settings=settings,
        use=[
            f"throughtime vectors nearest {name} {vocabulary.words[-1]}",
            f"throughtime vectors convert {name} vectors.txt",
        ],
    )
