"""Reports of models that read pictures, videos and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from command_line import run
from plain_pictures import patches, running_bar
from throughtime import (
    AnomalyDetector,
    CaptionedVideos,
    Captioner,
    ImageClassifier,
    SequenceBatch,
    VideoCaptioner,
    VideoClassifier,
    VideoPredictor,
    VisualQuestionAnswerer,
    load,
)
from throughtime.data import sample_digits, sample_questions
from throughtime.data.sample_signals import sample_signals
from throughtime.data.visual_question_batches import QuestionSequences
from throughtime.errors import ArgumentError
from throughtime.inspection import giving, gradient_flow, inspect_model, record_gates
from throughtime.inspection.anomaly_figures import plot_latent_map, plot_reconstruction_lags, plot_score_parts
from throughtime.inspection.anomaly_report import reconstruction_lags
from throughtime.inspection.caption_report import caption_saliency
from throughtime.inspection.image_report import image_saliency
from throughtime.inspection.picture_gates import most_varied_units, plot_picture_gates
from throughtime.inspection.picture_saliency import plot_picture_saliency
from throughtime.inspection.question_report import question_saliency
from throughtime.inspection.video_caption_report import plot_frame_attention
from throughtime.inspection.video_report import plot_video_saliency, video_saliency
from throughtime.inspection.videos import plot_frames
from throughtime.models import (
    ConvolutionalEncoder,
    FramePredictor,
    QuestionEncoder,
    RecurrentAutoencoder,
    VisualQuestionNetwork,
)
from throughtime.nn import ConvLSTM
from throughtime.sequence import QuestionBatch
from throughtime.tasks.captioning_model import Caption
from throughtime.tasks.question_reading import question_reading
from throughtime.tasks.reading import autoencoder_readings
from throughtime.tasks.video_readings import frame_reading

QUICK: dict[str, Any] = {"steps": 4, "device": "cpu", "precision": "32"}
SECTIONS = ["Gradient flow", "Gates and states", "Memory", "Recurrent matrices"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    small: dict[str, Any] = {**QUICK, "channels": (4,), "hidden_size": 6}
    captions: dict[str, Any] = {**small, "embedding_size": 4}
    AnomalyDetector.fit(sample_signals(300), output=place / "detector", hidden_size=6, window=16, **QUICK)
    ImageClassifier.fit(sample_digits().chosen(range(80)), output=place / "images", channels=(4,), **QUICK)
    Captioner.fit(patches(30), output=place / "captioner", **captions)
    Captioner.fit(patches(30), output=place / "blind", attention="none", **captions)
    VideoClassifier.fit(running_bar(10), output=place / "videos", frame_size=5, **small)
    VideoClassifier.fit(running_bar(10), output=place / "convolutional", recurrence="convolutional", **small)
    questions: dict[str, Any] = {**captions, "joint_size": 6}
    VisualQuestionAnswerer.fit(sample_questions(12, side=16), output=place / "answers", **questions)
    VisualQuestionAnswerer.fit(
        sample_questions(12, side=16), output=place / "written", answers="sequence", combination="joined", **questions
    )
    clips = running_bar(15)
    said = CaptionedVideos.of(
        [np.asarray(one.video) for one in clips.examples], [f"it goes {one.labels[0]}" for one in clips.examples]
    )
    VideoCaptioner.fit(said, output=place / "clips", **captions)
    VideoCaptioner.fit(said, output=place / "blind_clips", attention="none", **captions)
    VideoPredictor.fit(running_bar(10), output=place / "frames", hidden_channels=4, num_layers=1, **QUICK)
    return {path.name: path for path in place.iterdir()}


def _no_picture(_: Figure) -> bytes:
    return b"<svg/>"


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not rendered, which takes a second for each."""
    monkeypatch.setattr("throughtime.inspection.page.as_svg", _no_picture)


EXPECTED = {
    "detector": ["Score", "Decomposition by lag", "Map of windows", *SECTIONS],
    "images": ["Saliency", "No recurrence"],
    "captioner": ["Attention", "Saliency", *SECTIONS],
    "blind": ["Attention", "Saliency", *SECTIONS],
    "videos": ["Saliency", *SECTIONS],
    "clips": ["Attention", "Saliency", *SECTIONS],
    "blind_clips": ["Attention", "Saliency", *SECTIONS],
    "convolutional": ["Saliency", *SECTIONS],
    "frames": ["Predicted frames", *SECTIONS],
    "answers": ["Attention", "Saliency", *SECTIONS],
    "written": ["Attention", "Saliency", *SECTIONS],
}


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("name", EXPECTED)
def test_a_report_of_any_model_is_one_page_that_needs_nothing_else(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    report = inspect_model(folders[name], device="cpu")
    assert [section.title for section in report.sections] == EXPECTED[name]
    report.save(tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href|srcset)=\"(?!data:|#)", html)
    figures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    assert html.count("<picture>") == len(figures)
    numbers = json.loads((tmp_path / "report" / "numbers.json").read_text(encoding="utf-8"))
    for rows in numbers.get("gradient_flow", {}).values():
        for row in rows:
            assert row["relative_norm"][0] == pytest.approx(1.0)
    if name == "images":
        assert "no gradient flow through time" in html
    if name.startswith("blind"):
        assert "has no attention" in html
        assert not {figure for figure in figures if figure.startswith("attention")}
    if name in {"convolutional", "frames"}:
        assert "which are no matrices" in html
        assert {figure for figure in figures if figure.startswith("gates_layer_1_unit_")}


