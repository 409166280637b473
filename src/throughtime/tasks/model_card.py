"""The README.md of a model folder: what was learned from, how, and how well."""

from __future__ import annotations

from throughtime import __version__
from throughtime.files import write_text
from throughtime.models import EncoderDecoder, RecurrentLanguageModel, RecurrentTextClassifier
from throughtime.tasks import text_classification, translation, word2vec
from throughtime.tasks.language_modelling import Settings, TextData
from throughtime.tasks.settings import TaskSettings
from throughtime.tasks.text_classification import ClassifiedText
from throughtime.training import ModelFolder, describe_hardware, duration, perplexity, read_metrics
from throughtime.word2vec import Word2VecTrainer


def language_model_card(
    folder: ModelFolder, settings: Settings, data: TextData, network: RecurrentLanguageModel
) -> None:
    """Write the model card of a language model into its folder."""
    records = read_metrics(folder.metrics_file)
    validations = [record for record in records if "validation_loss" in record]
    best = min(validations, key=lambda record: record["validation_loss"], default=None)
    reached = (
        "There was no validation yet."
        if best is None
        else f"Best validation: **{best['validation_loss']:.4f} nats per token**, perplexity "
        f"{perplexity(best['validation_loss']):.2f}, at step {best['step']:,} (epoch {best['epoch']})."
    )
    seconds = records[-1]["seconds"] if records else 0.0
    device = next(network.parameters()).device
    weights = sum(weight.numel() for weight in network.parameters())
    parts = {"training": data.train, "validation": data.valid, "test": data.test}
    rows = [
        f"| {name} | {part.counts.tokens:,} | {part.counts.characters:,} | {part.counts.unknown:,} |"
        for name, part in parts.items()
        if part is not None
    ]
    write_text(
        folder.card_file,
        "\n".join(
            [
                f"# A {settings.tokens} language model",
                "",
                f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, {weights:,} weights, "
                f"a vocabulary of {data.tokenizer.vocabulary_size:,}. Trained by throughtime {__version__}.",
                "",
                f"{reached} Trained for {duration(seconds)} on {describe_hardware(device)}.",
                "",
                "![loss](loss.png)",
                "",
                "## Data",
                "",
                "| part | tokens | characters | unknown tokens |",
                "|---|---:|---:|---:|",
                *rows,
                "",
                *_settings_table(settings),
                "",
                "## Use",
                "",
                "```",
                f"throughtime lm generate {folder.path.name} --prompt 'The '",
                f"throughtime lm evaluate {folder.path.name} TEXT",
                "```",
                "",
            ]
        ),
    )


def text_classifier_card(
    folder: ModelFolder, settings: text_classification.Settings, data: ClassifiedText, network: RecurrentTextClassifier
) -> None:
    """Write the model card of a text classifier into its folder."""
    records = read_metrics(folder.metrics_file)
    validations = [record for record in records if "validation_loss" in record]
    reached = "There was no validation yet."
    if validations:
        name = f"validation_{settings.decisive}"
        best = max(validations, key=lambda record: -record[name] if settings.decisive == "loss" else record[name])
        reached = (
            f"Best validation: **accuracy {best['validation_accuracy']:.2%}**, macro F1 "
            f"{best['validation_macro_f1']:.4f}, {best['validation_loss']:.4f} nats per text, at step {best['step']:,} "
            f"(epoch {best['epoch']})."
        )
    seconds = records[-1]["seconds"] if records else 0.0
    device = next(network.parameters()).device
    weights = sum(weight.numel() for weight in network.parameters())
    parts = data.splits.parts()
    rows = [
        f"| {label} | {' | '.join(f'{part.counts().get(label, 0):,}' for part in parts.values())} |"
        for label in data.targets.classes
    ]
    write_text(
        folder.card_file,
        "\n".join(
            [
                "# A text classifier",
                "",
                f"{settings.stages[0].upper()}{settings.stages[1:]}; {weights:,} weights, a vocabulary of "
                f"{data.tokenizer.vocabulary_size:,}. Trained by throughtime {__version__}.",
                "",
                f"{reached} Trained for {duration(seconds)} on {describe_hardware(device)}.",
                "",
                "![loss](loss.png)",
                "",
                "## Data",
                "",
                f"| class | {' | '.join(parts)} |",
                f"|---|{'---:|' * len(parts)}",
                *rows,
                "",
                *_settings_table(settings),
                "",
                "## Use",
                "",
                "```",
                f"throughtime classify predict {folder.path.name} 'a text'",
                f"throughtime classify evaluate {folder.path.name} DATA",
                "```",
                "",
            ]
        ),
    )


