"""``throughtime translate``: train a translator or an autoencoder, translate, judge, write sentences' vectors."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands import STANDARD_INPUT
from throughtime.commands.results import given_paths, print_json
from throughtime.commands.standard_input import some_lines, standard_input_lines
from throughtime.commands.training_runs import Output, Sample, tell_training, train_model
from throughtime.data import read_text_file, sample_numbers
from throughtime.errors import ArgumentError, check_positive_integer, counted
from throughtime.files import replacing
from throughtime.tasks.alignment_figures import check_alignment_file, save_alignments
from throughtime.tasks.sentence_neighbours import nearest_rows
from throughtime.tasks.translation import Settings
from throughtime.tasks.translation_evaluation import Evaluation, summary
from throughtime.tasks.translator import Translation, Translator

app = App(name="translate", help="Translation: learn it from pairs of sentences, translate, judge, show the alignment.")

TranslatorSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
AT_ONCE = 64

SAMPLE = Sample(
    sample_numbers,
    {
        "source_tokens": "char",
        "target_tokens": "word",
        "hidden_size": 128,
        "embedding_size": 32,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "learning_rate": 1e-2,
        "matrix_learning_rate": 0.05,
        "warmup": 20,
        "batch_tokens": 400,
        "validations": 6,
        "validation_pairs": 200,
        "average": 1,
        "precision": "32",
        "time_budget": "45s",
    },
)


@app.default
def translate(  # noqa: PLR0913 - the flags that people know from other tools
    model: Path,
    *sentence: str,
    file: Path | None = None,
    beam_size: int = 5,
    n_best: int = 1,
    length_penalty: float = 1.0,
    coverage_penalty: float = 0.0,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    min_length: int = 0,
    max_length: int | None = None,
    block_ngrams: int | None = None,
    prefix: str | None = None,
    replace_unknown: bool = True,
    scores: bool = False,
    attention: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Translate sentences; without any, standard input is read and answered line by line.

    Args:
        model: The model folder; one that is called as a command of this program is given as ./train.
        sentence: The sentences.
        file: A file with a sentence on each line.
        beam_size: Translations that are kept from step to step; 1 is greedy search.
        n_best: How many translations to show of each sentence, at most the beam size; each line then begins with the
            sentence's number.
        length_penalty: Above 0 favours longer translations, 0 ranks them by probability.
        coverage_penalty: Above 0 disfavours leaving words of the source without attention.
        temperature: Draw translations in place of searching; below 1 more usual ones.
        top_k: Draw from so many of the likeliest tokens only.
        top_p: Draw from the fewest tokens that have this probability together.
        seed: Of the drawing.
        min_length: Tokens at least.
        max_length: Tokens at most; twice the source's and twenty by default.
        block_ngrams: No sequence of so many tokens comes twice.
        prefix: What every translation begins with.
        replace_unknown: Whether the source word that was looked at stands where the model writes an unknown word.
        scores: Show the score before each translation.
        attention: Draw where the model looked, into an .html or .png file.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    if sentence and sentence != (STANDARD_INPUT,) and file is not None:
        raise ArgumentError("give sentences or --file, not both")
    if attention is not None:
        check_alignment_file(attention)
    translator = Translator.load(model, device=device)
    if attention is not None and translator.settings.chosen_attention is None:
        raise ArgumentError("--attention needs a model with attention, and this one has none")
    options: dict[str, Any] = {
        "beam_size": beam_size,
        "n_best": n_best,
        "length_penalty": length_penalty,
        "coverage_penalty": coverage_penalty,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "min_length": min_length,
        "max_length": max_length,
        "block_ngrams": block_ngrams,
        "replace_unknown": replace_unknown,
    }
    lines, at_once = _lines(sentence, file, translator.settings.encoding)
    drawn: list[Translation] = []
    number = 0
    for some in some_lines(lines, at_once):
        prefixes = [prefix] * len(some) if prefix else ()
        found = translator.translate(some, prefixes=prefixes, alignment=attention is not None or json, **options)
        for own, translation in zip(some, found, strict=True):
            number += 1
            _print_translation(number, own, translation, n_best=n_best, scores=scores, json=json)
        drawn += found
    if attention is not None:
        save_alignments([one for one in drawn if one.alignment is not None], attention)
    return 0


@app.command
def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: TranslatorSettings = DEFAULTS,
) -> int:
    """Train a translator on pairs of sentences, or with --autoencode an autoencoder on sentences.

    A folder, or files in two languages (train.de train.en), or TSV or JSONL with a pair on each line. Files named
    train, valid and test are those parts. Ctrl-C saves and evaluates; --resume goes on, also after a crash or a kill.

    Args:
        data: Files, folders, or - for standard input.
        output: The model folder to write.
        sample: Learn numbers, times and dates written in words, from generated pairs.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    model = train_model(
        Translator, data, settings, SAMPLE if sample else None, output=output, resume=resume, quiet=quiet
    )
    verb = "encode " if model.settings.autoencode else ""
    return tell_training(
        model,
        model.evaluate,
        summary,
        partial(_print_evaluation, title="validation"),
        json=json,
        go_on=f"translate {verb}{output} < sentences.txt",
    )


