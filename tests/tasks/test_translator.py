from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sacrebleu import corpus_bleu, corpus_chrf

import throughtime
from command_line import run
from throughtime import ParallelText, Translator
from throughtime.data import sample_numbers
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.sequence import SequenceBatch
from throughtime.tasks.translation_scores import score_translations
from throughtime.training import Checkpoints, read_metrics

WORDS = ("red", "blue", "big", "small", "dog", "cat", "house", "tree", "runs", "sleeps")
ROT = {word: word[::-1] for word in WORDS}
SMALL: dict[str, Any] = {
    "tokens": "word",
    "hidden_size": 32,
    "embedding_size": 16,
    "batch_tokens": 120,
    "precision": "32",
    "warmup": 5,
    "validations": 2,
    "dropout": 0.0,
    "device": "cpu",
    "optimizer": "adamw",
    "learning_rate": 0.02,
    "label_smoothing": 0.05,
}


def reversing(count: int, seed: int = 0) -> ParallelText:
    """Sentences of four words, translated by writing each word backwards."""
    random = np.random.default_rng(seed)
    sentences = [" ".join(random.choice(WORDS, 4)) for _ in range(count)]
    return ParallelText.of(sentences, [" ".join(ROT[word] for word in one.split()) for one in sentences])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    folder = tmp_path_factory.mktemp("trained") / "model"
    return Translator.fit(reversing(500), output=folder, epochs=8, **SMALL)


def test_a_language_of_words_is_learned(trained: Translator) -> None:
    assert trained.evaluate().rows[0].bleu > 95
    found = trained.translate(["big dog runs small", "", "tree cat"])
    assert found[0].text == "gib god snur llams"
    assert found[1].text == ""


def test_beams_never_find_less_likely_translations_than_greedy_search(trained: Translator) -> None:
    sentences = reversing(20, seed=9).sources
    greedy = trained.translate(sentences, beam_size=1, length_penalty=0.0)
    beam = trained.translate(sentences, beam_size=12, length_penalty=0.0)
    assert sum(two.log_probability >= one.log_probability - 1e-4 for one, two in zip(greedy, beam, strict=True)) >= 19


def test_log_probabilities_are_those_of_the_whole_translation_read_at_once(trained: Translator) -> None:
    sentence = "big dog runs small"
    for one in (found := trained.translate([sentence], n_best=3)[0], *found.others):
        source = SequenceBatch(torch.from_numpy(trained.source.encode(sentence)).unsqueeze(1))
        ids = torch.from_numpy(trained.target.encode(one.text))
        end = torch.tensor([trained.target.end])
        with torch.no_grad():
            scores = trained.network(source, torch.cat([end, ids]).unsqueeze(1))[:, 0]
        expected = scores.log_softmax(-1).gather(1, torch.cat([ids, end]).unsqueeze(1)).sum().item()
        assert one.log_probability == pytest.approx(expected, abs=1e-4)
        assert one.score == pytest.approx(expected / ((5 + len(ids) + 1) / 6), abs=1e-4)


def test_attention_looks_at_the_word_that_is_translated(trained: Translator) -> None:
    (found,) = trained.translate(["big dog runs small"], alignment=True)
    assert found.alignment is not None
    assert found.alignment.shape == (5, 4)
    assert found.source_pieces == ("big", "dog", "runs", "small")
    np.testing.assert_allclose(found.alignment.sum(1), 1, rtol=1e-5)


def test_unknown_words_are_replaced_by_what_was_looked_at(trained: Translator) -> None:
    target = trained.target
    bias = trained.network.decoder.output.bias
    before = bias.detach().clone()
    with torch.no_grad():
        bias[target.unknown_id] = 100.0  # it writes nothing but unknown words, as long as it may
    try:
        (found,) = trained.translate(["quagga"], max_length=2)
        assert found.text == "quagga quagga"
        (kept,) = trained.translate(["big dog"], max_length=4, replace_unknown=False)
        assert "<unk>" not in kept.text
    finally:
        with torch.no_grad():
            bias.copy_(before)


def test_prefixes_are_kept(trained: Translator) -> None:
    found = trained.translate(["big dog runs small", "red tree sleeps cat"], prefixes=["god god", "gib"])
    assert found[0].text.startswith("god god")
    assert found[1].text.startswith("gib")


def test_a_saved_model_is_the_same_model(trained: Translator, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, Translator)
    sentences = ["big dog", "cat sleeps house"]
    assert [str(one) for one in loaded.translate(sentences)] == [str(one) for one in trained.translate(sentences)]
    drawn = [model.translate(sentences, temperature=1.5, seed=3, n_best=2) for model in (loaded, trained)]
    assert drawn[0] == drawn[1]
    np.testing.assert_array_equal(loaded.encode(sentences), trained.encode(sentences))
    assert {path.suffix for path in (tmp_path / "copy").iterdir()} <= {".safetensors", ".json", ".jsonl", ".md", ".png"}
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        loaded.evaluate()


