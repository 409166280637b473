from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from throughtime import _core
from throughtime.errors import DataError
from throughtime.word2vec import Vocabulary, Word2VecTrainer, count_vocabulary
from word2vec.reference import AliasSampler, Learner

SETTINGS: dict[str, Any] = {"size": 20, "window": 3, "negatives": 7, "sample": 0.01, "learning_rate": 0.25}


@pytest.fixture(params=_core.instruction_sets())
def _instruction_set(request: pytest.FixtureRequest) -> Iterator[None]:
    before = _core.instruction_set()
    _core.set_instruction_set(request.param)
    yield
    _core.set_instruction_set(before)


def write(path: Path, lines: int, words: int = 20, seed: int = 0) -> Path:
    """Sentences of one word and of many, with words that come again and again."""
    random = np.random.default_rng(seed)
    sentences = [
        " ".join(f"w{int(number)}" for number in np.minimum(random.geometric(0.15, random.integers(1, 13)), words))
        for _ in range(lines)
    ]
    path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write(tmp_path / "text.txt", 40)


@pytest.fixture
def long_text(tmp_path: Path) -> Path:
    return write(tmp_path / "long.txt", 3000)  # five pieces


def trainer(path: Path, **settings: Any) -> Word2VecTrainer:
    made = Word2VecTrainer(count_vocabulary([path], min_count=1), [path], **SETTINGS | settings)
    generator = torch.Generator().manual_seed(1)
    made.output[:, : made.size] = torch.randn(made.output[:, : made.size].shape, generator=generator) / 4
    return made


def run(made: Word2VecTrainer, **limits: Any) -> list[float]:
    return [report.loss for report in made.rounds(**limits)]


def paths_of(counts: np.ndarray) -> list[list[tuple[int, int]]]:
    keep = np.zeros(len(counts), dtype=np.uint32)
    unsigned = counts.astype(np.uint64)
    lexicon = _core.Lexicon([b"w%d" % i for i in range(len(counts))], keep.ctypes.data, 0, unsigned.ctypes.data)
    return [lexicon.path(word) for word in range(len(counts))]


@pytest.mark.usefixtures("_instruction_set")
@pytest.mark.parametrize("negatives", [7, 0])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_an_epoch_is_that_of_the_reference(text: Path, architecture: Any, negatives: int) -> None:
    made = trainer(text, architecture=architecture, negatives=negatives, seed=3)
    vocabulary = made.vocabulary
    number = {word: index for index, word in enumerate(vocabulary.words)}
    keep = np.minimum(vocabulary.keep_probabilities(0.01) * 2.0**32, 2.0**32 - 1).astype(np.uint32).tolist()
    assert min(keep) < 2**32 - 1
    reference = Learner(
        made.input[:, :20].double().numpy(),
        made.output[:, :20].double().numpy(),
        keep,
        AliasSampler((vocabulary.counts.astype(np.float64) ** 0.75).tolist()) if negatives else None,
        paths_of(vocabulary.counts),
        architecture == "skip-gram",
        3,
        negatives,
    )
    run(made, epochs=1)
    seed = int(np.random.SeedSequence([3, 0]).generate_state(1, np.uint64)[0])
    sentences = [[number[word] for word in line.split()] for line in text.read_text().splitlines()]
    reference.learn(sentences, seed, 0.25)
    for got, expected in ((made.input, reference.input), (made.output, reference.output)):
        assert np.abs(got[:, :20].numpy() - expected).max() < 1e-5 * np.abs(expected).max()
        assert not got[:, 20:].any()


def test_the_change_is_the_gradient(tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text("a b\n", encoding="utf-8")
    made = trainer(path, sample=0, negatives=0, learning_rate=1e-3, size=5)
    rows = made.input[:, :5].double().requires_grad_()
    node = made.output[0, :5].double().requires_grad_()
    signs = torch.tensor([1.0 - 2 * branch for ((_, branch),) in paths_of(made.vocabulary.counts)])
    # "a" is told from b's vector and "b" from a's, by the one node of the tree.
    loss = -torch.nn.functional.logsigmoid(signs * (rows[[1, 0]] @ node)).sum()
    loss.backward()
    before = made.input[:, :5].double(), made.output[0, :5].double()
    run(made, epochs=1)
    assert rows.grad is not None
    assert node.grad is not None
    # The second word is told after the first has moved the node, hence the tolerance.
    torch.testing.assert_close((before[0] - made.input[:, :5]) / 1e-3, rows.grad, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close((before[1] - made.output[0, :5]) / 1e-3, node.grad, rtol=2e-3, atol=2e-3)


def test_one_thread_gives_the_same_bits_however_it_is_cut(long_text: Path) -> None:
    made = [trainer(long_text) for _ in range(3)]
    for each, at_most in zip(made, (None, 1, 2), strict=True):
        run(each, epochs=2, at_most=at_most)
        assert torch.equal(each.input, made[0].input)
        assert torch.equal(each.output, made[0].output)


def test_a_state_goes_on_to_the_same_bits(long_text: Path) -> None:
    whole, begun, resumed = (trainer(long_text) for _ in range(3))
    run(whole, epochs=2)
    next(begun.rounds(epochs=2, at_most=3))
    resumed.load_state(begun.state())
    run(resumed, epochs=2)
    assert torch.equal(whole.input, resumed.input)
    assert whole.words == resumed.words == 2 * whole.vocabulary.text_words
    with pytest.raises(DataError, match="begin a new run"):
        trainer(long_text, size=40).load_state(begun.state())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_loss_falls(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"a{i % 9} b{i % 9}\n" for i in range(9000)), encoding="utf-8")
    made = trainer(path, threads=threads, sample=0, negatives=5, learning_rate=0.1)
    assert run(made, epochs=6, at_most=1)[-1] < 0.6 * np.log(2) * 6


def test_epochs_may_be_a_fraction_and_seconds_a_limit(long_text: Path) -> None:
    made = trainer(long_text)
    run(made, epochs=1.4, at_most=1)
    assert made.done == round(1.4 * made.pieces)
    timed = trainer(long_text)
    begun = time.monotonic()
    run(timed, seconds=0.2)
    assert 0.2 <= time.monotonic() - begun < 2


def test_shards_cover_the_text(long_text: Path) -> None:
    words = 0
    for processes in (2, 4):
        words = 0
        for rank in range(processes):
            made = trainer(long_text, shard=(rank, processes))
            run(made, epochs=1)
            words += made.words
        assert words == made.vocabulary.text_words  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.parametrize("change", ["shorter", "removed"])
def test_a_text_that_changes_meanwhile_is_told(long_text: Path, change: str) -> None:
    rounds = trainer(long_text).rounds(epochs=1, at_most=1)
    next(rounds)
    long_text.unlink() if change == "removed" else long_text.write_text("short")
    with pytest.raises(DataError, match="was it changed meanwhile"):
        next(rounds)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("a", "b"), np.array([2, 1]), 3, 1)
    with pytest.raises(DataError, match=r"none\.txt: cannot be opened"):
        Word2VecTrainer(vocabulary, [tmp_path / "none.txt"])