@app.command
def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    beam_size: int = 5,
    length_penalty: float = 1.0,
    coverage_penalty: float = 0.0,
    block_ngrams: int | None = None,
    examples: int = 5,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how good translations are, by sacrebleu, beside the copied source.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        beam_size: Translations that are kept from step to step.
        length_penalty: Above 0 favours longer translations.
        coverage_penalty: Above 0 disfavours leaving words of the source without attention.
        block_ngrams: No sequence of so many tokens comes twice.
        examples: Translations to show, taken at equal distances.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    evaluation = Translator.load(model, device=device).evaluate(
        *given_paths(data),
        part=part,
        examples=examples,
        beam_size=beam_size,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        block_ngrams=block_ngrams,
    )
    if json:
        print_json(summary(evaluation))
    else:
        _print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation")
    return 0


@app.command
def encode(
    model: Path,
    *sentence: str,
    file: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    nearest: int = 0,
    device: str = "auto",
) -> int:
    """Write the vector of each sentence: the state that the decoder starts from.

    Args:
        model: The model folder.
        sentence: The sentences; standard input by default.
        file: A file with a sentence on each line.
        output: A .npy file for the vectors, shape (sentences, features); else they are printed, one a line.
        nearest: In place of the vectors show, for each sentence, so many of the others that are nearest by cosine;
            with a file, those of its lines that are nearest to the sentences that are given.
        device: Where to compute: auto, cpu, cuda, mps.
    """
    if nearest and output is not None:
        raise ArgumentError("give --output or --nearest, not both")
    if nearest:
        check_positive_integer("nearest", nearest)
    elif sentence and file is not None:
        raise ArgumentError("give sentences or --file; both only with --nearest, to look for the one among the other")
    translator = Translator.load(model, device=device)
    lines, at_once = _lines(sentence, file, translator.settings.encoding)
    if not nearest and output is None:
        for some in some_lines(lines, at_once):
            for vector in translator.encode(some):
                print(" ".join(f"{value:.6g}" for value in vector.tolist()), flush=True)
        return 0
    sentences = list(lines)
    vectors = translator.encode(sentences)
    if output is not None:
        with replacing(output) as temporary, temporary.open("wb") as stream:
            np.save(stream, vectors)
        print(f"{len(sentences):,} vectors of {vectors.shape[1]} features are in {output}")
        return 0
    queries = sentence if file is not None and sentence else sentences
    asked = vectors if queries is sentences else translator.encode(queries)
    found = nearest_rows(asked, vectors, nearest, itself=queries is sentences) if sentences else []
    for own, near in zip(queries, found, strict=True):
        print(own)
        for place, cosine in near:
            print(f"  {cosine:.3f}  {sentences[place]}")
    return 0


def _lines(sentence: Sequence[str], file: Path | None, encoding: str | None) -> tuple[Iterator[str], int]:
    """The sentences, and how many of them to take at once: of a stream that someone writes to, one."""
    if file is not None:
        lines = read_text_file(file, encoding).text.split("\n")
        return iter(lines[:-1] if lines and not lines[-1] else lines), AT_ONCE
    if sentence and tuple(sentence) != (STANDARD_INPUT,):
        return iter(sentence), AT_ONCE
    return standard_input_lines(), AT_ONCE if _is_plain_file(sys.stdin) else 1


def _is_plain_file(stream: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _print_translation(
    number: int, source: str, translation: Translation, *, n_best: int, scores: bool, json: bool
) -> None:
    several = (translation, *translation.others)
    if json:
        content: dict[str, Any] = {
            "source": source,
            "translations": [
                {"text": one.text, "score": one.score, "log_probability": one.log_probability} for one in several
            ],
        }
        if translation.alignment is not None:
            content["source_pieces"], content["pieces"] = translation.source_pieces, translation.pieces
            content["alignment"] = [[round(weight, 4) for weight in row] for row in translation.alignment.tolist()]
        print(dumps(content, ensure_ascii=False), flush=True)
        return
    for one in several:
        fields = [str(number)] if n_best > 1 else []
        fields += [f"{one.score:.4f}"] if scores else []
        print("\t".join([*fields, one.text]), flush=True)


def _print_evaluation(evaluation: Evaluation, title: str) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{title}: {counted(evaluation.sentences, 'sentence')}", title_justify="left")
    table.add_column("model")
    for column in ("BLEU", "chrF"):
        table.add_column(column, justify="right")
    for row in evaluation.rows:
        table.add_row(row.model, f"{row.bleu:.2f}", f"{row.chrf:.2f}")
    console.print(table)
    console.print(f"BLEU {evaluation.bleu_signature}\nchrF {evaluation.chrf_signature}", markup=False, soft_wrap=True)
    speed = evaluation.sentences / max(evaluation.seconds, 1e-9)
    console.print(f"references: {evaluation.nats_per_token:.4f} nats per token; {speed:,.0f} sentences/s")
    for source, translation, reference in evaluation.examples:
        console.print(f"\n  source       {source}\n  translation  {translation}", markup=False, soft_wrap=True)
        if reference != source:
            console.print(f"  reference    {reference}", markup=False, soft_wrap=True)
