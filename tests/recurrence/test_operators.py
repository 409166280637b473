"""The native core in graphs: operators by torch's own checks, compiled and exported layers against eager ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, ExportedProgram, export
from torch.library import opcheck
from torch.nn import Module

from cells.cell_cases import LENGTHS, VARIANTS, cell_of, random_sequence, random_state, random_weights
from throughtime import _core, nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.recurrence import Direction
from throughtime.recurrence.operators import operator_arguments
from throughtime.sequence import SequenceBatch

OPERATORS = torch.ops.throughtime
TIME, BATCH, INPUT, HIDDEN = 6, 4, 3, 5
Layer = Callable[[], Module]


@pytest.fixture(autouse=True)
def _no_graphs_of_other_tests() -> None:  # pyright: ignore[reportUnusedFunction]
    torch.compiler.reset()


def arguments(
    variant: str, dtype: torch.dtype, *, ragged: bool = False, masked: bool = False, bidirectional: bool = False
) -> tuple[Any, ...]:
    cell, sequence = cell_of(variant), random_sequence(ragged=ragged)
    time, batch, _ = sequence.values.shape
    reset = torch.rand(time, batch) < 0.3 if masked else None

    def typed(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype).requires_grad_()

    directions: list[Direction] = []
    for reverse in (False, True) if bidirectional else (False,):
        weights = {name: typed(weight) for name, weight in random_weights(cell).items()}
        state = tuple(typed(part) for part in random_state(cell))
        dropout = torch.rand_like(state[0]) if masked else None
        zoneout = tuple(torch.rand(time, *part.shape, dtype=dtype) for part in state) if masked else ()
        clip = 0.01 if masked else None
        directions.append(Direction(weights, state, reverse, dropout, None, zoneout, reset, gradient_clip=clip))
    return operator_arguments(cell, SequenceBatch(typed(sequence.values), sequence.lengths), directions)


@pytest.mark.parametrize("variant", VARIANTS)
def test_torchs_checks_of_every_cell(variant: str) -> None:
    opcheck(OPERATORS.forward.default, arguments(variant, torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_checks_of_every_argument_and_both_passes(dtype: torch.dtype) -> None:
    given = arguments("lstm", dtype, ragged=True, masked=True, bidirectional=True)
    opcheck(OPERATORS.forward.default, given)
    values, tensors, *others = given
    given = (values.detach(), [None if tensor is None else tensor.detach() for tensor in tensors], *others)
    # What is saved is not compared: in the padding it is what the memory was.
    opcheck(OPERATORS.forward_saving.default, given, test_utils=("test_schema", "test_faketensor"))
    results, saved = OPERATORS.forward_saving(*given)
    gradients = [torch.randn_like(result) for result in results]
    needed = [True, *(tensor is not None for tensor in given[1])]
    opcheck(OPERATORS.backward.default, (*given, results[0], saved, gradients, needed))


def test_gradients_of_gradients_are_the_references() -> None:
    values, tensors, *others = arguments("gru", torch.float64, ragged=True, bidirectional=True)
    places = [place for place, tensor in enumerate(tensors) if tensor is not None]

    def function(values: Tensor, *given: Tensor) -> list[Tensor]:
        flat = list(tensors)
        for place, tensor in zip(places, given, strict=True):
            flat[place] = tensor
        return OPERATORS.forward(values, flat, *others)

    inputs = (values, *(tensors[place] for place in places))
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize(
    ("place", "value", "error", "message"),
    [
        (0, torch.zeros(0, 4, 3), ArgumentError, "`values` must have at least one time step, got none"),
        (2, torch.tensor([1, 6, 1, 1]), ArgumentError, r"`lengths` must lie between 1 and 5, got \[1, 6, 1, 1\]"),
        (-1, 99, BackendError, "this graph was made by another version of throughtime; compile or export it anew"),
    ],
)
def test_what_a_graph_brings_is_checked(place: int, value: object, error: type[Exception], message: str) -> None:
    given = list(arguments("gru", torch.float32))
    given[place] = value
    with pytest.raises(error, match=message):
        OPERATORS.forward(*given)


def values(*, time: int = TIME, batch: int = BATCH) -> Tensor:
    return torch.randn(time, batch, INPUT, dtype=torch.float64, requires_grad=True)


def flat(outcome: Any) -> list[Tensor]:
    output, final = outcome
    return [output, *([final] if isinstance(final, Tensor) else final)]


def results(layer: Module, run: Callable[..., Any], x: Tensor, **options: Any) -> list[Tensor]:
    """Outputs, final states and all gradients, with the same random numbers each time."""
    torch.manual_seed(1)
    parts = flat(run(x, **options))
    loss = torch.stack([part.square().sum() for part in parts]).sum()
    return [*parts, *torch.autograd.grad(loss, [x, *layer.parameters()])]


REGULARISED: dict[str, Any] = {
    "recurrent_dropout": 0.3, "candidate_dropout": 0.2, "zoneout": (0.2, 0.1), "weight_dropout": 0.2,
    "input_dropout": 0.2, "output_dropout": 0.2,
}  # fmt: skip
LAYERS: dict[str, tuple[Layer, dict[str, Any]]] = {
    "lstm": (lambda: nn.LSTM(INPUT, HIDDEN), {}),
    "full peepholes": (lambda: nn.Recurrent("lstm_peephole_full", INPUT, HIDDEN), {}),
    "projected": (lambda: nn.LSTM(INPUT, HIDDEN, proj_size=2, bidirectional=True), {}),
    "stacked": (lambda: nn.GRU(INPUT, HIDDEN, num_layers=2, bidirectional=True, dropout=0.5, batch_first=True), {}),
    "regularised": (lambda: nn.LSTM(INPUT, HIDDEN, **REGULARISED), {}),
    "clipped": (lambda: nn.LSTM(INPUT, HIDDEN, gradient_clip=0.01), {}),
    "evaluated": (lambda: nn.LSTM(INPUT, HIDDEN, **REGULARISED).eval(), {}),
    "frozen": (lambda: nn.LSTM(INPUT, HIDDEN, gate_biases={"forget": 1.0}, freeze_gate_biases=True), {}),
    "ragged": (lambda: nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True, dropout=0.5), {"lengths": LENGTHS}),
    "reset": (lambda: nn.RNN(INPUT, HIDDEN, backend="fused"), {"reset": torch.rand(TIME, BATCH) < 0.3}),
    "from a state": (lambda: nn.GRU(INPUT, HIDDEN), {"hx": torch.randn(1, BATCH, HIDDEN, dtype=torch.float64)}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_layer_is_the_eager_one(name: str) -> None:
    make, options = LAYERS[name]
    layer, x = make().double(), values()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    want, have = results(layer, layer, x, **options), results(layer, compiled, x, **options)
    torch.testing.assert_close(have, want, rtol=0, atol=0)
    assert layer.last_backend == "fused"


def test_two_graphs_do_for_all_sizes() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    layer = nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)
    compiled = torch.compile(layer, fullgraph=True, backend=counter)
    for time, batch in ((6, 4), (7, 5), (9, 20), (3, 2), (12, 33)):
        x = values(time=time, batch=batch)
        torch.testing.assert_close(results(layer, compiled, x), results(layer, layer, x), rtol=0, atol=0)
    assert counter.frame_count == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_comes_into_the_graph(dtype: torch.dtype) -> None:
    layer, x = nn.GRU(40, 64), torch.randn(5, 16, 40)

    def run(x: Tensor) -> Any:
        with torch.autocast("cpu", dtype):
            return layer(x)

    want, have = flat(run(x)), flat(torch.compile(run, fullgraph=True, backend="aot_eager")(x))
    torch.testing.assert_close(have, want, rtol=0, atol=0)
    # float16's products are those of two bfloat16 parts, or float32's where those would be no faster.
    differs = {"amx", "avx512_bf16"} if dtype == torch.bfloat16 else {"amx"}
    assert torch.equal(want[0], layer(x)[0]) != (_core.bfloat16_instruction_set() in differs)


def exported(layer: Module, **options: tuple[Any, Any]) -> ExportedProgram:
    """Export for any batch and time; ``options`` are examples and which of their axes are free."""
    examples = {name: example for name, (example, _) in options.items()}
    axes = {name: free for name, (_, free) in options.items()}
    shapes = {"input": {0: Dim("time"), 1: Dim("batch")}, **axes}
    return export(layer, (values(),), examples, dynamic_shapes=shapes)


SIZES = [(6, 4), (1, 1), (9, 1), (1, 7), (3, 40)]


def test_an_exported_layer_runs_on_other_sizes_and_trains() -> None:
    layer = nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True, dtype=torch.float64)
    program = exported(layer, lengths=(LENGTHS, {0: Dim("batch")}))
    held = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert held.count(OPERATORS.forward.default) == 2
    assert OPERATORS.forward_saving.default not in held
    module = program.module()
    for time, batch in SIZES:
        x, lengths = values(time=time, batch=batch), torch.randint(1, time + 1, (batch,))
        have, want = results(module, module, x, lengths=lengths), results(layer, layer, x, lengths=lengths)
        torch.testing.assert_close(have, want, rtol=0, atol=0)
    with pytest.raises(ArgumentError, match=r"`lengths` must lie between 1 and 6, got \[1, 7, 1, 1\]"):
        module(values(), lengths=torch.tensor([1, 7, 1, 1]))


def test_an_exported_layer_takes_states_and_resets_of_any_size() -> None:
    layer = nn.GRU(INPUT, HIDDEN, dtype=torch.float64)
    dims = {0: Dim("time"), 1: Dim("batch")}
    state, reset = torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64), torch.rand(TIME, BATCH) < 0.3
    module = exported(layer, hx=(state, {1: dims[1]}), reset=(reset, dims)).module()
    for time, batch in SIZES:
        options = {
            "hx": torch.randn(1, batch, HIDDEN, dtype=torch.float64),
            "reset": torch.rand(time, batch) < 0.3,
        }
        x = values(time=time, batch=batch)
        torch.testing.assert_close(flat(module(x, **options)), flat(layer(x, **options)), rtol=0, atol=0)


def test_gradients_of_hidden_states_are_not_recorded_in_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.LSTM(INPUT, HIDDEN, backend="fused", dtype=torch.float64)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    message = "the native core records no gradients of hidden states in a graph"
    with nn.record_gradient_norms(layer), pytest.raises(BackendError, match=message):
        layer(values())


def test_fake_tensors_go_through() -> None:
    with FakeTensorMode():
        output, (hidden, _) = nn.LSTM(INPUT, HIDDEN, bidirectional=True)(torch.empty(TIME, BATCH, INPUT))
    assert output.shape == (TIME, BATCH, 2 * HIDDEN)
    assert hidden.shape == (2, BATCH, HIDDEN)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torch_jit_is_refused() -> None:
    with pytest.raises(BackendError, match=r"does not run under torch\.jit, but under torch\.export"):
        torch.jit.trace(nn.LSTM(INPUT, HIDDEN, backend="fused"), (torch.zeros(TIME, BATCH, INPUT),))
