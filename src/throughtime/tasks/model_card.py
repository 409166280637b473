"""The README.md of a model folder: what was learned from, how, and how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from throughtime import __version__
from throughtime.files import write_text
from throughtime.models import (
    ClassifyingNetwork,
    EncoderDecoder,
    RecurrentAutoencoder,
    RecurrentLanguageModel,
    RecurrentSequenceClassifier,
    RecurrentTextClassifier,
)
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.tasks import (
    anomaly_detection,
    sequence_classification,
    text_classification,
    translation,
    word2vec,
)
from throughtime.tasks.classification import ClassifiedData, LabelSettings
from throughtime.tasks.forecasting import ForecastData
from throughtime.tasks.forecasting_settings import Settings as ForecastSettings
from throughtime.tasks.language_modelling import Settings, TextData
from throughtime.tasks.settings import TaskSettings
from throughtime.tasks.text_classification import ClassifiedText
from throughtime.training import ModelFolder, describe_hardware, duration, perplexity, read_metrics
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
        f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, {weights_told(network)}, "
        f"a vocabulary of {data.tokenizer.vocabulary_size:,}. Trained by throughtime {__version__}.",
        training_told(folder, network, "Best validation", reached),
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
    classifier_card(folder, "A text classifier", settings, data, network, reads=vocabulary, example="'a text'")


def sequence_classifier_card(
    folder: ModelFolder,
    settings: sequence_classification.Settings,
    data: sequence_classification.ClassifiedSequences,
    network: RecurrentSequenceClassifier,
) -> None:
    """Write the model card of a classifier of numeric sequences into its folder."""
    channels = data.splits.train.channels
    reads = f"{len(channels)} numbers a step ({', '.join(channels[:12])}{', ...' if len(channels) > 12 else ''})"
    title = "A classifier of sequences of numbers"
    classifier_card(folder, title, settings, data, network, reads=reads, example="DATA")


def classifier_card(
    folder: ModelFolder,
    title: str,
    settings: LabelSettings,
    data: ClassifiedData,
    network: ClassifyingNetwork,
    *,
    reads: str,
    example: str,
    command: str = "classify",
) -> None:
    """Write the model card of any classifier; ``reads`` says what it reads, ``example`` what to give it."""
    unit = data.splits.train.UNIT.removesuffix("s")

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**accuracy {best['validation_accuracy']:.2%}**, macro F1 {best['validation_macro_f1']:.4f}, "
            f"{best['validation_loss']:.4f} nats per {unit}"
        )

    parts = data.splits.parts()
    rows = [
        f"| {label} | {' | '.join(f'{part.counts().get(label, 0):,}' for part in parts.values())} |"
        for label in data.targets.classes
    ]
    write_card(
        folder,
        title,
        f"{settings.name[0].upper()}{settings.name[1:]}; {weights_told(network)}, {reads}. "
        f"Trained by throughtime {__version__}.",
        training_told(folder, network, "Best validation", reached, decisive=settings.decisive),
        data=[f"| class | {' | '.join(parts)} |", f"|---|{'---:|' * len(parts)}", *rows],
        settings=settings,
        use=[
            f"throughtime {command} predict {folder.path.name} {example}",
            f"throughtime {command} evaluate {folder.path.name} DATA",
        ],
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
        f"{settings.network_name}; {weights_told(network)}, vocabularies of {data.source.vocabulary_size:,} and "
        f"{data.target.vocabulary_size:,}. Trained by throughtime {__version__}.",
        training_told(folder, network, "Best validation, by greedy search", reached, decisive=settings.select_by),
        data=[
            "| part | pairs |",
            "|---|---:|",
            *(f"| {name} | {len(part):,} |" for name, part in data.splits.parts().items()),
        ],
        settings=settings,
        use=[f"{command} < sentences.txt", f"throughtime translate evaluate {folder.path.name}"],
    )


def forecaster_card(
    folder: ModelFolder, settings: ForecastSettings, data: ForecastData, network: ForecastEnsemble
) -> None:
    """Write the model card of a forecaster into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**loss {best['validation_loss']:.4f}** in units of the seasonal naive forecast's error"

    write_card(
        folder,
        "A forecaster",
        f"{settings.name}, {settings.members} networks of {settings.hidden_size} units on a window of "
        f"{settings.window} values, {settings.horizon} steps ahead; {weights_told(network)}. Trained by throughtime "
        f"{__version__}.",
        training_told(folder, network, "Best validation", reached),
        data=[f"- {line}" for line in data.table.description()],
        settings=settings,
        use=[
            f"throughtime forecast predict {folder.path.name}",
            f"throughtime forecast evaluate {folder.path.name} DATA",
        ],
    )


