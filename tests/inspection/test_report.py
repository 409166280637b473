from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

import throughtime
from command_line import run
from throughtime import LanguageModel, TextClassifier, TextInMemory, Translator, Word2Vec
from throughtime.appearance import as_svg
from throughtime.data import ParallelText, little_world, sample_reviews
from throughtime.errors import ArgumentError
from throughtime.inspection import (
    giving,
    inspect_model,
    memory_spans,
    plot_alignments,
    plot_contributions,
    plot_eigenvalues,
    plot_gates,
    plot_gradient_flow,
    plot_horizons,
    plot_memory_spans,
    record_gates,
    recurrent_matrices,
    text_saliency,
    translation_saliency,
)
from throughtime.inspection.page import Section, page
from throughtime.nn import gradient_flow
from throughtime.tasks.reading import translation_readings
from throughtime.training import read_metrics

QUICK: dict[str, Any] = {"hidden_size": 8, "embedding_size": 6, "steps": 4, "device": "cpu", "precision": "32"}
TEXT = TextInMemory('"Yes" (he said) twice,\nand\n\n"no" (she said) 3 times.\n' * 60, "a talk")
PAIRS = ParallelText.of(["a b c", "b c", "c a", "a"] * 10, ["x y z", "y z", "z x", "x"] * 10)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    shared: dict[str, Any] = {"watch_gradients": True, **QUICK}
    LanguageModel.fit(TEXT, output=place / "lm", batch_size=4, bptt=16, num_layers=2, cell="gru", **shared)
    LanguageModel.fit(TEXT, output=place / "other", batch_size=4, bptt=16, num_layers=1, cell="rnn_tanh", **QUICK)
    TextClassifier.fit(sample_reviews(60), output=place / "classifier", pooling="attention", **shared)
    Translator.fit(PAIRS, output=place / "translator", tokens="word", **shared)
    Word2Vec(size=8, epochs=1, threads=1).fit(little_world(300), output=place / "vectors")
    return {path.name: path for path in place.iterdir()}


_LOOKED_AT = {"lm": ['"a" (b)\nC d\n' * 20]}


