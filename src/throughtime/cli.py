"""The command line: names the commands; each is imported, and torch with it, only when it runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from cyclopts import App, CycloptsError
from rich.console import Console

from throughtime.commands import STANDARD_INPUT
from throughtime.errors import ThroughTimeError
from throughtime.version import __version__

app = App(
    name="throughtime",
    help="Recurrent neural networks, from your files to predictions.",
    version=__version__,
    console=Console(highlight=False),
    error_console=Console(stderr=True, highlight=False),
)
language_model = App(name="lm", help="Language models: learn a text, judge other text by it, write on.")
app.command(language_model)
language_model.command("throughtime.commands.language_model:train", name="train", help="Train a model on text.")
language_model.command(
    "throughtime.commands.language_model:evaluate",
    name="evaluate",
    help="Tell how well a model predicts a text.",
)
language_model.command("throughtime.commands.language_model:generate", name="generate", help="Let a model write.")
classify = App(
    name="classify", help="Classification of texts and of sequences of numbers: learn labels, judge, predict, explain."
)
app.command(classify)
for name, summary in (
    ("train", "Train a classifier on labelled texts or sequences, or cross-validate it."),
    ("evaluate", "Tell how well a model classifies."),
    ("predict", "Give the label and the probabilities of texts or sequences."),
):
    classify.command(f"throughtime.commands.classify:{name}", name=name, help=summary)
vectors = App(name="vectors", help="Word vectors: learn them from text, ask, judge, convert and draw them.")
app.command(vectors)
for name, summary in (
    ("train", "Learn vectors from text."),
    ("nearest", "Show the words nearest to a word."),
    ("analogy", "Solve an analogy."),
    ("odd-one-out", "Tell which word goes least with the others."),
    ("evaluate", "Judge vectors by analogies and by similarity."),
    ("convert", "Write vectors in another format."),
    ("plot", "Draw words, or pairs of words as arrows."),
):
    vectors.command(f"throughtime.commands.vectors:{name.replace('-', '_')}", name=name, help=summary)
app.command("throughtime.commands.export:export", name="export", help="Write a model as ONNX, in int8 as well.")
app.command(
    "throughtime.commands.inspect:inspect",
    name="inspect",
    help="Look inside a model: gradients, gates, memory, neurons, attention, maps of words.",
)
for name, summary in (
    ("caption", "Captioning: learn to say what is in pictures, caption, judge, show where it looked."),
    ("image", "Image classification: learn labels of pictures, judge, predict."),
):
    app.command(f"throughtime.commands.{name}:app", name=name, help=summary)
app.command(
    "throughtime.commands.translate:app",
    name="translate",
    help="Translation: learn it from pairs of sentences, translate, judge, show the alignment.",
)
app.command(
    "throughtime.commands.autoencode:app",
    name="autoencode",
    help="Recurrent autoencoder of series: find what is odd, make vectors of windows.",
)
bench = App(name="bench", help="What recurrent cells can and can't do, measured.")
app.command(bench)
bench.command(
    "throughtime.commands.bench:dependencies",
    name="dependencies",
    help="Compare cells on sequences in which the beginning decides about the end.",
)
app.command(
    "throughtime.commands.forecast:app",
    name="forecast",
    help="Time series: learn them, judge forecasts by backtests, forecast, follow a stream.",
)
app.command(
    "throughtime.commands.video:app",
    name="video",
    help="Video classification: learn labels from videos, judge, predict.",
)
app.command(
    "throughtime.commands.next_frame:app",
    name="next-frame",
    help="Videos: learn to predict each next frame, judge, let a video go on.",
)
app.command(
    "throughtime.commands.vqa:app",
    name="vqa",
    help="Questions about pictures: learn to answer them, judge, ask.",
)
app.command(
    "throughtime.commands.studio:studio", name="studio", help="Show trained models of any task in a page, and by JSON."
)
app.command(
    "throughtime.commands.reproduce:reproduce",
    name="reproduce",
    help="Run a recipe and compare with its target.",
)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command; what the user can mend ends in one sentence and an exit status other than 0."""
    # Read when torch is imported. Threads that wait for each other then sleep soon, where they would spin for long:
    # that costs 1 % on an idle machine and makes a step three times as fast beside a busy neighbour.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    # cyclopts takes a bare hyphen for an option without a name; here it is standard input.
    given = [STANDARD_INPUT if argument == "-" else argument for argument in given if argument != "--debug"]
    try:
        status = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ThroughTimeError) as error:
        if debug:
            raise
        sys.exit(_explain(error))
    except KeyboardInterrupt:
        if debug:
            raise
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        message = f"{type(error).__name__}: {error} (this looks like a mistake in throughtime; --debug shows where)"
        print(f"throughtime: {message}", file=sys.stderr)
        sys.exit(70)
    sys.exit(status if isinstance(status, int) else 0)


def _explain(error: CycloptsError | ThroughTimeError) -> int:
    cause: BaseException | None = error
    message = ""
    from pydantic import ValidationError  # noqa: PLC0415

    while cause is not None:
        if isinstance(cause, ValidationError):
            from throughtime.tasks.settings import explain  # noqa: PLC0415

            message = explain(cause, [])
            break
        if isinstance(cause, ThroughTimeError):
            message = str(cause)
            break
        cause = cause.__cause__ or cause.__context__
    print(f"throughtime: {message or error}", file=sys.stderr)
    return 2 if isinstance(error, CycloptsError) else 1
