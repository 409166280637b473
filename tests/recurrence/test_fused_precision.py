"""How exact the native core's products are, for each setting of torch's precision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from cells.cell_cases import cell_of, skip_where_torch_has_no_autocast
from recurrence.test_fused import FUSED, draw, draw_direction, results, run_plainly
from throughtime import _core
from throughtime.recurrence import Direction, run_fused, run_torch
from throughtime.sequence import SequenceBatch

needs_bfloat16 = pytest.mark.skipif(
    _core.bfloat16_instruction_set() is None, reason="this processor does not multiply bfloat16"
)

# Of values of size 1: one rounding to bfloat16 is 2^-9, sums of many roundings are some of them; two parts leave 2^-17,
# three 2^-25, below float32's own 2^-24.
LIMITS = {"highest": 3e-6, "high": 5e-5, "medium": 5e-2}


@pytest.fixture
def precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(params=_core.bfloat16_instruction_sets())
def bfloat16_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.bfloat16_instruction_set()
    _core.set_bfloat16_instruction_set(request.param)
    yield request.param
    if before is not None:
        _core.set_bfloat16_instruction_set(before)


def in_float32(direction: Direction) -> Direction:
    weights = {name: weight.detach().float().requires_grad_() for name, weight in direction.weights.items()}
    state = tuple(part.detach().float().requires_grad_() for part in direction.state or ())
    return Direction(weights, state, direction.reverse)


def worst(have: list[tuple[str, Tensor]], want: list[tuple[str, Tensor]]) -> float:
    """The greatest error, relative to the greatest value of the same tensor."""
    pairs = [(ours.double(), theirs) for (_, ours), (_, theirs) in zip(have, want, strict=True)]
    return max(((ours - theirs).abs().max() / theirs.abs().max()).item() for ours, theirs in pairs)


@needs_bfloat16
@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("batch", [16, 41])
@pytest.mark.parametrize("variant", FUSED)
def test_products_are_as_exact_as_torchs_precision_asks(bfloat16_set: str, variant: str, batch: int) -> None:
    torch.manual_seed(1)
    cell, sizes = cell_of(variant), (6, batch, 35, 70)
    directions = [draw_direction(cell, sizes, reverse=reverse, bias=True, masks=()) for reverse in (False, True)]
    values, lengths = draw(*sizes[:3]), torch.randint(1, 7, (batch,))
    want = results(run_plainly, cell, SequenceBatch(values, lengths), directions)
    errors: list[float] = []
    for setting, limit in LIMITS.items():
        torch.set_float32_matmul_precision(setting)
        single = SequenceBatch(values.detach().float().requires_grad_(), lengths)
        own = [in_float32(direction) for direction in directions]
        errors.append(worst(results(run_fused, cell, single, own), want))
        assert errors[-1] < limit
    assert max(errors[:2]) < errors[2] / 10
    # Products of two parts are float32's where three of bfloat16 would be no faster.
    assert (errors[0] < errors[1]) == (bfloat16_set == "amx")


@needs_bfloat16
@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("variant", ["lstm", "gru_reset_before"])
def test_rows_in_bfloat16_depend_on_nothing_beside_them(bfloat16_set: str, variant: str) -> None:
    """Neither on how many there are, but that tiles with few rows are float32's, nor on the number of threads."""
    torch.manual_seed(3)
    torch.set_float32_matmul_precision("medium")
    cell = cell_of(variant)
    direction = in_float32(draw_direction(cell, (9, 25, 20, 50), reverse=False, bias=True, masks=()))
    values, threads = draw(9, 25, 20).detach().float(), torch.get_num_threads()

    def outputs(rows: int) -> Tensor:
        state = tuple(part[:rows] for part in direction.state or ())
        own = Direction(direction.weights, state)
        return run_fused(cell, SequenceBatch(values[:, :rows]), [own])[0].values

    try:
        torch.set_num_threads(3)
        together = outputs(25)
        torch.set_num_threads(1)
        fewest = 1 if bfloat16_set == "avx512_bf16" else 8
        assert torch.equal(outputs(fewest), together[:, :fewest])
    finally:
        torch.set_num_threads(threads)


@needs_bfloat16
@pytest.mark.usefixtures("precision")
def test_a_single_step_is_not_rounded_to_bfloat16() -> None:
    """Packing the weights for it would take longer than the step."""
    torch.set_float32_matmul_precision("medium")
    cell = cell_of("lstm")
    direction = in_float32(draw_direction(cell, (1, 1, 40, 64), reverse=False, bias=True, masks=()))
    values = draw(1, 1, 40).detach().float()
    output, _ = run_fused(cell, SequenceBatch(values), [direction])
    torch.set_float32_matmul_precision("highest")
    assert torch.equal(output.values, run_fused(cell, SequenceBatch(values), [direction])[0].values)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize("variant", ["rnn_tanh", "lstm", "gru", "lstm_projected"])
def test_autocast_gives_torchs_dtype_and_no_more_than_its_error(variant: str, batch: int) -> None:
    skip_where_torch_has_no_autocast(variant)
    torch.manual_seed(2)
    cell, sizes = cell_of(variant), (8, batch, 40, 64)
    direction = draw_direction(cell, sizes, reverse=False, bias=True, masks=())
    values = draw(*sizes[:3])
    want = results(run_plainly, cell, SequenceBatch(values), [direction])
    errors: list[float] = []
    dtypes: list[list[torch.dtype]] = []
    for run in (run_fused, run_torch):
        single = SequenceBatch(values.detach().float().requires_grad_())
        own = in_float32(direction)
        with torch.autocast("cpu", torch.bfloat16):
            output, (final,) = run(cell, single, [own])
        dtypes.append([part.dtype for part in (output.values, *final)])
        loss = (output.values.float() ** 2).sum() + sum((part.float() ** 3).sum() for part in final)
        inputs = [single.values, *own.weights.values(), *(own.state or ())]
        have = [output.values, *final, *torch.autograd.grad(loss, inputs)]
        errors.append(worst([("", part) for part in have], want))
    assert dtypes[0] == dtypes[1]
    assert errors[0] <= 1.1 * errors[1]


def test_a_float64_layer_stays_one_under_autocast() -> None:
    cell = cell_of("gru")
    direction = draw_direction(cell, (3, 20, 4, 5), reverse=False, bias=True, masks=())
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = run_fused(cell, SequenceBatch(draw(3, 20, 4)), [direction])
    assert output.values.dtype == torch.float64