@pytest.mark.usefixtures("_undrawn")
def test_a_model_is_looked_at_with_what_it_is_given(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, video, table = tmp_path / "one.png", tmp_path / "video", tmp_path / "series.csv"
    Image.fromarray(np.full((8, 12, 3), (80, 9, 9), np.uint8)).save(picture)
    video.mkdir()
    for step, frame in enumerate(np.asarray(running_bar(1).examples[0].video)):
        Image.fromarray(frame).save(video / f"{step}.png")
    sample_signals(100, seed=3).frame().write_csv(table)
    out = tmp_path / "report"
    for name, file in (
        ("captioner", picture),
        ("images", picture),
        ("videos", video),
        ("clips", video),
        ("frames", video),
    ):
        status, printed, error = run(
            capsys, "inspect", folders[name], "-o", out, "--input", file, "--device", "cpu", "--json"
        )
        assert (status, error) == (0, ""), name
        found = json.loads(printed)
        assert len(found.get("saliency", [0])) == 1
    report = inspect_model(folders["answers"], ["what shape is it?", "is it red?"], files=[picture], device="cpu")
    asked = [one["question"] for one in report.numbers["saliency"]]
    assert asked == ["what shape is it?", "is it red?"]
    assert len(report.numbers["saliency"][1]["words"]) == len(report.numbers["saliency"][1]["pieces"]) == 4
    report = inspect_model(folders["detector"], files=[table], device="cpu")
    assert "Score" in [section.title for section in report.sections]
    for name, arguments, message in (
        (
            "captioner",
            ["--text", "a"],
            "this model reads pictures; leave out --text and --file, and give some by --input",
        ),
        ("detector", ["--input", table, "--input", table], "reads one file of series, got 2"),
        ("frames", ["--input", tmp_path / "none.gif"], "none.gif"),
        ("images", ["--input", table], "series.csv"),
        ("answers", ["--input", picture], "say by --text what to ask about them"),
    ):
        status, _, error = run(capsys, "inspect", folders[name], "-o", tmp_path / "none", *arguments, "--device", "cpu")
        assert status == 1
        assert message in error
        assert error.count("\n") == 1


def test_a_copy_without_data_says_what_to_give(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("detector", "captioner", "videos", "images"):
        model: Any = load(folders[name], device="cpu")
        model.save(tmp_path / name)
        with pytest.raises(ArgumentError, match="to look at; give some by --input"):
            inspect_model(tmp_path / name, device="cpu")


def test_saliency_of_pixels_adds_up_to_the_score(folders: dict[str, Path]) -> None:
    images: Any = load(folders["images"], device="cpu")
    pictures = torch.from_numpy(images.reader.frames(list(sample_digits().chosen(range(100, 102)).pictures)).array)
    with torch.no_grad():
        mean = (255 * images.network.images.mean).expand(pictures.shape)
        gained = images.network(SequenceBatch(pictures[None])) - images.network(SequenceBatch(mean[None]))
    for row, one in enumerate(image_saliency(images, pictures)):
        place = images.targets.classes.index(one.label)
        assert one.integrated_gradients.sum() == pytest.approx(gained[row, place].item(), rel=2e-2, abs=2e-3)
    videos: Any = load(folders["videos"], device="cpu")
    frames = torch.from_numpy(np.asarray(running_bar(1).examples[0].video))[..., None]
    found = video_saliency(videos, frames)
    with torch.no_grad():
        mean = (255 * videos.network.images.mean).expand(frames.shape)
        one, other = (videos.network(SequenceBatch(own.unsqueeze(1)))[0] for own in (frames, mean))
    place = videos.targets.classes.index(found.label)
    assert found.by_frame.sum() == pytest.approx((one - other)[place].item(), rel=2e-2, abs=2e-3)
    assert found.by_frame.shape == (6,)


@pytest.mark.parametrize("name", ["answers", "written"])
def test_saliency_of_an_answer_adds_up_to_its_score(name: str, folders: dict[str, Path]) -> None:
    model: Any = load(folders[name], device="cpu")
    picture = np.random.default_rng(0).integers(256, size=(16, 16, 3), dtype=np.uint8)
    question = "what shape is in the picture ?"
    sequences = QuestionSequences(model.reader.frames([picture]), np.array([0]), [model.tokenizer.encode(question)])
    (given,) = model.answers.give(model.network, sequences, 1)
    answer = next(iter(given.probabilities))
    found = question_saliency(model, sequences, 0, question, answer)
    batch, network = sequences.batch([0]), model.network

    def score(own: Any) -> float:
        with torch.no_grad():
            if name == "answers":
                return network(own)[0, model.answers.names.index(answer)].item()
            end = network.end
            target = torch.tensor([end, *model.answers.tokenizer.encode(answer).tolist(), end])
            scores = network(own, target[:-1, None])[:, 0].log_softmax(-1)
            return scores.gather(1, target[1:, None]).sum().item()

    whole = score(batch)
    mean = (255 * network.encoder.images.mean).expand(batch.pictures.shape)
    assert found.places.sum() == pytest.approx(whole - score(replace(batch, pictures=mean)), rel=2e-2, abs=2e-3)
    with giving(network.encoder.embedding, torch.zeros(len(batch.values), 1, 4)):
        silent = score(batch)
    assert found.words.sum() == pytest.approx(whole - silent, rel=1e-3, abs=1e-4)
    assert len(found.pieces) == len(found.words)


def test_saliency_of_a_caption_adds_up_to_its_log_probability(folders: dict[str, Path]) -> None:
    model: Any = load(folders["captioner"], device="cpu")
    (caption,) = model.caption([np.full((8, 12, 3), (80, 9, 9), np.uint8)])
    pictures = torch.full((1, 8, 12, 3), 0, dtype=torch.uint8) + torch.tensor([80, 9, 9], dtype=torch.uint8)
    check_saliency(model, pictures, caption)
    clips: Any = load(folders["clips"], device="cpu")
    frames = np.asarray(running_bar(1).examples[0].video)
    (caption,) = clips.caption([frames])
    check_saliency(clips, torch.from_numpy(frames)[..., None], caption)


def check_saliency(model: Any, frames: Tensor, caption: Caption) -> None:
    tokens = model.tokenizer.encode(caption.text)
    found = caption_saliency(model, frames, tokens)
    assert len(found) == len(frames)
    end = model.network.end
    target = torch.tensor([end, *tokens.tolist(), end])
    with torch.no_grad():
        scores = [
            model.network(SequenceBatch(own.unsqueeze(1)), target[:-1, None])[:, 0].log_softmax(-1)
            for own in (frames, (255 * model.network.images.mean).expand(frames.shape))
        ]
    one, other = (own.gather(1, target[1:, None]).sum().item() for own in scores)
    assert one == pytest.approx(caption.log_probability, abs=1e-4)
    assert found.sum().item() == pytest.approx(one - other, rel=2e-2, abs=2e-3)


def test_the_lags_of_a_reconstruction_are_its_jacobian() -> None:
    torch.manual_seed(0)
    network = RecurrentAutoencoder(2, 3, hidden_size=4).double().eval()
    windows = torch.randn(5, 3, 2, dtype=torch.float64)
    found = reconstruction_lags(network, windows)

    def told(values: Tensor) -> Tensor:
        return network(values).sum(1)

    jacobian: Any = torch.autograd.functional.jacobian(told, windows)
    for channel in range(2):
        own = jacobian[:, channel, :, :, channel].mean(-1)  # (step that is told, step of the window)
        expected = [own.diagonal(-lag).mean().item() for lag in range(-4, 5)]
        assert found[channel].tolist() == pytest.approx(expected, rel=1e-9)


def test_a_decoders_loss_at_a_step_is_the_error_of_the_step_that_it_tells_there() -> None:
    torch.manual_seed(1)
    network = RecurrentAutoencoder(2, 3, hidden_size=4).double().eval()
    windows = torch.randn(5, 3, 2, dtype=torch.float64)
    encoder, decoder = autoencoder_readings(network, windows)
    assert encoder.loss is None
    assert decoder.loss is not None
    outputs, _ = decoder.layer(decoder.inputs.values, decoder.state)
    error = (network(windows) - windows).square().mean(-1)
    for step in range(5):
        found = decoder.loss(outputs[step], torch.full((3,), step))
        torch.testing.assert_close(found, error[4 - step])


def test_a_network_of_frames_is_read_as_it_reads() -> None:
    torch.manual_seed(2)
    network = FramePredictor((8, 8, 1), hidden_channels=4, num_layers=2).eval()
    videos = torch.randint(256, (6, 2, 8, 8, 1), dtype=torch.uint8)
    reading = frame_reading(network, SequenceBatch(videos))
    activations = record_gates(reading.layer, reading.inputs, reading.state)
    with torch.no_grad():
        scores = network(SequenceBatch(videos[:-1]))
        top = activations[-1].states["hidden"].movedim(-1, 2)
        torch.testing.assert_close(network.pixels(top.flatten(0, 1)).unflatten(0, (5, 2)), scores, rtol=1e-4, atol=1e-5)
    flow = gradient_flow(reading.layer, reading.inputs, reading.loss)
    assert flow.norms.shape == (2, 5, 2)
    assert flow.norms.isfinite().all()
    assert (flow.norms > 0).all()


def figures() -> dict[str, Callable[[bool], Figure]]:
    random = np.random.default_rng(0)
    pixels = [random.integers(256, size=(8, 10, 1), dtype=np.uint8) for _ in range(12)]
    (own,) = record_gates(ConvLSTM(1, 3), torch.randn(12, 2, 1, 4, 5))
    errors, maps = random.normal(size=(40, 2)), random.normal(size=(12, 8, 10))
    parts = {"one": errors[:, 0], "other": errors[:, 1]}
    return {
        "pictures": lambda dark: plot_picture_saliency(pixels[:4], list(maps[:4]), ["$a", "b", "c", "d"], dark=dark),
        "video": lambda dark: plot_video_saliency(pixels, maps, dark=dark),
        "attention": lambda dark: plot_frame_attention(pixels, ["$a", " "], random.random((3, 12)), dark=dark),
        "frames": lambda dark: plot_frames({"a": pixels, "b": [None, *pixels[1:]]}, dark=dark),
        "gates": lambda dark: plot_picture_gates(own, pixels, unit=most_varied_units(own)[0], dark=dark),
        "parts": lambda dark: plot_score_parts(errors, errors, parts, ["x", "y"], threshold=1.0, dark=dark),
        "lags": lambda dark: plot_reconstruction_lags(torch.randn(2, 31), ["x", "y"], dark=dark),
        "map": lambda dark: plot_latent_map(errors, errors[:, 0], ["p"] * 40, threshold=1.0, dark=dark),
    }


@pytest.mark.parametrize("name", figures())
def test_a_figure_is_drawn_on_white_and_on_dark_paper(name: str) -> None:
    draw = figures()[name]
    light, dark = draw(False), draw(True)
    assert light.get_facecolor() != dark.get_facecolor()
    assert len(light.axes) > 0


def test_what_cannot_be_drawn_is_refused() -> None:
    (own,) = record_gates(ConvLSTM(1, 3), torch.randn(4, 1, 1, 4, 5))
    pixels = np.zeros((4, 5, 1), np.uint8)
    for draw, message in (
        (lambda: plot_picture_gates(own, unit=3), r"`unit` must lie in \[0, 2\], got 3"),
        (lambda: plot_picture_gates(own, [pixels], unit=0), "`frames` must be as many as the steps, 4, got 1"),
        (lambda: plot_picture_gates(own.over_places(), unit=0), "must be of a convolutional layer"),
        (lambda: plot_picture_saliency([], [], []), "at least one"),
        (lambda: plot_video_saliency([pixels], np.zeros((2, 4, 5))), "as many as the frames, 1, got 2"),
        (lambda: plot_frame_attention([pixels], ["a"], np.zeros((1, 1))), r"\(2, 1\), got \(1, 1\)"),
        (lambda: plot_frames({"a": [pixels], "b": []}), "equally many frames"),
        (lambda: plot_latent_map(np.zeros((2, 3)), [0, 0], ["", ""], threshold=1.0), "at least three windows, got 2"),
        (
            lambda: plot_score_parts(np.zeros((3, 2)), np.zeros((2, 2)), {}, ["a", "b"], threshold=1.0),
            "must have the shape of the values",
        ),
    ):
        with pytest.raises(ArgumentError, match=message):
            draw()


def test_a_reader_of_the_whole_question_has_the_loss_of_the_network() -> None:
    torch.manual_seed(4)
    encoder = QuestionEncoder(ConvolutionalEncoder((8, 8, 3), channels=(4,)), 9, embedding_size=4, hidden_size=5)
    network = VisualQuestionNetwork(encoder, 6).eval()
    pictures = torch.randint(256, (2, 8, 8, 3), dtype=torch.uint8)
    questions = QuestionBatch(torch.randint(9, (1, 3)), pictures=pictures, which=torch.tensor([1, 0, 1]))
    reading = question_reading(network, questions)
    assert reading.loss is not None
    outputs, _ = reading.layer(reading.inputs.values)
    scores = network(questions)
    found = reading.loss(outputs[0], torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(scores, scores.argmax(-1), reduction="none"))
