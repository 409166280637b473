from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from throughtime import _core
from throughtime.data import TextInMemory, open_corpus
from throughtime.errors import DataError
from throughtime.word2vec import Vocabulary, Word2VecTrainer, count_vocabulary, find_phrases, join_phrases

WORDS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=12)
SEPARATORS = st.sampled_from([" ", "\n", "\t", "\r\n", "  ", "\n\n", "\v", "\f"])


@pytest.fixture(params=_core.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.instruction_set()
    _core.set_instruction_set(request.param)
    yield request.param
    _core.set_instruction_set(before)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(st.lists(st.tuples(WORDS, SEPARATORS)), st.integers(1, 3))
@settings(max_examples=60)
def test_counts_are_those_of_python(tmp_path_factory: pytest.TempPathFactory, parts: list[Any], threads: int) -> None:
    text = "one two one two " + "".join(word + separator for word, separator in parts)
    path = write(tmp_path_factory.mktemp("count") / "text.txt", text)
    vocabulary = count_vocabulary([path], min_count=1, threads=threads)
    expected = Counter(word.decode() for word in text.encode().split())
    assert dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == dict(expected)
    assert vocabulary.text_words == sum(expected.values())
    assert list(vocabulary.words) == sorted(expected, key=lambda word: (-expected[word], word.encode()))


@pytest.mark.parametrize("separators", [" ", " \n", " " * 50 + "\n" * 3])
def test_nothing_is_lost_between_pieces_and_files(tmp_path: Path, separators: str) -> None:
    random = np.random.default_rng(0)
    words = [f"w{number}" * (1 + number % 5) for number in random.integers(0, 300, 30_000)]
    text = "".join(word + separators[place % len(separators)] for place, word in enumerate(words))
    longest = "x" * 40_000  # longer than a piece, which has 16 KiB here
    files = [
        write(tmp_path / "a", text),
        write(tmp_path / "b", ""),
        write(tmp_path / "c", f"{longest} end"),
        write(tmp_path / "d", text.rstrip()),
    ]
    vocabulary = count_vocabulary(files, min_count=1, threads=3)
    expected = Counter(words + words + [longest, "end"])
    assert dict(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)) == dict(expected)
    trainer = Word2VecTrainer(vocabulary, files, size=4, threads=2)
    assert sum(report.words for report in trainer.rounds(epochs=2)) == 2 * vocabulary.text_words
    shards = [Word2VecTrainer(vocabulary, files, size=4, shard=(rank, 3)) for rank in range(3)]
    assert sum(report.words for shard in shards for report in shard.rounds(epochs=1)) == vocabulary.text_words


def test_rare_words_are_left_out_and_bad_text_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "text", "a a a b b c\n" * 2)
    assert count_vocabulary([path], min_count=4).words == ("a", "b")
    assert count_vocabulary([path], min_count=1, size=2).words == ("a", "b")
    with pytest.raises(DataError, match=r"bad:2: not utf-8 text \(b'caf\\xe9'\)"):
        count_vocabulary([write(tmp_path / "bad", b"ok ok\ncaf\xe9 caf\xe9\n")], min_count=1)
    with pytest.raises(DataError, match="missing: cannot be opened"):
        count_vocabulary([tmp_path / "missing"])


def test_occurrences_are_kept_as_in_the_original_program() -> None:
    vocabulary = Vocabulary(("a", "b", "c"), np.array([900_000, 99_000, 1000]), 1_000_000, 1)
    share = np.array([0.9, 0.099, 0.001])
    expected = np.minimum((np.sqrt(share / 1e-3) + 1) * (1e-3 / share), 1)
    np.testing.assert_allclose(vocabulary.keep_probabilities(1e-3), expected)
    np.testing.assert_array_equal(vocabulary.keep_probabilities(0), 1)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("size", [5, 16, 37])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("hierarchical", [False, True])
def test_vectors_move_along_the_gradient(tmp_path: Path, size: int, architecture: Any, hierarchical: bool) -> None:
    # Every word is one of two, so the noise of each is the other word or left out, and the loss of a step is known.
    path = write(tmp_path / "text", "red blue\n")
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


def corpus(tmp_path: Path) -> tuple[Path, Vocabulary]:
    random = np.random.default_rng(2)
    topics = random.integers(0, 10, 6000)
    lines = (" ".join(f"w{topic * 10 + word}" for word in random.integers(0, 10, 8)) for topic in topics)
    path = write(tmp_path / "topics", "\n".join(lines))
    return path, count_vocabulary([path], min_count=1)


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("negatives", [0, 5, 12])
def test_rounds_of_any_length_and_resumed_runs_give_the_same_vectors(
    tmp_path: Path, architecture: Any, negatives: int
) -> None:
    path, vocabulary = corpus(tmp_path)
    options: dict[str, Any] = {"architecture": architecture, "negatives": negatives, "size": 20, "seed": 3}
    whole, parts, resumed = (Word2VecTrainer(vocabulary, [path], **options) for _ in range(3))
    list(whole.rounds(epochs=1.5))
    reports = parts.rounds(epochs=1.5, at_most=1)
    for _ in range(3):
        next(reports)
    resumed.load_state(parts.state())
    list(reports)
    list(resumed.rounds(epochs=1.5, at_most=2))
    for trainer in (parts, resumed):
        assert torch.equal(trainer.input, whole.input)
        assert torch.equal(trainer.output, whole.output)


