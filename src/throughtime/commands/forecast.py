"""``throughtime forecast``: train, evaluate, backtest, predict, stream."""

from __future__ import annotations

import math
import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.appearance import check_figure_file
from throughtime.commands.results import given_path, print_json, training_result
from throughtime.commands.standard_input import standard_input_lines
from throughtime.commands.training_runs import Output, output_folder, takes_sample
from throughtime.data.sample_series import sample_series
from throughtime.data.series import TIME, SeriesTable
from throughtime.data.series_files import read_series
from throughtime.errors import ArgumentError, check_positive_integer, data_error
from throughtime.files import check_output_file, replacing, write_text
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.forecast_evaluation import ForecastEvaluation, check_forecast_metrics, summary
from throughtime.tasks.forecast_figures import plot_backtest, plot_forecasts
from throughtime.tasks.forecast_stream import StreamForecast
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.forecasting_comparison import compare_networks
from throughtime.tasks.forecasting_settings import Settings
from throughtime.training import Display

app = App(name="forecast", help="Time series: learn them, judge forecasts by backtests, forecast, follow a stream.")

ForecasterSettings = Annotated[Settings, Parameter(name="*")]
Levels = tuple[float, ...]
DEFAULTS = Settings()
FORMATS = (".csv", ".parquet", ".json", ".jsonl")


@app.command
def train(
    data: Path | None = None,
    *,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: ForecasterSettings = DEFAULTS,
) -> int:
    """Train a forecaster on series and write a model folder.

    Data: a long table (unique_id, ds, y and covariates), a wide one with a series in each column, or a bare column;
    CSV, Parquet, JSON lines or Monash's .tsf, also .gz.

    Args:
        data: The file, or - for standard input.
        output: The model folder to write.
        sample: Learn from generated daily sales.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    check_forecast_metrics()
    folder = output_folder(output)
    takes = takes_sample(folder, sample=sample, has_data=data is not None, resume=resume)
    source = _source(data, sample=takes)
    model = Forecaster.train(source, settings, output=folder, resume=resume, display=Display(quiet=quiet))
    if not model.is_main:
        return 0
    evaluation = model.evaluate()
    if json:
        print_json(training_result(model.folder, summary(evaluation)))
        return 0
    _print_evaluation(evaluation, "validation")
    print(f"\nThe model is in {output}; go on with: throughtime forecast predict {output} --figure forecast.png")
    return 0


@app.command
def evaluate(
    model: Path,
    data: Path | None = None,
    *,
    steps: int | None = None,
    step_size: int | None = None,
    baselines: bool = True,
    figure: Path | None = None,
    output: Output = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Backtest a model as it is, beside the seasonal naive forecast, Theta and a linear one.

    Args:
        model: The model folder.
        data: Series that go on after those that it learned from, or others; its own by default.
        steps: Steps at the end of each series to forecast; those that the model has not seen by default.
        step_size: Steps between two forecasts; so that there are at most 100 by default.
        baselines: Whether Theta and the linear forecast stand beside the seasonal naive one.
        figure: A PNG, SVG or PDF file to draw forecasts and what came into.
        output: A file for the forecasts: CSV, Parquet or JSON.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    check_forecast_metrics()
    _check_files(figure, output)
    loaded = Forecaster.load(model, device=device)
    given = None if data is None else given_path(data)
    evaluation = loaded.evaluate(given, steps=steps, step_size=step_size, baselines=baselines)
    _finish_evaluation(loaded, evaluation, str(data or "validation"), figure=figure, output=output, json=json)
    return 0


@app.command
def backtest(
    data: Path | None = None,
    *,
    windows: int = 3,
    step_size: int | None = None,
    refit: bool = False,
    sample: bool = False,
    figure: Path | None = None,
    output: Output = None,
    quiet: bool = False,
    json: bool = False,
    settings: ForecasterSettings = DEFAULTS,
) -> int:
    """Train on all but the last windows of series and forecast these; beside it a feed-forward network on a window.

    Args:
        data: The file of series, or - for standard input.
        windows: How many forecasts of each series.
        step_size: Steps between two of them; the horizon by default.
        refit: Train anew before each window, on all that is known by then.
        sample: Use generated daily sales.
        figure: A PNG, SVG or PDF file to draw forecasts and what came into.
        output: A file for the forecasts: CSV, Parquet or JSON.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    check_forecast_metrics()
    _check_files(figure, output)
    check_positive_integer("windows", windows)
    source = _source(data, sample=sample)
    if source is None:
        raise ArgumentError("there are no series to learn from; give a file of series, or --sample")
    table = read_series(source, settings.columns, encoding=settings.encoding)
    model, evaluation = compare_networks(table, settings, windows, step_size, refit=refit, display=Display(quiet=quiet))
    _finish_evaluation(model, evaluation, "backtest", figure=figure, output=output, json=json)
    return 0


