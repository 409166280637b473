from __future__ import annotations

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

import throughtime
from throughtime import LanguageModel, TextInMemory, WordVectors
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.training import read_metrics

SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "embedding_size": 8,
    "batch_size": 4,
    "bptt": 16,
    "precision": "32",
    "warmup": 5,
    "validations": 3,
    "dropout": 0.1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    text = "\n".join(f"{count} green bottles hanging on the wall" for count in range(200))
    folder = tmp_path_factory.mktemp("trained") / "model"
    return LanguageModel.fit(TextInMemory(text), output=folder, epochs=12, **SMALL)


def test_a_model_learns_more_than_the_frequencies_of_characters(trained: LanguageModel) -> None:
    model, unigram, ngram = trained.evaluate().rows
    assert model.nats_per_token < 0.5 * unigram.nats_per_token
    assert ngram.nats_per_token < unigram.nats_per_token
    assert model.perplexity == pytest.approx(math.exp(model.nats_per_token))
    assert model.bits_per_character == pytest.approx(model.nats_per_token / math.log(2))


def test_the_loss_is_that_of_the_whole_text_read_at_once(trained: LanguageModel) -> None:
    text = "12 green bottles hanging on the wall\n13 green bot"
    row = trained.evaluate(TextInMemory(text), lanes=1).rows[0]
    ids = torch.from_numpy(trained.tokenizer.encode(text))
    with torch.no_grad():
        scores, _ = trained.network(ids[:-1, None])
    expected = -scores[:, 0].log_softmax(-1).gather(1, ids[1:, None]).mean().item()
    assert row.nats_per_token == pytest.approx(expected, rel=1e-5)


def test_the_folder_holds_open_formats_alone(trained: LanguageModel) -> None:
    names = {path.name for path in trained.folder.path.iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "metrics.jsonl",
        "README.md",
        "loss.png",
    } <= names
    card = trained.folder.card_file.read_text(encoding="utf-8")
    assert "Best validation" in card
    assert "| `hidden_size` | 24 |" in card
    records = read_metrics(trained.folder.metrics_file)
    assert sum("validation_loss" in record for record in records) == 3


def test_a_saved_model_is_the_same_model(trained: LanguageModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, LanguageModel)
    text = TextInMemory("7 green bottles")
    assert loaded.evaluate(text).rows[0] == trained.evaluate(text).rows[0]
    assert "".join(loaded.generate("7 gr", length=20, seed=1)) == "".join(trained.generate("7 gr", length=20, seed=1))
    with pytest.raises(ModelFolderError, match="holds a model already"):
        trained.save(tmp_path / "copy")


def test_greedy_writing_follows_the_likeliest_token(trained: LanguageModel) -> None:
    written = "".join(trained.generate("12 green bot", length=10, temperature=0))
    ids = trained.tokenizer.encode("12 green bot" + written)
    with torch.no_grad():
        scores, _ = trained.network(torch.from_numpy(ids[:-1, None]))
    scores[..., trained.tokenizer.unknown_id] = -torch.inf
    assert scores[-10:, 0].argmax(-1).tolist() == ids[-10:].tolist()


def test_writing_is_repeatable_and_stops(trained: LanguageModel) -> None:
    one = "".join(trained.generate("1", length=60, seed=5, top_k=5, top_p=0.9, min_p=0.01, repetition_penalty=1.1))
    two = "".join(trained.generate("1", length=60, seed=5, top_k=5, top_p=0.9, min_p=0.01, repetition_penalty=1.1))
    assert one == two
    assert len(one) == 60
    assert "wall" not in "".join(trained.generate("1", length=200, seed=5, stop=["wall"]))