@pytest.mark.usefixtures("instruction_set")
def test_two_threads_learn_what_one_learns(tmp_path: Path) -> None:
    path, vocabulary = corpus(tmp_path)
    for threads in (1, 2):
        trainer = Word2VecTrainer(vocabulary, [path], size=16, threads=threads, sample=0, learning_rate=0.1)
        losses = [report.loss for report in trainer.rounds(epochs=4, at_most=8)]
        assert losses[-1] < 0.75 * losses[0]
        vectors = trainer.vectors / trainer.vectors.norm(dim=1, keepdim=True)
        near = (vectors @ vectors.T).argsort(dim=1, descending=True)[:, 1:4]
        topic = torch.tensor([int(word[1:]) // 10 for word in vocabulary.words])
        assert (topic[near] == topic[:, None]).double().mean() > 0.95


def test_a_time_budget_ends_and_a_lost_text_is_told(tmp_path: Path) -> None:
    path, vocabulary = corpus(tmp_path)
    trainer = Word2VecTrainer(vocabulary, [path], size=16)
    reports = list(trainer.rounds(seconds=0.3))
    assert reports[-1].fraction == 1
    assert 0.3 <= trainer.seconds < 3
    path.write_text("gone")
    with pytest.raises(DataError, match="cannot be read; was it changed meanwhile"):
        list(trainer.rounds(epochs=1000))


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=40))
@settings(max_examples=60)
def test_the_tree_is_huffmans(counts: list[int]) -> None:
    counts = sorted(counts, reverse=True)
    words = [f"w{number}".encode() for number in range(len(counts))]
    keep, totals = np.full(len(counts), 2**32 - 1, np.uint32), np.array(counts, np.uint64)
    lexicon = _core.Lexicon(words, keep.ctypes.data, 0, totals.ctypes.data)
    paths = [lexicon.path(word) for word in range(len(counts))]
    codes = ["".join(str(branch) for _, branch in path) for path in paths]
    heap = list(counts)
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        cost += both
        heapq.heappush(heap, both)
    assert sum(count * len(code) for count, code in zip(counts, codes, strict=True)) == cost
    assert sum(2.0 ** -len(code) for code in codes) == 1
    assert not any(a != b and b.startswith(a) for a in codes for b in codes)
    assert {node for path in paths for node, _ in path} == set(range(len(counts) - 1))


def test_phrases_are_scored_and_joined_from_left_to_right(tmp_path: Path) -> None:
    text = "new york is big\nold york is new\nnew york new york\n" * 10
    path = write(tmp_path / "text", text)
    words, pairs = Counter[str](text.split()), Counter[tuple[str, str]]()
    for line in text.splitlines():
        pairs.update(itertools.pairwise(line.split()))
    total, least = sum(words.values()), 5
    scores = {pair: (count - least) / (words[pair[0]] * words[pair[1]]) * total for pair, count in pairs.items()}
    found = find_phrases([path], min_count=least, threshold=1.5)
    assert {tuple(pair.decode().split("\x1f")) for pair in found} == {p for p, score in scores.items() if score > 1.5}
    joined = join_phrases([path], [b"new\x1fyork", b"york\x1fis"], tmp_path / "joined")
    assert joined == 40
    assert (tmp_path / "joined").read_text() == "new_york is big\nold york_is new\nnew_york new_york\n" * 10


def test_a_corpus_is_made_of_whatever_there_is(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.txt", "Ein Tag.\nZwei")
    assert open_corpus([plain]).files == (plain,)
    raw = "He said: “Don't go!” Then\nnobody spoke. A B2C\n\nnew part"
    letters = open_corpus([TextInMemory(raw)], words="letters")
    assert letters.files[0].read_text() == "he said don't go\nthen nobody spoke\na b c\nnew part\n"
    lower = open_corpus([plain], words="lower")
    assert lower.files[0].read_text() == "ein tag.\nzwei"
    latin = write(tmp_path / "latin.txt", "café au lait".encode("latin-1"))
    decoded = open_corpus([latin], encoding="latin-1")
    assert decoded.files[0].read_text(encoding="utf-8") == "café au lait"
    tokens = open_corpus([iter([["new york", "is"], [], ["big"]])])
    vocabulary = count_vocabulary(tokens.files, is_tokens=tokens.is_tokens, min_count=1)
    assert set(vocabulary.words) == {"new york", "is", "big"}
    made = tokens.files[0]
    del tokens
    assert not made.exists()
    assert plain.exists()
    for wrong, message in (
        ([["a b"], "not both"], "give files and texts, or one iterable of sentences, not both"),
        ([["a b"]], "sentence 1: must be a sequence of words, got the text 'a b'"),
        ([[["a\x1fb"]]], "a word holds the control character"),
        ([[["\ud800"]]], "holds a lone surrogate"),
        ([], "there is no text to learn from"),
    ):
        with pytest.raises(DataError, match=message):
            open_corpus(wrong)
