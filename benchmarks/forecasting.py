"""Claim: recurrent forecasters learn in at most half the time of neuralforecast's, and err no more.

    python benchmarks/forecasting.py DATA [--target OT] [--horizon 24] [--read 96] [--test 2880] [--validation 2880]
        [--values 14400] [--stride 24] [--hidden-size 64] [--batch 32] [--updates 300] [--season 24]
        [--cells lstm gru] [--repeats 3] [--threads 2]

DATA is any file of series that throughtime reads. Both learn from the same steps with one recurrent layer of the same
size, read the same number of values before they forecast, see the same number of windows in an update, and lower the
mean absolute error for as many updates; they forecast the same steps of the last part, which neither has learned from.
They take turns, each with another seed; figures are medians. The time is that of the updates after the first ten,
without reading the data, starting and validating.

They differ in what an update learns: neuralforecast forecasts from the last step of each window, throughtime from every
step of its second half in one pass. So there are two times: of an update, and of an epoch, in which each step that is
learned from has been forecast from once.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import torch
from forecasting_peers import CONTESTANTS, Outcome, Work, errors, present, seasonal
from recurrent_measuring import matrix_product_peak
from recurrent_report import conditions, print_conditions
from rich.console import Console
from rich.table import Table

from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import read_series
from throughtime.tasks.forecast_features import Scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", default=None)
    parser.add_argument("--values", type=int, default=None, help="the first values of each series alone")
    numbers = {"horizon": 24, "read": 96, "test": 2880, "validation": 2880, "stride": 24, "hidden_size": 64}
    numbers |= {"batch": 32, "updates": 300, "season": 24, "repeats": 3, "threads": torch.get_num_threads()}
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=["lstm", "gru"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    work = work_of(given)
    console = Console(width=120)
    print_conditions(console, conditions({"float32": matrix_product_peak(torch.float32)}, vars(given)))
    learned = work.table.without_last(work.test + work.validation)
    unit = {one.unique_id: Scale.of(one.values, given.season).unit for one in learned.series}
    runs: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for seed in range(given.repeats):
        for cell in given.cells:
            for name in present():
                runs[name, cell].append(CONTESTANTS[name](work, cell, seed))
    table = Table(title=f"{given.data.name}, {work.horizon} steps ahead: medians of {given.repeats} runs")
    for column in ("", "ms an update", "s an epoch", "MAE", "MSE", "MASE"):
        table.add_column(column, justify="right" if column else "left")
    for (name, cell), own in runs.items():
        update = statistics.median(one.seconds for one in own)
        epoch = update * work.learned / own[0].origins
        error = [statistics.median(each) for each in zip(*(errors(one.frame, unit) for one in own), strict=True)]
        table.add_row(
            f"{name} {cell.upper()}", f"{1000 * update:.1f}", f"{epoch:.2f}", *(f"{one:.4g}" for one in error)
        )
    naive = errors(seasonal(work, given.season), unit)
    table.add_row("seasonal naive", "", "", *(f"{one:.4g}" for one in naive))
    console.print(table)


def work_of(given: argparse.Namespace) -> Work:
    table = read_series(given.data, SeriesColumns(target=() if given.target is None else (given.target,)))
    if given.values is not None:
        table = table.mapped(lambda one: one.between(one.first, one.first + given.values))
    sizes = {name: getattr(given, name) for name in Work.__dataclass_fields__ if name != "table"}
    return Work(table, **sizes)


if __name__ == "__main__":
    main()
