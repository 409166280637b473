from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

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


@pytest.mark.usefixtures("_instruction_set")
@pytest.mark.parametrize("size", [5, 16, 37])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("hierarchical", [False, True])
def test_vectors_move_along_the_gradient(tmp_path: Path, size: int, architecture: Any, hierarchical: bool) -> None:
    # Every word is one of two, so the noise of each is the other word or left out, and the loss of a step is known.
    path = tmp_path / "text"
    path.write_text("red blue\n")
    vocabulary = Vocabulary(("red", "blue"), np.array([1, 1]), 2, 1)
    trainer = Word2VecTrainer(
        vocabulary,
        [path],
        architecture=architecture,
        size=size,
        negatives=0 if hierarchical else 1,
        noise_exponent=0,
        sample=0,
        learning_rate=1e-3,
        min_learning_rate=1e-3,
    )
    generator = torch.Generator().manual_seed(1)
    trainer.vectors[:] = torch.randn(2, size, generator=generator) * 0.5
    trainer.output[:, :size] = torch.randn(2, size, generator=generator) * 0.5
    before = [matrix[:, :size].double().requires_grad_() for matrix in (trainer.input.clone(), trainer.output.clone())]
    list(trainer.rounds(epochs=1))
    after = [matrix[:, :size].double() for matrix in (trainer.input, trainer.output)]
    # "red" is told by "blue" and "blue" by "red": each from itself, and from the noise if that is the other word.
    results: list[bool] = []
    for noise in itertools.product((False, True), repeat=2):
        losses = []
        for word, told_by in ((0, 1), (1, 0)):
            outputs, labels = [word], [1.0]
            if hierarchical:
                outputs, labels = zip(
                    *((node, 1.0 - branch) for node, branch in trainer.lexicon.path(word)), strict=True
                )
            elif noise[word]:
                outputs, labels = [word, 1 - word], [1.0, 0.0]
            products = before[1][list(outputs)] @ before[0][told_by]
            target = torch.tensor(list(labels), dtype=torch.float64)
            losses.append(binary_cross_entropy_with_logits(products, target, reduction="sum"))
        gradients = torch.autograd.grad(torch.stack(losses).sum(), before)
        # The second word is told with vectors that the first has moved, which is of the order of the rate's square.
        results.append(
            all(
                torch.allclose(new - old, -1e-3 * gradient, atol=2e-6, rtol=2e-3)
                for new, old, gradient in zip(after, before, gradients, strict=True)
            )
        )
    assert any(results)
    assert not trainer.input[:, size:].any()
    assert not trainer.output[:, size:].any()


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


def topics_text(tmp_path: Path) -> tuple[Path, Vocabulary]:
    random = np.random.default_rng(2)
    topics = random.integers(0, 10, 6000)
    lines = (" ".join(f"w{topic * 10 + word}" for word in random.integers(0, 10, 8)) for topic in topics)
    path = tmp_path / "topics"
    path.write_text("\n".join(lines))
    return path, count_vocabulary([path], min_count=1)


@pytest.mark.usefixtures("_instruction_set")
def test_two_threads_learn_what_one_learns(tmp_path: Path) -> None:
    path, vocabulary = topics_text(tmp_path)
    for threads in (1, 2):
        trainer = Word2VecTrainer(vocabulary, [path], size=16, threads=threads, sample=0, learning_rate=0.1)
        losses = [report.loss for report in trainer.rounds(epochs=4, at_most=8)]
        assert losses[-1] < 0.75 * losses[0]
        vectors = trainer.vectors / trainer.vectors.norm(dim=1, keepdim=True)
        near = (vectors @ vectors.T).argsort(dim=1, descending=True)[:, 1:4]
        topic = torch.tensor([int(word[1:]) // 10 for word in vocabulary.words])
        assert (topic[near] == topic[:, None]).double().mean() > 0.95


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


@pytest.mark.parametrize("separators", [" ", " \n", " " * 50 + "\n" * 3])
def test_nothing_is_lost_between_pieces_and_files(tmp_path: Path, separators: str) -> None:
    random = np.random.default_rng(0)
    words = [f"w{number}" * (1 + number % 5) for number in random.integers(0, 300, 30_000)]
    text = "".join(word + separators[place % len(separators)] for place, word in enumerate(words))
    longest = "x" * 40_000  # longer than a piece, which has 16 KiB here
    files = [tmp_path / name for name in "abcd"]
    for file, content in zip(files, (text, "", f"{longest} end", text.rstrip()), strict=True):
        file.write_text(content)
    vocabulary = count_vocabulary(files, min_count=1, threads=3)
    expected = Counter(words + words + [longest, "end"])
    assert dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == dict(expected)
    trainer = Word2VecTrainer(vocabulary, files, size=4, threads=2)
    assert sum(report.words for report in trainer.rounds(epochs=2)) == 2 * vocabulary.text_words
    shards = [Word2VecTrainer(vocabulary, files, size=4, shard=(rank, 3)) for rank in range(3)]
    assert sum(report.words for shard in shards for report in shard.rounds(epochs=1)) == vocabulary.text_words


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