@app.command
def predict(
    model: Path,
    data: Path | None = None,
    *,
    horizon: int | None = None,
    level: Levels | None = None,
    future: Path | None = None,
    figure: Path | None = None,
    output: Output = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Forecast the steps after series.

    Args:
        model: The model folder.
        data: The series up to the present; those that the model learned from by default.
        horizon: Steps; as many as the model was trained for by default.
        level: Intervals, in per cent.
        future: A table of the future covariates of these steps.
        figure: A PNG, SVG or PDF file to draw history, forecast and intervals into.
        output: A file for the forecasts: CSV, Parquet or JSON; printed as CSV by default.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    _check_files(figure, output)
    if horizon is not None:
        check_positive_integer("horizon", horizon)
    loaded = Forecaster.load(model, device=device)
    table = loaded.table_of(None if data is None else given_path(data))
    frame: pl.DataFrame = loaded.predict(table, h=horizon, level=level, future=future)
    if figure is not None:
        shown = () if loaded.settings.distribution == "point" else level if level is not None else loaded.settings.level
        plot_forecasts(table, frame, figure, name=loaded.name, level=shown)
    if output is not None:
        _write_frame(frame, output)
    elif json:
        sys.stdout.write(frame.with_columns(pl.col(TIME).cast(pl.String)).write_ndjson())
    else:
        sys.stdout.write(_csv(frame))
    return 0


@app.command
def stream(
    model: Path,
    *,
    series: str | None = None,
    level: Levels | None = None,
    device: str = "cpu",
    json: bool = False,
) -> int:
    """Follow a series on standard input: a value on each line, and after each the next forecast.

    Args:
        model: The model folder.
        series: Which of its series goes on; may be left out where there is one.
        level: Intervals, in per cent.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON with all of the horizon; else the next step alone.
    """
    following = Forecaster.load(model, device=device).stream(series, level=level)
    for number, line in enumerate(standard_input_lines(), 1):
        text = line.strip()
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise data_error("standard input", f"{text!r} is no number; give one on each line", line=number)
        _print_step(following.update(None if math.isnan(value) else value), json=json)
    return 0


def _source(data: Path | None, *, sample: bool) -> Path | SeriesTable | None:
    if sample and data is not None:
        raise ArgumentError("give data or --sample, not both")
    if sample:
        return sample_series()
    return None if data is None else given_path(data)


def _check_files(figure: Path | None, output: Path | None) -> None:
    """Before the work: what it gives would be lost where it can't be written."""
    if figure is not None:
        check_figure_file(figure)
    if output is not None:
        check_output_file("output", output, FORMATS)


def _print_step(found: StreamForecast, *, json: bool) -> None:
    stamps = [str(stamp).replace("T", " ").removesuffix(".000000") for stamp in found.stamps]
    if json:
        intervals = {f"{level:g}": [low.tolist(), high.tolist()] for level, (low, high) in found.intervals.items()}
        print(dumps({TIME: stamps, "forecast": found.point.tolist(), "intervals": intervals}), flush=True)
        return
    ends = "".join(f"\t{level:g} %: {low[0]:.6g} to {high[0]:.6g}" for level, (low, high) in found.intervals.items())
    print(f"{stamps[0]}\t{found.point[0]:.6g}{ends}", flush=True)


def _finish_evaluation(
    model: Forecaster,
    evaluation: ForecastEvaluation,
    title: str,
    *,
    figure: Path | None,
    output: Path | None,
    json: bool,
) -> None:
    if figure is not None:
        level = () if model.settings.distribution == "point" else model.settings.level
        dates = evaluation.frame[TIME].dtype.is_temporal()
        plot_backtest(evaluation.frame, figure, name=model.name, level=level, dates=dates)
    if output is not None:
        _write_frame(evaluation.frame, output)
    if json:
        print_json(summary(evaluation))
    else:
        _print_evaluation(evaluation, title)


def _print_evaluation(evaluation: ForecastEvaluation, title: str) -> None:
    console = Console(highlight=False)
    count = "1 series" if evaluation.series == 1 else f"{evaluation.series:,} series"
    table = Table(
        title=f"{title}: {evaluation.origins:,} forecasts of {evaluation.horizon} steps, {count}", title_justify="left"
    )
    table.add_column("model")
    levels = list(evaluation.rows[0].coverage)
    for column in ("MAE", "RMSE", "sMAPE", "MASE", "QL", *(f"in {level} %" for level in levels)):
        table.add_column(column, justify="right")
    best = min(row.mase for row in evaluation.rows)
    for row in evaluation.rows:
        mase = f"[bold]{row.mase:.3f}[/]" if row.mase == best else f"{row.mase:.3f}"
        loss = "" if math.isnan(row.quantile_loss) else f"{row.quantile_loss:,.4g}"
        shares = [f"{row.coverage[level]:.0%}" if level in row.coverage else "" for level in levels]
        table.add_row(row.model, f"{row.mae:,.4g}", f"{row.rmse:,.4g}", f"{row.smape:.2%}", mase, loss, *shares)
    season = f"season {evaluation.season}" if evaluation.season > 1 else "no season"
    table.caption = f"means over series; MASE: {season}; QL: quantile loss; in 90 %: share in that interval"
    table.caption_justify = "left"
    console.print(table)
    width = max(len(row.model) for row in evaluation.rows)
    for row in evaluation.rows:
        console.print(f"  {row.model:{width}}  {row.about}", markup=False, soft_wrap=True)
    for line in (evaluation.verdict, *evaluation.remarks):
        console.print(line, markup=False, soft_wrap=True)


def _csv(frame: pl.DataFrame) -> str:
    return frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S", float_precision=6)


def _write_frame(frame: pl.DataFrame, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        with replacing(path) as temporary:
            frame.write_parquet(temporary)
    elif suffix == ".csv":
        write_text(path, _csv(frame))
    else:
        stamped = frame.with_columns(pl.selectors.temporal().cast(pl.String))
        write_text(path, stamped.write_json() if suffix == ".json" else stamped.write_ndjson())
