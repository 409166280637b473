"""Networks of pictures, videos and numeric windows in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.export.onnx_autoencoder import detector_files
from throughtime.export.onnx_decoders import captioner_files
from throughtime.export.onnx_file import check_file, run_onnx, session_of
from throughtime.export.onnx_pictures import image_classifier_files
from throughtime.export.onnx_questions import question_files
from throughtime.export.onnx_video_captioner import video_captioner_files
from throughtime.export.onnx_videos import frame_predictor_files, video_classifier_files
from throughtime.models import (
    AnswerWriter,
    Captioner,
    ConvolutionalEncoder,
    FramePredictor,
    FullyConnectedEncoder,
    GivenFeatures,
    ImageClassifier,
    ImageEncoder,
    QuestionEncoder,
    RecurrentAutoencoder,
    RecurrentVideoClassifier,
    VideoCaptioner,
    VisualQuestionNetwork,
)
from throughtime.models.image_encoder import PixelEncoder
from throughtime.models.visual_question_answering import COMBINATIONS
from throughtime.tasks.anomaly_scores import ScoreScale

pytest.importorskip("onnxruntime")


def encoder(kind: str = "convolutional", channels: tuple[int, ...] = (4, 5)) -> ImageEncoder:
    """An encoder that has seen something: its normalisation over the batch is no identity."""
    torch.manual_seed(5)
    if kind == "features":
        return GivenFeatures((2, 3), 5)
    options: dict[str, Any] = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    made: PixelEncoder
    if kind != "fully connected":
        batch_norm = kind == "convolutional"
        made = ConvolutionalEncoder((8, 11, 3), channels=channels, convolutions=2, batch_norm=batch_norm, **options)
    else:
        made = FullyConnectedEncoder((8, 12, 3), hidden_sizes=(6, 5), **options)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 1.5)
    return made


@pytest.mark.parametrize("kind", ["convolutional", "convolutions alone", "fully connected", "features"])
@pytest.mark.parametrize("options", [{}, {"pooling": "mean", "fully_connected": 7}, {"pooling": "max"}], ids=str)
def test_image_classifiers(kind: str, options: dict[str, Any]) -> None:
    network = ImageClassifier(encoder(kind), 4, **options).eval()
    assert max(check_file(file) for file in image_classifier_files(network)) < 2e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hard_attention": "reinforce"},
        {"attention": None, "cell": "gru", "num_layers": 2},
        {"attention": "dot", "attention_order": "after", "input_feeding": True},
        {"attention": "general", "attention_order": "after", "tied": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["convolutional", "fully connected", "features"])
def test_captioners_encoder_and_step(kind: str, options: dict[str, Any]) -> None:
    network = Captioner(encoder(kind), 9, embedding_size=6, hidden_size=8, **options).eval()
    assert max(check_file(file) for file in captioner_files(network)) < 2e-6


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("kind", ["convolutional", "features"])
def test_networks_that_answer_questions(kind: str, combination: str) -> None:
    options: dict[str, Any] = {"combination": combination, "embedding_size": 4, "hidden_size": 6, "joint_size": 7}
    reader = QuestionEncoder(encoder(kind), 9, **options)
    assert max(check_file(file) for file in question_files(VisualQuestionNetwork(reader, 5).eval())) < 2e-6
    writer = AnswerWriter(reader, 6, embedding_size=4, hidden_size=8).eval()
    files = question_files(writer)
    assert [file.name for file in files] == ["encoder", "step"]
    assert max(check_file(file) for file in files) < 2e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": True, "pooling": "attention", "cell": "gru"},
        {"recurrence": "convolutional", "num_layers": 2},
        {"recurrence": "convolutional", "bidirectional": True, "pooling": "mean"},
        {"recurrence": "convolutional", "bidirectional": True, "pooling": "last", "num_layers": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["convolutional", "features"])
def test_video_classifiers(kind: str, options: dict[str, Any]) -> None:
    network = RecurrentVideoClassifier(encoder(kind), 3, frame_size=6, hidden_size=4, **options).eval()
    files = video_classifier_files(network)
    assert [file.name for file in files] == (["model"] if "bidirectional" in options else ["model", "step"])
    assert max(check_file(file) for file in files) < 2e-6


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"peephole": False, "patch_size": 2}, {"cell": "gru"}], ids=str)
def test_networks_that_predict_frames(options: dict[str, Any]) -> None:
    chosen: dict[str, Any] = {"patch_size": 4, "hidden_channels": 5, "num_layers": 1, **options}
    network = FramePredictor((8, 12, 2), **chosen).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    assert max(check_file(file) for file in frame_predictor_files(network)) < 2e-6


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"cell": "gru"}, {"cell": "lstm_layer_norm"}], ids=str)
def test_anomaly_detectors(options: dict[str, Any]) -> None:
    network = RecurrentAutoencoder(3, 4, hidden_size=6, **options).eval()
    errors = [np.random.default_rng(0).normal(size=(90, 3)) * (0.1, 1, 5)]
    files = detector_files(network, ScoreScale.of(errors, (6, 20)))
    assert [file.name for file in files] == ["model", "score"]
    assert max(check_file(file) for file in files) < 3e-6
    odd = errors[0].copy()
    odd[40, 1] = 30
    session = session_of(files[1].model)
    found = run_onnx(session, {"errors": odd.astype(np.float32)})
    assert int(found["scores"].argmax()) == 40
    assert int(found["channels"][40]) == 1


def test_a_backbone_that_was_trained_on_is_refused() -> None:
    class Other(ImageEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.grid, self.output_size, self.input_shape = (1, 1), 3, (4, 4, 3)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.float().mean((1, 2)).unsqueeze(1)

    with pytest.raises(ArgumentError, match="a backbone that was fine-tuned can't be written in ONNX"):
        image_classifier_files(ImageClassifier(Other(), 2).eval())


@pytest.mark.parametrize("options", [{}, {"attention": None, "cell": "gru", "num_layers": 2}], ids=str)
@pytest.mark.parametrize("kind", ["convolutional", "features"])
def test_captioners_of_videos(kind: str, options: dict[str, Any]) -> None:
    network = VideoCaptioner(encoder(kind), 9, embedding_size=6, hidden_size=8, **options).eval()
    assert max(check_file(file) for file in video_captioner_files(network)) < 2e-6
