from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d

from throughtime import _core
from throughtime.recurrence.filters import LEAST_INPUTS, CoreFilters, Filters, filters_of

sizes = st.integers(1, 7)
shapes = st.tuples(st.integers(0, 3), sizes, sizes, st.integers(1, 20), st.integers(1, 35), st.sampled_from([3, 5]))


@pytest.fixture(params=_core.instruction_sets(), scope="module")
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.instruction_set()
    _core.set_instruction_set(request.param)
    yield request.param
    _core.set_instruction_set(before)


def randn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype)


def convolved(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return conv2d(values.movedim(-1, 1), weight, bias, padding=weight.shape[-1] // 2).movedim(1, -1)


@settings(max_examples=40)
@given(shape=shapes, threads=st.sampled_from([1, 3]))
def test_filters_and_their_derivatives_are_those_of_a_convolution(
    instruction_set: str, shape: tuple[int, ...], threads: int
) -> None:
    pictures, height, width, inputs, outputs, kernel = shape
    torch.manual_seed(0)
    values = randn(pictures, height, width, inputs).requires_grad_()
    weight, bias = randn(outputs, inputs, kernel, kernel).requires_grad_(), randn(outputs)
    expected = convolved(values, weight)
    derivatives = torch.randn_like(expected).contiguous()
    of_values, of_weight = torch.autograd.grad(expected, (values, weight), derivatives)
    before, of_values_before = torch.randn_like(expected).contiguous(), torch.randn_like(values)
    torch.set_num_threads(threads)
    with torch.no_grad():
        filters = CoreFilters(weight)
        found, of_values_found = before.clone(), of_values_before.clone()
        filters.add_product(values, found)
        filters.add_values_derivative(derivatives, of_values_found)
        pairs = [
            (filters.product(values, bias), expected + bias),
            (filters.product(values, None), expected),
            (found, before + expected),
            (filters.values_derivative(derivatives), of_values),
            (of_values_found, of_values_before + of_values),
            (filters.weight_derivative(values, derivatives), of_weight),
        ]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("kernel", "limit"), [(3, 2e-6), (5, 1e-5)])
def test_rounding_errors_are_those_of_single_precision(instruction_set: str, kernel: int, limit: float) -> None:
    torch.manual_seed(1)
    values, weight = randn(4, 12, 12, 64, dtype=torch.float32), randn(96, 64, kernel, kernel, dtype=torch.float32)
    derivatives = randn(4, 12, 12, 96, dtype=torch.float32)

    x, w = values.double().requires_grad_(), weight.double().requires_grad_()
    result = convolved(x, w)
    expected = [result, *torch.autograd.grad(result, (x, w), derivatives.double())]
    filters = CoreFilters(weight)
    found = [filters.product(values, None), filters.values_derivative(derivatives)]
    found.append(filters.weight_derivative(values, derivatives))
    for own, exact in zip(found, expected, strict=True):
        assert (own - exact).abs().max() <= limit * exact.abs().max()


def test_threads_change_nothing() -> None:
    torch.manual_seed(2)
    values, weight = randn(3, 19, 18, 24, dtype=torch.float32), randn(40, 24, 3, 3, dtype=torch.float32)
    derivatives = randn(3, 19, 18, 40, dtype=torch.float32)
    results: list[tuple[Tensor, ...]] = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        filters = CoreFilters(weight)
        results.append(
            (
                filters.product(values, None),
                filters.values_derivative(derivatives),
                filters.weight_derivative(values, derivatives),
            )
        )
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((8, LEAST_INPUTS, 3, 3), torch.float32, CoreFilters),
        ((8, LEAST_INPUTS, 5, 5), torch.float64, CoreFilters),
        ((8, LEAST_INPUTS - 1, 3, 3), torch.float32, Filters),
        ((8, LEAST_INPUTS, 3, 5), torch.float32, Filters),
        ((8, LEAST_INPUTS, 7, 7), torch.float32, Filters),
        ((8, LEAST_INPUTS, 3), torch.float32, Filters),
        ((8, LEAST_INPUTS, 3, 3), torch.bfloat16, Filters),
    ],
)
def test_the_core_takes_what_it_is_for(shape: tuple[int, ...], dtype: torch.dtype, expected: type) -> None:
    assert type(filters_of(torch.zeros(shape, dtype=dtype))) is expected
