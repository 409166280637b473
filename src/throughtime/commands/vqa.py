"""``throughtime vqa``: train, evaluate, predict."""

from __future__ import annotations

import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands.results import check_columns_have_data, given_paths, print_json
from throughtime.commands.standard_input import standard_input_lines
from throughtime.commands.training_runs import Output, Sample, tell_training, train_model
from throughtime.data import QuestionColumns, sample_questions
from throughtime.data.images import open_image
from throughtime.errors import ArgumentError, counted
from throughtime.tasks.answer_evaluation import AnswerEvaluation, answer_summary
from throughtime.tasks.attention_overlays import check_overlay_file, save_overlays
from throughtime.tasks.visual_question_answerer import Answer, VisualQuestionAnswerer
from throughtime.tasks.visual_question_settings import Settings

QuestionSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE = Sample(
    lambda: sample_questions(600, side=32),
    {"channels": (16, 32), "hidden_size": 64, "joint_size": 128, "batch_size": 64, "epochs": 30.0},
)
MOST_KINDS = 15

app = App(name="vqa", help="Questions about pictures: learn to answer them, judge, ask.")


@app.command
def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: QuestionSettings = DEFAULTS,
) -> int:
    """Train a network on questions about pictures and write a model folder.

    Data: CSV, TSV or JSONL with the columns image, question and answer; VQA's JSON of questions, with that of the
    annotations beside it; or easy-VQA's folders. Files or folders named train, valid and test are those parts; else the
    questions about a tenth of the pictures are for validation.

    Args:
        data: Files or folders.
        output: The model folder to write.
        sample: Learn from generated pictures of coloured shapes.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    model = train_model(
        VisualQuestionAnswerer, data, settings, SAMPLE if sample else None, output=output, resume=resume, quiet=quiet
    )
    return tell_training(
        model,
        model.evaluate,
        answer_summary,
        partial(_print_evaluation, title="validation"),
        json=json,
        go_on=f"vqa predict {output} picture.png 'what is it?'",
    )


@app.command
def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    images: Path | None = None,
    baselines: bool = True,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a network answers, by kind of question, beside models that see no picture.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        images: The folder that the names of pictures start from; that of the data by default.
        baselines: Whether to learn what stands beside the model.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    loaded = VisualQuestionAnswerer.load(model, device=device)
    check_columns_have_data(data, images=images)
    used = loaded.settings.columns
    columns = QuestionColumns(used.image, used.question, used.answer, images)
    evaluation = loaded.evaluate(*given_paths(data), part=part, columns=columns, baselines=baselines)
    if json:
        print_json(answer_summary(evaluation))
    else:
        _print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation")
    return 0


@app.command
def predict(
    model: Path,
    picture: Path,
    *question: str,
    attention: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Answer questions about a picture.

    Without a question, standard input is read and answered line by line.

    Args:
        model: The model folder.
        picture: The file of the picture.
        question: Questions about it.
        attention: A PNG file that shows where the network looked for each answer.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    if attention is not None:
        check_overlay_file(attention)
    loaded = VisualQuestionAnswerer.load(model, device=device)
    if attention is not None and not loaded.has_attention:
        raise ArgumentError(f"--attention needs a model that has attention; this one is {loaded.name}")
    open_image(picture)  # Before questions are waited for.
    answers: list[Answer] = []
    for one in question or standard_input_lines():
        if one.strip():
            answers += loaded.answer(picture, [one], attention=attention is not None)
            _print_answer(answers[-1], json=json)
    if attention is not None and answers:
        save_overlays([loaded.reader.preprocessing.pixels(picture)] * len(answers), answers, attention)
    return 0


def _print_answer(answer: Answer, *, json: bool) -> None:
    if json:
        content = {"question": answer.question, "answer": answer.answer, "probabilities": answer.probabilities}
        print(dumps(content, ensure_ascii=False), flush=True)
        return
    shown = "  ".join(f"{name} {probability:.1%}" for name, probability in list(answer.probabilities.items())[:3])
    print(f"{answer.answer}\t{shown}", flush=True)
    if answer.unknown:
        words = ", ".join(answer.unknown)
        print(f"  words that no training question had: {words}", file=sys.stderr, flush=True)


def _print_evaluation(evaluation: AnswerEvaluation, title: str) -> None:
    console = Console(highlight=False)
    named = f"{title}: {counted(evaluation.questions, 'question')} about {counted(evaluation.pictures, 'picture')}"
    table = Table(title=named, title_justify="left")
    table.add_column("model")
    table.add_column("VQA accuracy" if evaluation.several_answers else "accuracy", justify="right")
    for row in evaluation.rows:
        table.add_row(row.model, f"{row.accuracy:.2%}")
    if len(evaluation.rows) == 1:
        table.caption = "nothing beside it: it would be learned from the model folder's tokens/train.jsonl"
    console.print(table)
    if len(evaluation.rows) > 1 and evaluation.rows[1].accuracy >= evaluation.rows[0].accuracy:
        console.print("who reads the question alone answers as well here: the network has not learned to look")
    kinds = Table(title="by kind of question", title_justify="left")
    kinds.add_column("kind")
    kinds.add_column("questions", justify="right")
    for name in ("the network", "question only")[: len(evaluation.rows)]:
        kinds.add_column(name, justify="right")
    for kind, count in list(evaluation.kinds.items())[:MOST_KINDS]:
        shares = [f"{row.by_kind[kind]:.1%}" for row in evaluation.rows[:2]]
        kinds.add_row(kind, f"{count:,}", *shares)
    if len(evaluation.kinds) > MOST_KINDS:
        kinds.caption = f"and {len(evaluation.kinds) - MOST_KINDS:,} rarer kinds"
    console.print(kinds)