def translator_card(
    folder: ModelFolder, settings: translation.Settings, data: translation.TranslationData, network: EncoderDecoder
) -> None:
    """Write the model card of a translator into its folder."""
    records = read_metrics(folder.metrics_file)
    validations = [record for record in records if "validation_loss" in record]
    reached = "There was no validation yet."
    if validations:
        name = f"validation_{settings.select_by}"
        best = max(validations, key=lambda record: -record[name] if settings.select_by == "loss" else record[name])
        reached = (
            f"Best validation, by greedy search: **BLEU {best['validation_bleu']:.2f}**, chrF "
            f"{best['validation_chrf']:.2f}, {best['validation_loss']:.4f} nats per token, at step {best['step']:,} "
            f"(epoch {best['epoch']})."
        )
    seconds = records[-1]["seconds"] if records else 0.0
    device = next(network.parameters()).device
    weights = sum(weight.numel() for weight in network.parameters())
    command = f"throughtime translate {'encode ' if settings.autoencode else ''}{folder.path.name}"
    write_text(
        folder.card_file,
        "\n".join(
            [
                "# A recurrent autoencoder of sentences" if settings.autoencode else "# A translator",
                "",
                f"{settings.network_name}; {weights:,} weights, vocabularies of {data.source.vocabulary_size:,} and "
                f"{data.target.vocabulary_size:,}. Trained by throughtime {__version__}.",
                "",
                f"{reached} Trained for {duration(seconds)} on {describe_hardware(device)}.",
                "",
                "![loss](loss.png)",
                "",
                "## Data",
                "",
                "| part | pairs |",
                "|---|---:|",
                *(f"| {name} | {len(part):,} |" for name, part in data.splits.parts().items()),
                "",
                *_settings_table(settings),
                "",
                "## Use",
                "",
                "```",
                f"{command} < sentences.txt",
                f"throughtime translate evaluate {folder.path.name}",
                "```",
                "",
            ]
        ),
    )


def word2vec_card(folder: ModelFolder, settings: word2vec.Settings, trainer: Word2VecTrainer) -> None:
    """Write the model card of word vectors into their folder."""
    vocabulary, name = trainer.vocabulary, folder.path.name
    speed = trainer.words / max(trainer.seconds, 1e-9)
    write_text(
        folder.card_file,
        "\n".join(
            [
                "# Word vectors",
                "",
                f"{len(vocabulary):,} words, {trainer.size} features, learned by {settings.architecture} with "
                f"{settings.objective.replace('-', ' ')}. Trained by throughtime {__version__} for "
                f"{duration(trainer.seconds)}, {trainer.done / trainer.pieces:.2f} epochs, {speed:,.0f} words/s.",
                "",
                f"The text has {vocabulary.text_words:,} words in {vocabulary.sentences:,} sentences.",
                "",
                "![loss](loss.png)",
                "",
                *_settings_table(settings),
                "",
                "## Use",
                "",
                "```",
                f"throughtime vectors nearest {name} {vocabulary.words[-1]}",
                f"throughtime vectors convert {name} vectors.txt",
                "```",
                "",
            ]
        ),
    )


def _settings_table(settings: TaskSettings) -> list[str]:
    chosen = [f"| `{name}` | {value} |" for name, value in settings.model_dump(exclude_none=True).items()]
    return ["## Settings", "", "| setting | value |", "|---|---|", *chosen]