@pytest.mark.parametrize("tokens", ["char", "byte", "word", "bpe"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru"])
def test_every_kind_of_token_trains_and_writes(rhyme: Path, tokens: str, cell: str) -> None:
    options: dict[str, Any] = {
        **SMALL,
        "tokens": tokens,
        "cell": cell,
        "vocabulary_size": 300,
        "tied": True,
        "num_layers": 2,
        "bptt": 8,
    }
    model = LanguageModel.fit(rhyme, steps=3, locked_dropout=True, embedding_dropout=0.1, **options)
    rows = model.evaluate().rows
    assert all(math.isfinite(row.bits_per_byte) for row in rows)
    assert "".join(model.generate("green ", length=5, seed=0))


def test_lanes_of_different_reach_train_too(rhyme: Path) -> None:
    model = LanguageModel.fit(rhyme, steps=8, bptt_back=40, **SMALL)
    assert math.isfinite(model.evaluate().rows[0].nats_per_token)


def test_more_text_grows_the_vocabulary_and_keeps_what_was_learned(trained: LanguageModel, tmp_path: Path) -> None:
    text = TextInMemory("99 Grüne Flaschen hängen an der Wand\n" * 60)
    limits: dict[str, Any] = {key: SMALL[key] for key in ("batch_size", "bptt", "validations", "device")}
    grown = LanguageModel.fit(
        text, init_from=trained.folder.path, steps=1, learning_rate=1e-9, matrix_learning_rate=1e-9, **limits
    )
    old, new = trained.tokenizer, grown.tokenizer
    assert new.vocabulary_size > old.vocabulary_size
    ids = torch.from_numpy(old.encode("12 green bottles")[:, None])
    with torch.no_grad():
        before, after = trained.network(ids)[0], grown.network(ids)[0]
    torch.testing.assert_close(after[..., : old.vocabulary_size], before, atol=1e-4, rtol=1e-4)
    with pytest.raises(ArgumentError, match="`hidden_size` is 24 in the model to start from"):
        LanguageModel.fit(text, init_from=trained.folder.path, steps=1, hidden_size=30)


def losses(folder: Path) -> list[tuple[int, float | None]]:
    return [
        (record["step"], record.get("loss", record.get("validation_loss")))
        for record in read_metrics(folder / "metrics.jsonl")
    ]


def test_a_run_killed_anywhere_resumes_to_the_same_numbers(rhyme: Path, tmp_path: Path) -> None:
    options = [
        "--hidden-size",
        "24",
        "--batch-size",
        "4",
        "--bptt",
        "16",
        "--epochs",
        "6",
        "--precision",
        "32",
    ]
    options += ["--checkpoint-every", "0.01", "--dropout", "0.2", "--quiet", "--write", "0", "--threads", "1"]
    command = [sys.executable, "-m", "throughtime", "lm", "train"]
    subprocess.run([*command, str(rhyme), "-o", str(tmp_path / "whole"), *options], check=True, capture_output=True)
    killed = tmp_path / "killed"
    begin: list[str] = [str(rhyme)]
    kills = 0
    while True:
        process = subprocess.Popen(
            [*command, *begin, "-o", str(killed), "--resume", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if kills < 2:
            deadline = time.monotonic() + 60
            known = len(losses(killed))
            while len(losses(killed)) < known + 4 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            process.communicate()
            kills += 1
            begin = []
            continue
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        break
    assert losses(killed) == losses(tmp_path / "whole")


def test_settings_of_a_resumed_run_stay(trained: LanguageModel) -> None:
    with pytest.raises(ArgumentError, match=r"`hidden_size` stays as the run began \(24\)"):
        LanguageModel.fit(output=trained.folder.path, resume=True, hidden_size=25)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hiden_size": 3}, "there is no setting `hiden_size`; did you mean `hidden_size`?"),
        ({"hidden_size": 0}, "`hidden_size` must be greater than or equal to 1, got 0"),
        ({"cell": "lstn"}, "`cell` must be one of .*; did you mean 'lstm'?"),
        ({"optimizer": "adam"}, "`optimizer` must be one of 'muon', 'adamw', 'sgd', got 'adam'"),
        ({"schedule": "cosin"}, "`schedule` must be one of .*; did you mean 'cosine'?"),
        ({"tokens": "letters"}, "`tokens` must be 'char', 'byte', 'word' or 'bpe', got 'letters'"),
        ({"time_budget": "soon"}, "a duration is written like 90s, 10m or 1h30m, got 'soon'"),
        ({"epochs": 1, "steps": 1}, "give one of `epochs`, `steps` and `time_budget`"),
        ({"bptt": 8, "bptt_back": 4}, r"`bptt_back` must be at least `bptt` \(8\), got 4"),
        ({"device": "gpu"}, "`device` must be one of"),
    ],
)
def test_bad_settings_are_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        LanguageModel.fit(TextInMemory("some text " * 100), **settings)


def test_bad_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        LanguageModel.fit(tmp_path / "none.txt")
    with pytest.raises(ArgumentError, match=r"has 90 tokens, too few for 1 lanes of one window of 128"):
        LanguageModel.fit(TextInMemory("too short." * 10))
    with pytest.raises(ArgumentError, match="the vocabulary would be 1 char"):
        LanguageModel.fit(TextInMemory("a" * 1000))


def test_a_foreign_or_damaged_folder_is_one_sentence(trained: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="there is no such folder"):
        throughtime.load(tmp_path / "none")
    with pytest.raises(ModelFolderError, match=r"has no config\.json"):
        throughtime.load(tmp_path)
    copy = tmp_path / "copy"
    trained.save(copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    for change, message in (
        ({"task": "cooking"}, "a model for 'cooking', which this throughtime doesn't know"),
        ({"format_version": 99}, "is in format 99, this throughtime reads up to 1; upgrade"),
        ({"settings": {**config["settings"], "hidden_size": 30}}, r"does not fit config\.json"),
    ):
        (copy / "config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
        with pytest.raises(ModelFolderError, match=message):
            throughtime.load(copy)
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: damaged"):
        throughtime.load(copy)


def test_an_embedding_starts_from_word_vectors(rhyme: Path, tmp_path: Path) -> None:
    vectors = WordVectors(["green", "wall"], np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
    vectors.save(tmp_path / "vectors.txt")
    word: dict[str, Any] = {
        "tokens": "word",
        "hidden_size": 8,
        "batch_size": 4,
        "bptt": 8,
        "steps": 3,
        "precision": "32",
    }
    given = str(tmp_path / "vectors.txt")
    fixed = LanguageModel.fit(rhyme, vectors=given, fixed_vectors=True, **word)
    tuned = LanguageModel.fit(rhyme, vectors=given, **word)
    green = fixed.tokenizer.encode("green")[0]
    weights = [model.network.embedding.weight[green].detach().cpu() for model in (fixed, tuned)]
    assert weights[0].tolist() == [1, 2, 3]
    assert weights[1].tolist() != [1, 2, 3]
    torch.testing.assert_close(weights[1], torch.tensor([1.0, 2, 3]), atol=0.1, rtol=0)
    fixed.save(tmp_path / "copy")
    (tmp_path / "vectors.txt").unlink()
    copy = LanguageModel.load(tmp_path / "copy")
    assert torch.equal(copy.network.embedding.weight, fixed.network.embedding.weight)
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"vectors": given}, "give `tokens` 'word', got 'char'"),
        ({"fixed_vectors": True}, "`fixed_vectors` needs `vectors`"),
    ]
    for wrong, message in mistakes:
        with pytest.raises(ArgumentError, match=message):
            LanguageModel.fit(rhyme, **wrong)
    vectors.save(tmp_path / "vectors.txt")
    with pytest.raises(ArgumentError, match="`embedding_size` is 3, that of the `vectors`, got 5"):
        LanguageModel.fit(rhyme, vectors=given, embedding_size=5, tokens="word")
