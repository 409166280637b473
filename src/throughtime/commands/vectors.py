"""``throughtime vectors``: train, ask, judge, convert and draw word vectors."""

from __future__ import annotations

from json import dumps
from math import isnan
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands.results import given_path, print_json
from throughtime.data import CorpusSource, little_world
from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.word2vec import Settings
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import Display, duration, read_metrics
from throughtime.word2vec import (
    WordVectors,
    evaluate_analogies,
    evaluate_similarities,
    plot_analogies,
    plot_words,
    read_analogies,
    read_similarities,
)

Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Word2VecSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()


def train(
    *text: Path,
    output: Output,
    sample: bool = False,
    resume: bool = False,
    init_from: Path | None = None,
    quiet: bool = False,
    json: bool = False,
    settings: Word2VecSettings = DEFAULTS,
) -> int:
    """Learn word vectors from text of any size.

    Ctrl-C saves; --resume, with the same text, goes on, also after a crash or a kill.

    Args:
        text: Files (also .gz), folders, or - for standard input.
        output: The model folder to write.
        sample: Learn from a generated little world, in which king - man + woman is queen.
        resume: Go on with the run in the output folder.
        init_from: A model folder or a file of word vectors to start from; words that are new are added.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: word2vec and its training.
    """
    keep_freed_memory()
    if sample and text:
        raise ArgumentError("give text or --sample, not both")
    if sample:
        settings = _for_sample(settings)
    sources: list[CorpusSource] = [little_world()] if sample else [given_path(path) for path in text]
    model = Word2Vec.of(settings).fit(
        *sources, output=output, resume=resume, init_from=init_from, display=Display(quiet=quiet)
    )
    if not model.is_main:
        return 0
    last = read_metrics(output / "metrics.jsonl")[-1:] or [{"words": 0, "seconds": 0.0}]
    words, seconds = last[0]["words"], last[0]["seconds"]
    if json:
        result = {"folder": str(output), "words": len(model.vectors), "size": model.vectors.vectors.shape[1]}
        print_json({**result, "text_words": words, "seconds": seconds})
        return 0
    speed = f", {words / seconds:,.0f} words/s" if seconds else ""
    print(f"{len(model.vectors):,} words, {model.vectors.vectors.shape[1]} features, {duration(seconds)}{speed}")
    if sample:
        answer, similarity = model.vectors.analogy(["king", "woman"], ["man"], 1)[0]
        print(f"king - man + woman = {answer} ({similarity:.3f})")
    example = "king" if "king" in model.vectors else model.vectors.words[len(model.vectors) // 20]
    print(f"The vectors are in {output}; go on with: throughtime vectors nearest {output} {example}")
    return 0


def nearest(
    vectors: Path,
    *words: str,
    count: int = 10,
    metric: Literal["cosine", "euclidean"] = "cosine",
    restrict: int | None = None,
    json: bool = False,
) -> int:
    """Show the words nearest to each of some words.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        words: The words.
        count: How many neighbours.
        metric: cosine or euclidean.
        restrict: Search only so many of the most frequent words.
        json: Print JSON.
    """
    _need(words, 1, "a word")
    found = WordVectors.load(vectors).most_similar(list(words), count, metric, restrict)
    if json:
        print_json(dict(zip(words, found, strict=True)))
        return 0
    for word, neighbours in zip(words, found, strict=True):
        _print_neighbours(word, "cosine" if metric == "cosine" else "distance", neighbours)
    return 0


def analogy(
    vectors: Path,
    first: str,
    second: str,
    third: str,
    *,
    count: int = 5,
    method: Literal["3cosadd", "3cosmul"] = "3cosadd",
    restrict: int | None = None,
    json: bool = False,
) -> int:
    """Solve an analogy: man king woman asks what is to woman as king is to man.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        first: The word that the second belongs to.
        second: The word that belongs to the first.
        third: The word whose counterpart is asked.
        count: How many answers.
        method: 3cosadd adds and subtracts cosines, 3cosmul multiplies and divides them.
        restrict: Search only so many of the most frequent words.
        json: Print JSON.
    """
    loaded = WordVectors.load(vectors)
    answers = loaded.analogies([(first, second, third)], count, restrict=restrict, method=method)[0]
    if json:
        print_json(answers)
    else:
        _print_neighbours(f"{second} - {first} + {third}", "score", answers)
    return 0


def odd_one_out(vectors: Path, *words: str, json: bool = False) -> int:
    """Tell which of some words goes least with the others.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        words: Two words or more.
        json: Print JSON.
    """
    odd = WordVectors.load(vectors).doesnt_match(words)
    print(dumps(odd, ensure_ascii=False) if json else odd)
    return 0


def evaluate(
    vectors: Path,
    *,
    analogies: Path | None = None,
    similarities: Path | None = None,
    restrict: int = 30_000,
    json: bool = False,
) -> int:
    """Tell how well vectors solve analogies and agree with people on similarity.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        analogies: A file such as Google's questions-words.txt.
        similarities: A file such as WordSim-353's: two words and a score a line.
        restrict: Of analogies, ask only about so many of the most frequent words, and search only those.
        json: Print JSON.
    """
    if analogies is None and similarities is None:
        raise ArgumentError("there is nothing to judge by; give --analogies FILE, --similarities FILE or both")
    check_positive_integer("restrict", restrict)
    loaded, result = WordVectors.load(vectors), dict[str, object]()
    if analogies is not None:
        scores = evaluate_analogies(loaded, read_analogies(analogies), restrict)
        rows = [*scores.sections, scores.semantic, scores.syntactic, scores.total]
        table = Table(title=f"{analogies}: analogies among {min(restrict, len(loaded)):,} words", title_justify="left")
        table.add_column("section")
        for column in ("correct", "asked", "in the file", "accuracy", "coverage"):
            table.add_column(column, justify="right")
        for row in rows:
            if row is scores.semantic:
                table.add_section()
            accuracy = "" if isnan(row.accuracy) else f"{row.accuracy:.1%}"
            table.add_row(row.name, str(row.correct), str(row.asked), str(row.total), accuracy, f"{row.coverage:.1%}")
        result["analogies"] = {
            row.name: {"correct": row.correct, "asked": row.asked, "total": row.total} for row in rows
        }
        if not json:
            Console(highlight=False).print(table)
    if similarities is not None:
        agreement = evaluate_similarities(loaded, read_similarities(similarities))
        result["similarities"] = {
            "spearman": None if isnan(agreement.spearman) else agreement.spearman,
            "pearson": None if isnan(agreement.pearson) else agreement.pearson,
            "asked": agreement.asked,
            "total": agreement.total,
        }
        if not json:
            print(
                f"{similarities}: Spearman's rho {agreement.spearman:.3f}, Pearson's r {agreement.pearson:.3f}, "
                f"{agreement.asked} of {agreement.total} pairs"
            )
    if json:
        print_json(result)
    return 0


def convert(vectors: Path, output: Path, *, format: str | None = None) -> int:  # noqa: A002 - the field's own word
    """Write vectors in another format.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        output: The file to write: .txt, .bin, .vec, .glove, .tsv, .safetensors, and .gz after it.
        format: word2vec-text, word2vec-binary, fasttext-vec, glove, projector or safetensors; by default, what the
            file's name says.
    """
    loaded = WordVectors.load(vectors)
    loaded.save(output, format)
    print(f"{len(loaded):,} words, {loaded.vectors.shape[1]} features: {output}")
    return 0


def plot(vectors: Path, *words: str, output: Output) -> int:
    """Draw words in two dimensions; pairs such as man:woman king:queen as arrows.

    Args:
        vectors: A model folder, or a file of word vectors in any format.
        words: Words, or pairs with a colon between.
        output: The picture to write: .png, .svg or .pdf.
    """
    _need(words, 2, "words, or pairs such as man:woman")
    pairs = [tuple(word.split(":")) for word in words]
    if all(len(pair) == 1 for pair in pairs):
        plot_words(WordVectors.load(vectors), list(words), output)
    elif all(len(pair) == 2 for pair in pairs):
        plot_analogies(WordVectors.load(vectors), [(pair[0], pair[1]) for pair in pairs], output)
    else:
        raise ArgumentError(f"give words alone, or pairs such as man:woman alone, got {' '.join(words)}")
    print(output)
    return 0


def _for_sample(settings: Settings) -> Settings:
    chosen = {"size": 50, "epochs": 5.0, "words": "as-is"}
    return settings.replaced(**{name: value for name, value in chosen.items() if name not in settings.model_fields_set})


def _need(words: tuple[str, ...], least: int, what: str) -> None:
    if len(words) < least:
        raise ArgumentError(f"give {what} after the vectors")


def _print_neighbours(title: str, score: str, neighbours: list[tuple[str, float]]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("word")
    table.add_column(score, justify="right")
    for word, value in neighbours:
        table.add_row(word, f"{value:.4f}")
    Console(highlight=False).print(table)
