"""The README.md of a model folder: what was learned from, how, and how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from throughtime import __version__
from throughtime.files import write_text
from throughtime.models import (
    Captioner,
    ClassifyingNetwork,
    EncoderDecoder,
    FramePredictor,
    ImageClassifier,
    RecurrentAutoencoder,
    RecurrentLanguageModel,
    RecurrentSequenceClassifier,
    RecurrentTextClassifier,
    RecurrentVideoClassifier,
    VisualQuestionNetwork,
)
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.tasks import (
    anomaly_detection,
    captioning,
    image_classification,
    next_frame,
    sequence_classification,
    text_classification,
    translation,
    video_classification,
    visual_question_answering,
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
    _write_card(
        folder,
        f"A {settings.tokens} language model",
        f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, {_weights(network)}, "
        f"a vocabulary of {data.tokenizer.vocabulary_size:,}. Trained by throughtime {__version__}.",
        _training(folder, network, "Best validation", reached),
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
    _classifier_card(folder, "A text classifier", settings, data, network, reads=vocabulary, example="'a text'")


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
    _classifier_card(folder, title, settings, data, network, reads=reads, example="DATA")


def image_classifier_card(
    folder: ModelFolder,
    settings: image_classification.Settings,
    data: image_classification.ClassifiedImages,
    network: ImageClassifier,
) -> None:
    """Write the model card of an image classifier into its folder."""
    how = data.reader.preprocessing
    reads = f"pictures of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}"
    _classifier_card(
        folder, "An image classifier", settings, data, network, reads=reads, example="picture.png", command="image"
    )


def _classifier_card(
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
    _write_card(
        folder,
        title,
        f"{settings.name[0].upper()}{settings.name[1:]}; {_weights(network)}, {reads}. "
        f"Trained by throughtime {__version__}.",
        _training(folder, network, "Best validation", reached, decisive=settings.decisive),
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
    _write_card(
        folder,
        "A recurrent autoencoder of sentences" if settings.autoencode else "A translator",
        f"{settings.network_name}; {_weights(network)}, vocabularies of {data.source.vocabulary_size:,} and "
        f"{data.target.vocabulary_size:,}. Trained by throughtime {__version__}.",
        _training(folder, network, "Best validation, by greedy search", reached, decisive=settings.select_by),
        data=[
            "| part | pairs |",
            "|---|---:|",
            *(f"| {name} | {len(part):,} |" for name, part in data.splits.parts().items()),
        ],
        settings=settings,
        use=[f"{command} < sentences.txt", f"throughtime translate evaluate {folder.path.name}"],
    )


def captioner_card(
    folder: ModelFolder, settings: captioning.Settings, data: captioning.CaptionData, network: Captioner
) -> None:
    """Write the model card of a captioner into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**CIDEr-D {best['validation_cider']:.1f}**, BLEU-4 {best['validation_bleu_4']:.1f}, "
            f"{best['validation_loss']:.4f} nats per token"
        )

    how = data.reader.preprocessing
    _write_card(
        folder,
        "A captioner of pictures",
        f"{settings.network_name[0].upper()}{settings.network_name[1:]}; {_weights(network)}, a vocabulary of "
        f"{data.tokenizer.vocabulary_size:,}. It looks at pictures of {how.height} x {how.width} pixels. Trained by "
        f"throughtime {__version__}.",
        _training(folder, network, "Best validation, by greedy search", reached, decisive=settings.select_by),
        data=[
            "| part | pictures | captions |",
            "|---|---:|---:|",
            *(
                f"| {name} | {len(part):,} | {sum(map(len, part.captions)):,} |"
                for name, part in data.splits.parts().items()
            ),
        ],
        settings=settings,
        use=[
            f"throughtime caption predict {folder.path.name} photo.jpg --attention looked.png",
            f"throughtime caption evaluate {folder.path.name}",
        ],
    )