def test_scores_are_sacrebleus() -> None:
    hypotheses, references = ["The dog runs .", "a cat"], ["the dog runs.", "a small cat"]
    lower = score_translations(hypotheses, references, lower=True)
    assert lower.bleu == corpus_bleu(hypotheses, [references], lowercase=True).score
    lowered = [[one.lower() for one in side] for side in (hypotheses, references)]
    assert lower.chrf == corpus_chrf(lowered[0], [lowered[1]]).score
    assert "case:lc" in lower.bleu_signature
    assert "tok:13a" in lower.bleu_signature
    assert "version:" in lower.chrf_signature


def test_the_copied_source_stands_beside_the_model(trained: Translator) -> None:
    same = ParallelText.of(["big dog runs small"] * 3, ["big dog runs small"] * 3)
    rows = trained.evaluate(same).rows
    assert rows[-1].model == "the source, copied"
    assert rows[-1].bleu == pytest.approx(100)
    assert rows[0].bleu < 50


def test_validation_writes_freely_and_the_log_has_its_scores(trained: Translator) -> None:
    records = [record for record in read_metrics(trained.folder.metrics_file) if "validation_loss" in record]
    assert len(records) == 2
    assert records[-1]["validation_bleu"] > 90
    card = trained.folder.card_file.read_text(encoding="utf-8")
    assert "BLEU" in card
    assert "| `hidden_size` | 32 |" in card
    assert not (trained.folder.path / "checkpoints").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "none", "cell": "gru"},
        {"attention": "additive", "attention_order": "before", "tokens": "char"},
        {"attention": "dot", "input_feeding": True, "tokens": "bpe", "num_layers": 2, "dropout": 0.1},
        {"source_tokens": "char", "target_tokens": "byte", "scheduled_sampling": 0.5, "scheduled_sampling_after": 1.0},
        {"joint": True, "encoder_hidden_size": 10, "select_by": "loss", "average": 1, "optimizer": "muon"},
    ],
)
def test_every_form_trains_and_translates(options: dict[str, Any]) -> None:
    model = Translator.fit(reversing(40), steps=3, **{**SMALL, **options})
    assert len(model.translate(["big dog", "cat"], beam_size=2)) == 2
    assert math.isfinite(model.evaluate(beam_size=2).nats_per_token)


def test_an_autoencoder_gives_each_sentence_a_vector() -> None:
    sentences = [" ".join(one.split()[:2]) for one in reversing(300).sources]
    options: dict[str, Any] = {**SMALL, "hidden_size": 48}
    model = Translator.fit(ParallelText.of(sentences, sentences), autoencode=True, epochs=25, **options)
    assert model.network.decoder.attention is None
    assert model.evaluate().nats_per_token < 0.5
    vectors = model.encode(["big dog", "big cat", "tree sleeps", ""])
    assert vectors.shape == (4, 48)
    assert not vectors[3].any()
    first, near, far = torch.from_numpy(vectors[:3])
    assert torch.cosine_similarity(first, near, dim=0) > torch.cosine_similarity(first, far, dim=0)


def losses(folder: Path) -> list[tuple[int, float | None]]:
    return [
        (record["step"], record.get("loss", record.get("validation_loss")))
        for record in read_metrics(folder / "metrics.jsonl")
    ]


