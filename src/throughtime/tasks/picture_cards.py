"""The model cards of networks that look at pictures and videos."""

from __future__ import annotations

from typing import Any

from throughtime.models import (
    DescribingNetwork,
    FramePredictor,
    ImageClassifier,
    RecurrentVideoClassifier,
)
from throughtime.tasks import (
    captioning,
    image_classification,
    next_frame,
    video_classification,
    visual_question_answering,
    visual_question_settings,
)
from throughtime.tasks.answer_forms import AnsweringNetwork
from throughtime.tasks.model_card import classifier_card, training_figures, weights_of, write_card
from throughtime.training import ModelFolder


def image_classifier_card(
    folder: ModelFolder,
    settings: image_classification.Settings,
    data: image_classification.ClassifiedImages,
    network: ImageClassifier,
) -> None:
    """Write the model card of an image classifier into its folder."""
    how = data.reader.preprocessing
    reads = f"pictures of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}"
    classifier_card(
        folder,
        "An image classifier",
        settings,
        data.splits,
        data.targets,
        network,
        reads=reads,
        example="picture.png",
        command="image",
    )


def captioner_card(
    folder: ModelFolder, settings: captioning.Settings, data: captioning.CaptionData, network: DescribingNetwork
) -> None:
    """Write the model card of a captioner into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**CIDEr-D {best['validation_cider']:.1f}**, BLEU-4 {best['validation_bleu_4']:.1f}, "
            f"{best['validation_loss']:.4f} nats per token"
        )

    how, unit = data.reader.preprocessing, data.splits.train.UNIT
    example = "photo.jpg --attention looked.png" if unit == "picture" else "clip.gif"
    write_card(
        folder,
        f"A captioner of {unit}s",
        f"{settings.network_name[0].upper()}{settings.network_name[1:]}; {weights_of(network)}, a vocabulary of "
        f"{data.tokenizer.vocabulary_size:,}. It looks at pictures of {how.height} x {how.width} pixels.",
        training_figures(folder, network, "Best validation, by greedy search", reached, decisive=settings.select_by),
        data=[
            f"| part | {unit}s | captions |",
            "|---|---:|---:|",
            *(
                f"| {name} | {len(part):,} | {sum(map(len, part.captions)):,} |"
                for name, part in data.splits.parts().items()
            ),
        ],
        settings=settings,
        use=[
            f"throughtime caption predict {folder.path.name} {example}",
            f"throughtime caption evaluate {folder.path.name}",
        ],
    )


def visual_question_card(
    folder: ModelFolder,
    settings: visual_question_settings.Settings,
    data: visual_question_answering.QuestionData,
    network: AnsweringNetwork,
) -> None:
    """Write the model card of a network that answers questions about pictures into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**accuracy {best['validation_accuracy']:.2%}**, {best['validation_loss']:.4f} nats per question"

    how = data.reader.preprocessing
    write_card(
        folder,
        "Answers to questions about pictures",
        f"{settings.network_name}; {weights_of(network)}, a vocabulary of {data.tokenizer.vocabulary_size:,}, "
        f"{data.answers.told}, pictures of {how.height} x {how.width} pixels.",
        training_figures(folder, network, "Best validation", reached, decisive="accuracy"),
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
    write_card(
        folder,
        "The next frame of a video",
        f"{settings.network_name}; {weights_of(network)}, frames of {how.height} x {how.width} pixels.",
        training_figures(folder, network, "Best validation", reached),
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
    how = data.reader.preprocessing
    reads = f"frames of {how.height} x {how.width} pixels"
    classifier_card(
        folder,
        "A video classifier",
        settings,
        data.splits,
        data.targets,
        network,
        reads=reads,
        example="video.gif",
        command="video",
    )