def visual_question_card(
    folder: ModelFolder,
    settings: visual_question_answering.Settings,
    data: visual_question_answering.QuestionData,
    network: VisualQuestionNetwork,
) -> None:
    """Write the model card of a network that answers questions about pictures into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**accuracy {best['validation_accuracy']:.2%}**, {best['validation_loss']:.4f} nats per question"

    how = data.reader.preprocessing
    _write_card(
        folder,
        "Answers to questions about pictures",
        f"{settings.network_name}; {_weights(network)}, a vocabulary of {data.tokenizer.vocabulary_size:,}, "
        f"{len(data.answers):,} answers, pictures of {how.height} x {how.width} pixels. Trained by throughtime "
        f"{__version__}.",
        _training(folder, network, "Best validation", reached, decisive="accuracy"),
        data=[f"- {name}: {part.summary()}" for name, part in data.splits.parts().items()],
        settings=settings,
        use=[
            f"throughtime vqa predict {folder.path.name} picture.png 'what colour is it?'",
            f"throughtime vqa evaluate {folder.path.name} DATA",
        ],
    )


def frame_predictor_card(
    folder: ModelFolder, settings: next_frame.Settings, data: next_frame.VideoData, network: FramePredictor
) -> None:
    """Write the model card of a network that predicts frames into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**{best['validation_loss']:.5f} nats per pixel**, squared error of a frame {best['validation_mse']:.3f}"
        )

    how = data.reader.preprocessing
    _write_card(
        folder,
        "The next frame of a video",
        f"{settings.network_name}; {_weights(network)}, frames of {how.height} x {how.width} pixels. Trained by "
        f"throughtime {__version__}.",
        _training(folder, network, "Best validation", reached),
        data=[f"- {name}: {part.summary()}" for name, part in data.splits.parts().items()],
        settings=settings,
        use=[
            f"throughtime next-frame predict {folder.path.name} video.gif -o future.gif",
            f"throughtime next-frame evaluate {folder.path.name} DATA",
        ],
    )


def video_classifier_card(
    folder: ModelFolder,
    settings: video_classification.Settings,
    data: video_classification.ClassifiedVideos,
    network: RecurrentVideoClassifier,
) -> None:
    """Write the model card of a video classifier into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**accuracy {best['validation_accuracy']:.2%}**, macro F1 {best['validation_macro_f1']:.4f}, "
            f"{best['validation_loss']:.4f} nats per video"
        )

    how = data.reader.preprocessing
    _write_card(
        folder,
        "A video classifier",
        f"{settings.name}; {_weights(network)}, frames of {how.height} x {how.width} pixels. Trained by throughtime "
        f"{__version__}.",
        _training(folder, network, "Best validation", reached, decisive=settings.decisive),
        data=[f"- {name}: {part.summary()}" for name, part in data.splits.parts().items()],
        settings=settings,
        use=[
            f"throughtime video predict {folder.path.name} video.gif",
            f"throughtime video evaluate {folder.path.name} DATA",
        ],
    )


def forecaster_card(
    folder: ModelFolder, settings: ForecastSettings, data: ForecastData, network: ForecastEnsemble
) -> None:
    """Write the model card of a forecaster into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**loss {best['validation_loss']:.4f}** in units of the seasonal naive forecast's error"

    _write_card(
        folder,
        "A forecaster",
        f"{settings.name}, {settings.members} networks of {settings.hidden_size} units on a window of "
        f"{settings.window} values, {settings.horizon} steps ahead; {_weights(network)}. Trained by throughtime "
        f"{__version__}.",
        _training(folder, network, "Best validation", reached),
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

    _write_card(
        folder,
        "An anomaly detector",
        f"{settings.name}, windows of {settings.window} steps; {_weights(network)}. Trained by throughtime "
        f"{__version__}.",
        _training(folder, network, "Best validation", reached),
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
    _write_card(
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


def _write_card(
    folder: ModelFolder,
    title: str,
    model: str,
    training: str,
    *,
    data: Sequence[str] = (),
    settings: TaskSettings,
    use: Sequence[str],
) -> None:
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


def _weights(network: nn.Module) -> str:
    return f"{sum(weight.numel() for weight in network.parameters()):,} weights"


def _training(
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