def _no_picture(_: Figure) -> bytes:
    return b"<svg/>"


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not rendered, which takes a second for each."""
    monkeypatch.setattr("throughtime.inspection.page.as_svg", _no_picture)


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("name", ["lm", "classifier", "translator", "vectors"])
def test_a_report_is_one_page_that_needs_nothing_else(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    inspect_model(folders[name], _LOOKED_AT.get(name, []), device="cpu").save(tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href|srcset)=\"(?!data:|#)", html)
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    anchors, links = re.findall(r'<section id="([^"]+)"', html), re.findall(r'<a href="#([^"]+)"', html)
    assert anchors == links
    assert len(anchors) == len(set(anchors))
    numbers = json.loads((tmp_path / "report" / "numbers.json").read_text(encoding="utf-8"))
    figures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    if name == "vectors":
        assert {"map"} <= figures
        assert (tmp_path / "report" / "projector" / "vectors.tsv").exists()
        return
    for rows in numbers["gradient_flow"].values():
        for row in rows:
            assert row["relative_norm"][0] == pytest.approx(1.0)
            assert row["verdict"] in {"vanishes", "explodes", "reaches"}
    assert {"gradient_flow_recurrent", "memory_recurrent"} <= figures or name == "translator"
    assert html.count("<picture>") == len(figures)


@pytest.mark.usefixtures("_undrawn")
def test_another_models_flow_stands_beside(folders: dict[str, Path], tmp_path: Path) -> None:
    report = inspect_model(folders["lm"], ["(a) " * 20], beside=[folders["other"]], device="cpu")
    (beside,) = report.numbers["beside"].values()
    assert [row["layer"] for row in beside] == ["layer 1"]
    assert len(beside[0]["relative_norm"]) == 79
    with pytest.raises(ArgumentError, match="holds a model for text_classification, which can't stand beside"):
        inspect_model(folders["lm"], beside=[folders["classifier"]], device="cpu")


@pytest.mark.usefixtures("_undrawn")
def test_the_command_writes_a_report_and_says_what_it_found(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    status, printed, _ = run(
        capsys, "inspect", folders["other"], "-o", out, "--text", '"a" b\n' * 30, "--device", "cpu"
    )
    assert status == 0
    assert "recurrent layers, layer 1: the gradient" in printed
    assert str(out / "index.html") in printed.replace("\n", "")
    word = Word2Vec.load(folders["vectors"]).vectors.words[0]
    status, printed, _ = run(capsys, "inspect", folders["vectors"], "-o", out, "--text", word, "--json")
    assert status == 0
    assert list(json.loads(printed)["neighbours"]) == [word]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "x"], "at least 3 tokens to look at, got 1"),
        (["-o", "FILE"], "this is a file; give a folder"),
        (["-o", "FULL"], "is not empty and holds no report"),
        (["--beside", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_what_cannot_be_inspected_is_said_in_one_sentence(
    arguments: list[str], message: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "FILE").write_text("", encoding="utf-8")
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "mine.txt").write_text("", encoding="utf-8")
    given = [str(tmp_path / word) if word in {"FILE", "FULL"} else word for word in arguments]
    output = [] if "-o" in given else ["-o", str(tmp_path / "report")]
    status, _, error = run(capsys, "inspect", folders["other"], *output, *given)
    assert status == 1
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_watching_gradients_logs_them_and_changes_no_weight(folders: dict[str, Path], tmp_path: Path) -> None:
    unwatched = LanguageModel.fit(
        TEXT, output=tmp_path / "lm", batch_size=4, bptt=16, num_layers=2, cell="gru", dropout=0.3, **QUICK
    )
    watched = LanguageModel.fit(
        TEXT,
        output=tmp_path / "watched",
        batch_size=4,
        bptt=16,
        num_layers=2,
        cell="gru",
        dropout=0.3,
        watch_gradients=True,
        **QUICK,
    )
    for one, other in zip(unwatched.network.parameters(), watched.network.parameters(), strict=True):
        assert torch.equal(one, other)
    for name, layers in (
        ("lm", ["layer 1", "layer 2"]),
        ("classifier", ["layer 1, forward", "layer 1, reverse"]),
        ("translator", ["encoder, layer 1, forward", "encoder, layer 1, reverse", "decoder, layer 1"]),
    ):
        records = [one for one in read_metrics(folders[name] / "metrics.jsonl") if "gradient_flow" in one]
        assert [row["layer"] for row in records[0]["gradient_flow"]] == layers
    assert not [one for one in read_metrics(folders["other"] / "metrics.jsonl") if "gradient_flow" in one]


def test_saliency_of_a_text_adds_up_to_its_score(folders: dict[str, Path]) -> None:
    model = TextClassifier.load(folders["classifier"], device="cpu")
    found = text_saliency(model, "The film was wonderful .")
    assert found.pieces == ("the", "film", "was", "wonderful", ".")
    assert found.attention is not None
    assert found.attention.sum() == pytest.approx(1.0, abs=1e-6)
    place = model.targets.classes.index(found.label)
    tokens = torch.from_numpy(model.tokenizer.encode("the film was wonderful .")).unsqueeze(1)
    with torch.no_grad():
        score = model.network(throughtime.SequenceBatch(tokens))[0, place]
        zeros = torch.zeros(5, 1, 6)
        with giving(model.network.embedding, zeros):
            gained = score - model.network(throughtime.SequenceBatch(tokens))[0, place]
    assert found.integrated_gradients.sum() == pytest.approx(gained.item(), abs=1e-5)
    with pytest.raises(ArgumentError, match="`label` must be one of"):
        text_saliency(model, "good", "nonsense")
    with pytest.raises(ArgumentError, match="must have a token in it"):
        text_saliency(model, "")


def test_saliency_of_a_source_is_the_gradient_of_what_was_translated(folders: dict[str, Path]) -> None:
    model = Translator.load(folders["translator"], device="cpu")
    found = translation_saliency(model, "a b c", "x y")
    assert found.source_pieces == ("a", "b", "c")
    embedding = model.network.encoder.embedding.weight
    source = torch.from_numpy(model.source.encode("a b c")).unsqueeze(1)
    end = model.network.end
    target = torch.tensor([end, *model.target.encode("x y").tolist(), end])
    scores = model.network(throughtime.SequenceBatch(source), target[:-1].unsqueeze(1))[:, 0].log_softmax(-1)
    scores.gather(1, target[1:].unsqueeze(1)).sum().backward()
    assert embedding.grad is not None
    expected = (embedding.grad[source[:, 0]] * embedding[source[:, 0]]).sum(-1)
    assert found.gradient_times_input.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "none"},
        {"attention": "general", "input_feeding": False},
        {"attention": "general"},
        {"attention": "additive", "attention_order": "before", "input_feeding": False},
    ],
    ids=str,
)
def test_a_decoders_gates_end_where_the_decoder_ends(options: dict[str, Any]) -> None:
    from throughtime.data import pad_sequences, with_ends  # noqa: PLC0415
    from throughtime.models import EncoderDecoder  # noqa: PLC0415

    chosen: dict[str, Any] = {**options, "attention": None if options["attention"] == "none" else options["attention"]}
    network = EncoderDecoder(9, 8, cell="lstm", embedding_size=5, hidden_size=6, num_layers=2, **chosen).double().eval()
    sources = [torch.tensor([1, 2, 3]).numpy(), torch.tensor([4, 5]).numpy()]
    targets = [torch.tensor([1, 2, 3, 4]).numpy(), torch.tensor([5]).numpy()]
    _, decoder = translation_readings(network, sources, targets)
    top = record_gates(decoder.layer, decoder.inputs, decoder.state)[-1]
    padded = pad_sequences([with_ends(own, network.end) for own in targets]).values
    with torch.no_grad():
        after = network.decode(padded[:-1], network.encode(pad_sequences(sources))).state.recurrent
    torch.testing.assert_close(top.states["hidden"][-1, 0], after[0][-1, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(top.states["cell"][-1, 0], after[1][-1, 0], rtol=0, atol=1e-12)


def figures() -> dict[str, Callable[[bool], Figure]]:
    from throughtime.nn import LSTM  # noqa: PLC0415

    layer = LSTM(3, 8, 2, bidirectional=True)
    inputs = torch.randn(30, 2, 3)
    activations = record_gates(layer, inputs)
    flow = gradient_flow(layer, inputs)
    record = {"layer": "layer 1", "horizon": None, "relative_norm": {"1": 0.5, "2": 0.2}}
    return {
        "flow": lambda dark: plot_gradient_flow(flow, dark=dark),
        "flows": lambda dark: plot_gradient_flow({"LSTM": flow, "other": flow}, dark=dark),
        "horizons": lambda dark: plot_horizons([{"step": 1, "gradient_flow": [record]}, {"step": 2}], dark=dark),
        "eigenvalues": lambda dark: plot_eigenvalues(recurrent_matrices(layer), dark=dark),
        "gates": lambda dark: plot_gates(activations[1], list("some $text_of$ thirty letters\t"), dark=dark),
        "memory": lambda dark: plot_memory_spans(memory_spans(activations), dark=dark),
        "contributions": lambda dark: plot_contributions(["a$", "b"], {"one": [1, 2], "two": [0, -1]}, dark=dark),
    }


@pytest.mark.parametrize("name", figures())
def test_a_figure_is_drawn_on_white_and_on_dark_paper_and_says_what_its_axes_are(name: str) -> None:
    draw = figures()[name]
    light, dark = draw(False), draw(True)
    assert light.get_facecolor() != dark.get_facecolor()
    assert len(light.axes) > 0
    assert any(axes.get_xlabel() or axes.get_ylabel() or axes.get_title() for axes in light.axes)


def test_the_same_figure_is_the_same_bytes() -> None:
    draw = figures()["memory"]
    drawn = as_svg(draw(False))
    assert drawn.startswith(b"<?xml")
    assert drawn == as_svg(draw(False))


def test_what_cannot_be_drawn_is_refused() -> None:
    layer = throughtime.nn.RNN(2, 3)
    (own,) = record_gates(layer, torch.randn(4, 1, 2))
    for draw, message in (
        (lambda: plot_gradient_flow({}), "`flows` must have at least one"),
        (lambda: plot_eigenvalues([]), "`matrices` must have at least one"),
        (lambda: plot_memory_spans([]), "`spans` must have at least one"),
        (lambda: plot_horizons([{"step": 1}]), "watch_gradients"),
        (lambda: plot_gates(own, ["a"]), "`pieces` must be as many as the steps, 4, got 1"),
        (lambda: plot_gates(own, units=[3]), r"`units` must lie in \[0, 2\]"),
        (lambda: plot_alignments([]), "no translation"),
        (lambda: plot_contributions(["a"], {"x": [1, 2]}), "must have shape"),
    ):
        with pytest.raises(ArgumentError, match=message):
            draw()


def test_a_page_shows_what_it_is_given_and_executes_none_of_it() -> None:
    section = Section("A & B")
    section.say("<b>")
    section.list(["<i>"])
    section.table(["<th>"], [["<td>", 1234, 0.5]])
    html = page("<title>", [("<dt>", "<dd>")], [section])
    for text in ("&lt;b&gt;", "&lt;i&gt;", "&lt;th&gt;", "&lt;td&gt;", "1,234", "0.500", "A &amp; B", "&lt;title&gt;"):
        assert text in html
    assert 'id="a-b"' in html
