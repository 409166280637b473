from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from command_line import run
from throughtime.data import AddingProblem
from throughtime.errors import ArgumentError
from throughtime.tasks.dependency_figures import explain, verdict
from throughtime.tasks.long_term_dependencies import (
    CellResult,
    Comparison,
    Settings,
    build_model,
    compare,
    gradient_by_lag,
    load_data,
)

SHORT = Settings(cells="gru", length=10, steps=4, hidden_size=8, device="cpu")


def test_a_gru_adds_over_a_short_time_and_its_losses_are_told() -> None:
    comparison = compare(Settings(cells="gru", length=10, steps=400, hidden_size=16, device="cpu", validations=4))
    (row,) = comparison.rows
    assert row.loss < 0.01 * comparison.guess
    assert row.solved_at is not None
    assert row.losses[-1][0] == 400
    assert verdict(row, comparison.guess) == "solved"
    assert row.weights == sum(weight.numel() for weight in torch.nn.GRU(2, 16).parameters()) + 17


@pytest.mark.parametrize("task", ["adding", "copy"])
def test_the_gradient_by_lag_is_that_of_autograd(task: str) -> None:
    settings = Settings.of({"task": task, "length": 10, "hidden_size": 5})
    sequences = load_data(settings)
    network = build_model("rnn_tanh", sequences, settings)
    found = gradient_by_lag(network, sequences, count=7)
    weights = {name: weight.detach().double() for name, weight in network.recurrent.named_parameters()}
    batch = sequences.held_out(7, number=2)
    hidden, states = torch.zeros(7, 5, dtype=torch.float64), list[torch.Tensor]()
    for values in batch.inputs.double():
        gates = values @ weights["weight_ih_l0"].T + hidden @ weights["weight_hh_l0"].T
        hidden = torch.tanh(gates + weights["bias_ih_l0"] + weights["bias_hh_l0"]).requires_grad_()
        states.append(hidden)
    outputs = network.output.double()(torch.stack(states))
    targets = batch.targets.double() if task == "adding" else batch.targets
    gradients = torch.autograd.grad(sequences.last_loss(outputs, targets), states)
    by_lag = torch.stack(gradients).norm(dim=-1).mean(dim=1).flip(0)
    assert found[1] == 1
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), by_lag / by_lag[1])


def test_the_gradient_of_a_small_recurrent_matrix_vanishes_and_that_of_chrono_gates_does_not() -> None:
    sequences = AddingProblem(100)
    uniform = Settings(recurrent_init="uniform", gate_init="uniform", length=100)
    plain = gradient_by_lag(build_model("rnn_tanh", sequences, uniform), sequences)
    gated = gradient_by_lag(build_model("gru", sequences, Settings(length=100)), sequences)
    assert plain[-1] < 1e-9
    assert gated[-1] > 1e-2


def test_gates_begin_as_the_settings_say() -> None:
    for gate_init, low, high in (("one", 1.0, 1.0), ("uniform", -0.5, 0.5), ("chrono", 0.0, 3.0)):
        settings = SHORT.replaced(gate_init=gate_init, hidden_size=8)
        layer = build_model("gru", AddingProblem(10), settings).recurrent
        bias: torch.Tensor = layer.weights(0)["bias_ih"][8:16]
        assert low <= float(bias.detach().min()) <= float(bias.detach().max()) <= high


def test_a_comparison_that_goes_on_ends_at_the_same_numbers(tmp_path: Path) -> None:
    settings = SHORT.replaced(cells="gru,rnn_tanh", steps=8, schedule="constant")
    whole = compare(settings)
    compare(settings.replaced(steps=4), output=tmp_path)
    longer = compare(settings, output=tmp_path, resume=True)
    for row, same in zip(longer.rows, whole.rows, strict=True):
        assert row.losses[-1] == same.losses[-1]
        assert row.gradient_before == same.gradient_before
    assert compare(settings, output=tmp_path, resume=True).rows == longer.rows
    with pytest.raises(ArgumentError, match="`length` stays as the run began"):
        compare(settings.replaced(length=11), output=tmp_path, resume=True)


def test_a_run_that_fails_is_told_and_the_others_go_on() -> None:
    comparison = compare(SHORT.replaced(cells="rnn_relu,gru", learning_rate=1e30, optimizer="sgd", clip=1e30))
    assert comparison.rows[0].failure is not None
    assert "at step" in comparison.rows[0].failure
    assert len(comparison.rows) == 2


def made(name: str, loss: float, gradient: tuple[float, ...], solved_at: int | None = None) -> CellResult:
    return CellResult(name, 10, loss, 0.5, solved_at, ((10, loss),), gradient, gradient, 1.0)


def test_the_words_say_what_the_numbers_are() -> None:
    rows = (
        made("gru", 1e-4, (1.0, 0.8, 0.6, 0.42), 10),
        made("rnn_tanh", 0.166, (1.0, 0.05, 0.004, 2e-5)),
        made("rnn_logistic", 0.167, (1.0, 0.002, 1e-5, 1e-8)),
    )
    text = " ".join(explain(Comparison("adding", 4, 1 / 6, "mean squared error", rows)))
    assert "over 3 steps in rnn_tanh and rnn_logistic: in rnn_tanh that little is left after 2, and 2e-05" in text
    assert "In gru more than that comes back all the way: 42 %." in text
    assert "gru solved the task, after 10 updates." in text
    assert "rnn_tanh and rnn_logistic are no better than a guess (0.1667)." in text
    assert [row.reach for row in rows] == [None, 2, 2]


def test_the_command_prints_a_table_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--cells", "gru,rnn_tanh", "--length", "10", "--steps", "2", "--hidden-size", "4", "--device", "cpu")
    picture = tmp_path / "dependencies.png"
    code, out, err = run(capsys, "bench", "dependencies", *small, "--task", "copy", "--figure", picture)
    assert code == 0
    assert "copy task over 10 steps" in out
    assert "rnn_tanh: guessing after" in err
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, err = run(capsys, "bench", "dependencies", *small, "--json", "--quiet", "-o", tmp_path / "kept")
    assert err == ""
    assert [row["model"] for row in json.loads(out)["rows"]] == ["gru", "rnn_tanh"]
    assert (tmp_path / "kept" / "gru" / "model.safetensors").exists()
    assert (tmp_path / "kept" / "dependencies.png").exists()
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(capsys, "bench", "dependencies", *small, "-o", tmp_path)
    assert (code, out) == (1, "")
    assert "is not empty; give a folder that is empty" in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cells", "gru,lstn"), "did you mean 'lstm'?"),
        (("--figure", "look.doc"), "`figure` must be a file that ends in .png or .svg or .pdf, got 'look.doc'"),
        (("--length", "3"), "`length` must be greater than or equal to 10"),
        (("--task", "adds"), "adds"),
        (("--resume",), "--resume needs --output"),
        (("--steps", "2", "--time-budget", "3s"), "give one of `epochs`, `steps` and `time_budget`"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(capsys, "bench", "dependencies", *arguments)
    assert code != 0
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
