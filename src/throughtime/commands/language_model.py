"""``throughtime lm``: train, evaluate, generate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands import STANDARD_INPUT
from throughtime.commands.results import given_paths, print_json, training_result
from throughtime.commands.standard_input import standard_input_text
from throughtime.commands.training_runs import Output, output_folder, takes_sample
from throughtime.data import TextSource, python_language_reference
from throughtime.errors import check_positive_integer
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.language_evaluation import Evaluation, summary
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.language_modelling import Settings
from throughtime.training import Display

LanguageModelSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()


def train(
    *text: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    init_from: Path | None = None,
    write: int = 300,
    quiet: bool = False,
    json: bool = False,
    settings: LanguageModelSettings = DEFAULTS,
) -> int:
    """Train a language model on text and write a model folder.

    Files named train, valid and test (ptb.train.txt, dev.txt, ...) are those parts; else the last tenth of the text
    is for validation. Ctrl-C saves and evaluates; --resume goes on, also after a crash or a kill.

    Args:
        text: Files, folders, or - for standard input.
        output: The model folder to write.
        sample: Learn from the Python language reference, which is on every machine with Python.
        resume: Go on with the run in the output folder.
        init_from: A model folder to start from; its vocabulary grows by what is new in the text.
        write: Characters to show of what the model writes in the end; 0 for none.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    folder = output_folder(output)
    takes = takes_sample(folder, sample=sample, has_data=bool(text), resume=resume)
    sources: Sequence[TextSource | Path] = [python_language_reference()] if takes else given_paths(text)
    model = LanguageModel.train(
        sources, settings, output=folder, resume=resume, init_from=init_from, display=Display(quiet=quiet)
    )
    if not model.is_main:
        return 0
    evaluation = model.evaluate()
    if json:
        print_json(training_result(model.folder, summary(evaluation)))
        return 0
    _print_table(evaluation, "validation")
    if write:
        print("".join(model.generate(length=write, temperature=0.8, seed=model.settings.seed)))
    print(f"\nThe model is in {output}; go on with: throughtime lm generate {output}")
    return 0


def evaluate(
    model: Path,
    *text: Path,
    part: Literal["valid", "test", "train"] = "valid",
    encoding: str | None = None,
    lanes: int = 16,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a model predicts a text, beside a unigram and an n-gram model of its training text.

    Args:
        model: The model folder.
        text: Files, folders, or - for standard input; a part of the model's own data by default.
        part: Which part, where no text is given.
        encoding: The files' encoding; the training text's by default.
        lanes: Parts in which the text is read side by side; with 1 each token has all the text before it.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    check_positive_integer("lanes", lanes)
    evaluation = LanguageModel.load(model, device=device).evaluate(
        *given_paths(text), part=part, encoding=encoding, lanes=lanes
    )
    if json:
        print_json(summary(evaluation))
    else:
        _print_table(evaluation, ", ".join(map(str, text)) or part)
    return 0


def generate(  # noqa: PLR0913 - the flags that people know from other tools
    model: Path,
    *,
    prompt: str = "",
    length: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: Annotated[list[str] | None, Parameter(consume_multiple=False)] = None,
    seed: int | None = None,
    samples: int = 1,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Let a model write, and show the text as it comes.

    Args:
        model: The model folder.
        prompt: What the text begins with; - reads it from standard input.
        length: Tokens to write at most.
        temperature: Below 1 the text is more usual, above 1 more daring; 0 always takes the likeliest token.
        top_k: Draw from so many of the likeliest tokens only.
        top_p: Draw from the fewest tokens that have this probability together.
        min_p: Draw from tokens at least this times as likely as the likeliest.
        repetition_penalty: Above 1, makes tokens that have come already less likely.
        stop: End before this text; may be given several times.
        seed: Of the random numbers; the same seed writes the same text.
        samples: How many texts to write.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print a JSON list of the texts.
    """
    check_positive_integer("samples", samples)
    loaded = LanguageModel.load(model, device=device)
    prompt = standard_input_text() if prompt == STANDARD_INPUT else prompt
    texts: list[str] = []
    for number in range(samples):
        pieces = loaded.generate(
            prompt,
            length=length,
            stop=stop or [],
            seed=None if seed is None else seed + number,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
        )
        if json:
            texts.append(prompt + "".join(pieces))
            continue
        if samples > 1:
            print(f"--- {number + 1} of {samples} ---")
        for piece in chain([prompt], pieces):
            print(piece, end="", flush=True)
        print(flush=True)
    if json:
        print_json(texts)
    return 0


def _print_table(evaluation: Evaluation, text: str) -> None:
    counts = evaluation.counts
    unknown = f", {counts.unknown:,} of them unknown" if counts.unknown else ""
    table = Table(
        title=f"{text}: {counts.tokens:,} tokens{unknown}, {counts.characters:,} characters",
        title_justify="left",
    )
    table.add_column("model")
    for column in ("nats / token", "perplexity", "bits / character", "bits / byte"):
        table.add_column(column, justify="right")
    for row in evaluation.rows:
        table.add_row(
            row.model,
            f"{row.nats_per_token:.4f}",
            f"{row.perplexity:,.2f}",
            f"{row.bits_per_character:.4f}",
            f"{row.bits_per_byte:.4f}",
        )
    if len(evaluation.rows) == 1:
        table.caption = "no baselines: the model folder's tokens/train.npy, from which they are counted, is not there"
    Console(highlight=False).print(table)