def anomaly_detector_card(
    folder: ModelFolder,
    settings: anomaly_detection.Settings,
    data: anomaly_detection.AnomalyData,
    network: RecurrentAutoencoder,
) -> None:
    """Write the model card of an anomaly detector into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**mean squared error {best['validation_loss']:.4f}** in deviations"

    write_card(
        folder,
        "An anomaly detector",
        f"{settings.name}, windows of {settings.window} steps; {weights_told(network)}. Trained by throughtime "
        f"{__version__}.",
        training_told(folder, network, "Best validation", reached),
        data=[f"- {line}" for line in data.table.description()],
        settings=settings,
        use=[
            f"throughtime autoencode detect {folder.path.name} DATA --figure odd.png",
            f"throughtime autoencode encode {folder.path.name} DATA -o vectors.npy",
        ],
    )


def word2vec_card(folder: ModelFolder, settings: word2vec.Settings, trainer: Word2VecTrainer) -> None:
    """Write the model card of word vectors into their folder."""
    vocabulary, name = trainer.vocabulary, folder.path.name
    speed = trainer.words / max(trainer.seconds, 1e-9)
    write_card(
        folder,
        "Word vectors",
        f"{len(vocabulary):,} words, {trainer.size} features, learned by {settings.architecture} with "
        f"{settings.objective.replace('-', ' ')}. Trained by throughtime {__version__} for "
        f"{duration(trainer.seconds)}, {trainer.done / trainer.pieces:.2f} epochs, {speed:,.0f} words/s.",
        f"The text has {vocabulary.text_words:,} words in {vocabulary.sentences:,} sentences.",
        settings=settings,
        use=[
            f"throughtime vectors nearest {name} {vocabulary.words[-1]}",
            f"throughtime vectors convert {name} vectors.txt",
        ],
    )


def write_card(
    folder: ModelFolder,
    title: str,
    model: str,
    training: str,
    *,
    data: Sequence[str] = (),
    settings: TaskSettings,
    use: Sequence[str],
) -> None:
    """Write a model card: title, model, training, tables of the data and the settings, and commands to use it."""
    chosen = [f"| `{name}` | {value} |" for name, value in settings.model_dump(exclude_none=True).items()]
    sections = [
        f"# {title}",
        model,
        training,
        "![loss](loss.png)",
        *(["## Data", "\n".join(data)] if data else []),
        "## Settings",
        "\n".join(["| setting | value |", "|---|---|", *chosen]),
        "## Use",
        "\n".join(["```", *use, "```"]),
    ]
    write_text(folder.card_file, "\n\n".join(sections) + "\n")


def weights_told(network: nn.Module) -> str:
    """How many weights a network has, for people to read."""
    return f"{sum(weight.numel() for weight in network.parameters()):,} weights"


def training_told(
    folder: ModelFolder,
    network: nn.Module,
    title: str,
    reached: Callable[[dict[str, Any]], str],
    *,
    decisive: str = "loss",
) -> str:
    """How far the validations came, of which the best has the lowest loss or the highest other figure; and how long."""
    records = read_metrics(folder.metrics_file)
    validations = [record for record in records if "validation_loss" in record]
    told = "There was no validation yet."
    if validations:
        name, sign = f"validation_{decisive}", -1 if decisive == "loss" else 1
        best = max(validations, key=lambda record: sign * record[name])
        told = f"{title}: {reached(best)}, at step {best['step']:,} (epoch {best['epoch']})."
    seconds = records[-1]["seconds"] if records else 0.0
    return f"{told} Trained for {duration(seconds)} on {describe_hardware(next(network.parameters()).device)}."
