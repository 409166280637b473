from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from command_line import run
from throughtime.cli import main
from throughtime.tasks.forecast_evaluation import ForecastEvaluation, ForecastRow

TINY = ["--window", "15", "--context", "8", "--hidden-size", "6", "--members", "1", "--steps", "4", "--quiet"]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "sales.csv"
    rows = [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d},{50 + 10 * (day % 7)}" for day in range(28)]
    more = [f"2024-01-{day:02d},{50 + 10 * ((day - 1) % 7)}" for day in (29, 30, 31)]
    later = [f"2024-02-{day:02d},{50 + 10 * ((day + 30) % 7)}" for day in range(1, 30)]
    path.write_text("\n".join(["date,sold", *rows, *more, *later]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    with pytest.raises(SystemExit) as stopped:
        main(["forecast", "train", str(series), "-o", str(folder), "--horizon", "7", *TINY])
    assert stopped.value.code == 0
    return folder


def test_train_tells_what_it_understood_and_writes_a_card(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument for argument in TINY if argument != "--quiet"]
    code, out, err = run(capsys, "forecast", "train", series, "-o", tmp_path / "m", "--horizon", "7", *arguments)
    assert code == 0
    assert "1 series of 60 values, daily, 2024-01-01 to 2024-02-29" in err
    assert "time in 'date'; values in 'sold'" in err
    for shown in ("season of 7", "Theta", "Linear", "MASE", "in 90 %", "window 15, "):
        assert shown in out
    assert "throughtime forecast predict" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")


def test_predict_writes_every_format_and_a_picture(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "forecast.png"
    code, out, _ = run(capsys, "forecast", "predict", model, "--figure", figure)
    assert code == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    printed = pl.read_csv(io.StringIO(out))
    assert printed.columns == ["unique_id", "ds", "LSTM", "LSTM-lo-80", "LSTM-hi-80", "LSTM-lo-90", "LSTM-hi-90"]
    assert printed["ds"].to_list()[:2] == ["2024-03-01", "2024-03-02"]
    for name in ("f.csv", "f.parquet", "f.json", "f.jsonl"):
        assert run(capsys, "forecast", "predict", model, "-o", tmp_path / name)[0] == 0
    assert pl.read_parquet(tmp_path / "f.parquet")["LSTM"].to_list() == pytest.approx(
        printed["LSTM"].to_list(), abs=1e-5
    )
    assert len(json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))) == 7
    lines = run(capsys, "forecast", "predict", model, "--json", "--horizon", "2", "--level", "50")[1].splitlines()
    assert list(json.loads(lines[0])) == ["unique_id", "ds", "LSTM", "LSTM-lo-50", "LSTM-hi-50"]
    code, _, err = run(capsys, "forecast", "predict", model, "-o", tmp_path / "f.xlsx")
    assert (code, "must be a file that ends in .csv" in err) == (1, True)


def test_a_stream_is_answered_before_it_ends(model: Path) -> None:
    command = [sys.executable, "-m", "throughtime", "forecast", "stream", str(model)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    process.stdin.write("70\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith("2024-03-02\t")
    out, _ = process.communicate("nan\n")
    assert out.startswith("2024-03-03\t")


def test_backtest_sets_the_lectures_window_beside_the_network(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "backtest.svg"
    arguments = ["--horizon", "5", "--windows", "2", *TINY, "--figure", str(figure), "-o", str(tmp_path / "b.csv")]
    code, out, _ = run(capsys, "forecast", "backtest", series, *arguments, "--json")
    assert code == 0
    result = json.loads(out)
    assert [row["model"] for row in result["rows"]] == ["LSTM", "SeasonalNaive", "Theta", "Linear", "MLP"]
    assert (result["origins"], result["horizon"], result["season"]) == (2, 5, 7)
    assert "<svg" in figure.read_text(encoding="utf-8")
    assert pl.read_csv(tmp_path / "b.csv")["cutoff"].unique().sort().to_list() == ["2024-02-19", "2024-02-24"]


def test_evaluate_takes_what_came_since(
    model: Path, series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = tmp_path / "longer.csv"
    more = "".join(f"2024-03-{day:02d},{50 + 10 * ((day + 59) % 7)}\n" for day in range(1, 15))
    longer.write_text(series.read_text(encoding="utf-8") + more, encoding="utf-8")
    code, out, _ = run(capsys, "forecast", "evaluate", model, longer, "--json")
    assert code == 0
    result = json.loads(out)
    # Fourteen new days: eight places from which seven days can be forecast and compared.
    assert result["origins"] == 8
    naive = next(row for row in result["rows"] if row["model"] == "SeasonalNaive")
    assert naive["mae"] == 0


def test_a_network_that_loses_says_so() -> None:
    def row(name: str, mase: float) -> ForecastRow:
        return ForecastRow(name, "", 1, 1, 0.1, 0.1, mase, 1, 1, {})

    rows = (row("LSTM", 1.1), row("SeasonalNaive", 1.0), row("Theta", 0.9))
    evaluation = ForecastEvaluation(rows, 7, 3, 1, 7, (), pl.DataFrame())
    assert evaluation.verdict.startswith("LSTM loses to SeasonalNaive: its MASE is 10.0% higher")
    winning = ForecastEvaluation((row("LSTM", 0.95), *rows[1:]), 7, 3, 1, 7, (), pl.DataFrame())
    assert winning.verdict == "LSTM beats SeasonalNaive: its MASE is 5.0% lower; Theta is better still"


def test_what_cannot_be_used_is_told_in_a_sentence(
    model: Path, series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (["train", series], "give --output"),
        (["train", series, "--sample", "-o", tmp_path / "x"], "give data or --sample, not both"),
        (["train", tmp_path / "none.csv", "-o", tmp_path / "x"], "none.csv: there is no such file"),
        (["train", tmp_path / "none.csv", "-o", tmp_path / "x" / "in" / "it"], "none.csv: there is no such file"),
        (["backtest"], "there are no series to learn from"),
        (["evaluate", model, "--steps", "3"], "`steps` must be at least the horizon, 7, got 3"),
        (["evaluate", model, "--step-size", "0"], "`step_size` must be a positive integer, got 0"),
        (["predict", model, "--horizon", "9"], "`h` must be at most 7"),
        (["predict", model, "--horizon", "0"], "`horizon` must be a positive integer, got 0"),
        (["predict", model, "--future", "none.csv"], "`future` must be left out: this model has no covariates"),
        (["predict", model, "--figure", "look.doc"], "`figure` must be a file that ends in .png or .svg or .pdf"),
        (["backtest", series, "-o", "found.xls"], "`output` must be a file that ends in .csv"),
        (["backtest", series, "-o", tmp_path / "none" / "found.csv"], "`output`: there is no folder"),
        (["backtest", series, "--windows", "0"], "`windows` must be a positive integer, got 0"),
    ):
        code, _, err = run(capsys, "forecast", *arguments)
        assert code == 1, arguments
        assert message in err
        assert "Traceback" not in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("line", ["inf", "-inf", "hello"])
def test_a_stream_takes_numbers_alone(
    model: Path, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"50\n{line}\n"))
    code, out, err = run(capsys, "forecast", "stream", model)
    assert (code, len(out.splitlines())) == (1, 1)
    assert f"standard input:2: {line!r} is no number" in err