def test_a_run_killed_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    pairs = reversing(300)
    (tmp_path / "train.en").write_text("\n".join(pairs.sources), encoding="utf-8")
    (tmp_path / "train.ne").write_text("\n".join(pairs.targets), encoding="utf-8")
    options = ["--tokens", "word", "--hidden-size", "16", "--embedding-size", "8", "--batch-tokens", "60"]
    options += ["--epochs", "4", "--validations", "4", "--checkpoint-every", "0.01", "--precision", "32"]
    options += ["--threads", "1", "--quiet", "--scheduled-sampling", "0.3"]
    command = [sys.executable, "-m", "throughtime", "translate", "train"]
    data = [str(tmp_path / "train.en"), str(tmp_path / "train.ne")]
    subprocess.run([*command, *data, "-o", str(tmp_path / "whole"), *options], check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, *data, "-o", str(killed), *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(losses(killed)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    process.wait()
    subprocess.run([*command, "-o", str(killed), "--resume", *options], check=True, capture_output=True)
    assert losses(killed) == losses(tmp_path / "whole")
    whole, resumed = (path / "model.safetensors" for path in (tmp_path / "whole", killed))
    assert whole.read_bytes() == resumed.read_bytes()


def test_the_command_answers_standard_input_line_by_line(
    trained: Translator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = str(trained.folder.path)
    monkeypatch.setattr("sys.stdin", io.StringIO("big dog runs small\n\nred cat sleeps tree\n"))
    status, output, _ = run(capsys, "translate", folder)
    assert status == 0
    assert output.splitlines() == ["gib god snur llams", "", "der tac speels eert"]
    (tmp_path / "some.txt").write_text("big dog runs small\n", encoding="utf-8")
    page = tmp_path / "look.html"
    options = ["--file", str(tmp_path / "some.txt"), "--n-best", "2", "--scores", "--attention", str(page)]
    _, output, _ = run(capsys, "translate", folder, *options)
    number, score, text = output.splitlines()[0].split("\t")
    assert (number, text) == ("1", "gib god snur llams")
    assert float(score) < 0
    assert "runs" in page.read_text(encoding="utf-8")
    _, output, _ = run(capsys, "translate", folder, "big dog runs small", "--json")
    assert json.loads(output)["translations"][0]["text"] == "gib god snur llams"
    assert len(json.loads(output)["alignment"]) == 5
    run(capsys, "translate", folder, "big dog", "--attention", str(tmp_path / "look.png"))
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_judges_and_encodes(
    trained: Translator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = str(trained.folder.path)
    _, output, _ = run(capsys, "translate", "evaluate", folder, "--examples", "1")
    assert "tok:13a" in output
    assert "the source, copied" in output
    _, output, _ = run(capsys, "translate", "encode", folder, "big dog", "cat")
    assert [len(line.split()) for line in output.splitlines()] == [32, 32]
    run(capsys, "translate", "encode", folder, "big dog", "cat", "-o", str(tmp_path / "vectors.npy"))
    assert np.load(tmp_path / "vectors.npy").shape == (2, 32)
    _, output, _ = run(capsys, "translate", "encode", folder, "big dog", "big dog", "cat", "--nearest", "1")
    assert output.splitlines()[1] == "  1.000  big dog"
    lines = tmp_path / "lines.txt"
    lines.write_text("red cat\nbig dog\nred tree\n", encoding="utf-8")
    _, output, _ = run(capsys, "translate", "encode", folder, "big dog", "--file", str(lines), "--nearest", "2")
    assert output.splitlines()[:2] == ["big dog", "  1.000  big dog"]
    assert len(output.splitlines()) == 3
    assert run(capsys, "translate", "encode", folder, "big dog", "--file", str(lines))[0] != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--attention", "look.gif"], "must be a file that ends in .html or .png, got 'look.gif'"),
        (["x", "--beam-size", "0"], "`beam_size` must be a positive integer, got 0"),
        (["x", "--top-k", "3"], "`top_k` is for drawing sentences; give a `temperature`, too"),
        (["x", "--file", "some.txt"], "give sentences or --file, not both"),
    ],
)
def test_flags_that_cannot_be_are_one_sentence(
    trained: Translator, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, _, error = run(capsys, "translate", str(trained.folder.path), *arguments)
    assert status == 1
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"autoencode": True, "attention": "dot"}, "`autoencode` goes through the state alone"),
        ({"autoencode": True, "source": "de"}, "`autoencode` learns from plain sentences"),
        ({"joint": True, "source_tokens": "char"}, "`joint` needs one kind of token on both sides, got char and bpe"),
        ({"attention": "none", "input_feeding": True}, "`input_feeding` needs attention"),
        ({"max_length": 1}, "no pair is within `max_length` 1"),
        ({"hidden_siz": 3}, "did you mean `hidden_size`?"),
    ],
)
def test_bad_settings_are_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=message):
        Translator.fit(reversing(20), steps=1, **settings)


def test_nothing_to_learn_from_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="there is nothing to learn from; give files"):
        Translator.fit()
    with pytest.raises(DataError, match="has 1 different sentences, too few"):
        Translator.fit(ParallelText.of(["a"], ["b"]))
    with pytest.raises(ArgumentError, match="`sentences` must be a list of strings"):
        Translator.fit(sample_numbers(40), steps=1, **SMALL).translate("1")


def test_long_pairs_are_left_out_of_the_training() -> None:
    pairs = reversing(60)
    long = ParallelText.of([*pairs.sources, "dog " * 30], [*pairs.targets, "god"])
    model = Translator.fit(long, steps=1, **SMALL)
    from throughtime.tasks.translation import open_data  # noqa: PLC0415

    data = open_data(model.folder, model.settings)
    sources, _, left_out = data.train
    in_training = any(len(pair.source) > 100 for pair in data.splits.train.examples)
    assert left_out == int(in_training)
    assert max(map(len, sources)) == 4


def test_the_mean_of_checkpoints_is_that_of_the_best(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    kept = Checkpoints(tmp_path / "checkpoints", 2)
    weights = [torch.randn(2, 3) for _ in range(4)]
    for step, (weight, score) in enumerate(zip(weights, (5.0, -1.0, 7.0, 9.0), strict=True)):
        with torch.no_grad():
            network.weight.copy_(weight)
        kept.keep(network, step, score)
    assert kept.average(network, until=3) == 2
    torch.testing.assert_close(network.weight.detach(), (weights[2] + weights[3]) / 2)
    assert kept.average(network, until=2) == 1
    kept.remove()
    assert not (tmp_path / "checkpoints").exists()
