from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from throughtime.errors import ModelFolderError
from throughtime.training import load_tree, save_tree

TENSORS = st.sampled_from(
    [
        torch.tensor(3.5, dtype=torch.float64),
        torch.randn(2, 3),
        torch.randn(4, 3).T,
        torch.arange(5, dtype=torch.uint8),
        torch.randn(3).bfloat16(),
        torch.zeros(0, 2),
    ]
)
LEAVES = TENSORS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(two, Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return type(two) is dict and list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@given(tree=TREES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_comes_back_as_it_was(tree: Any, tmp_path: Path) -> None:
    save_tree(tmp_path / "state.safetensors", tree)
    assert same(tree, load_tree(tmp_path / "state.safetensors"))


def test_an_optimizer_resumes_from_its_tree(tmp_path: Path) -> None:
    def run(steps: int, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        weight = torch.nn.Parameter(torch.ones(3) if state is None else state["weight"].clone())
        optimizer = torch.optim.AdamW([weight], lr=0.1)
        if state is not None:
            optimizer.load_state_dict(state["optimizer"])
        for _ in range(steps):
            weight.square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        return weight.detach(), {"weight": weight.detach(), "optimizer": optimizer.state_dict()}

    whole, _ = run(7)
    _, state = run(3)
    save_tree(tmp_path / "state.safetensors", state)
    resumed, _ = run(4, load_tree(tmp_path / "state.safetensors"))
    assert torch.equal(whole, resumed)


def test_tensors_that_share_memory_can_be_saved(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_tree(tmp_path / "state.safetensors", [whole, whole[2:4], whole])
    assert load_tree(tmp_path / "state.safetensors")[1].tolist() == [2.0, 3.0]


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="tensors and plain values only, got"):
        save_tree(tmp_path / "state.safetensors", {"path": tmp_path})
    assert not (tmp_path / "state.safetensors").exists()


def test_what_is_no_training_state_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(ModelFolderError, match="there is no such file"):
        load_tree(path)
    path.write_bytes(b"garbage")
    with pytest.raises(ModelFolderError, match="not a training state of throughtime, or damaged"):
        load_tree(path)
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    with pytest.raises(ModelFolderError, match="not a training state of throughtime, or damaged"):
        load_tree(path)
    header = {"format_version": "2", "tree": json.dumps(None)}
    safetensors.torch.save_file({}, path, metadata=header)
    with pytest.raises(ModelFolderError, match="written in format 2 by a newer throughtime; this one reads up to 1"):
        load_tree(path)
    save_tree(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFolderError, match="damaged"):
        load_tree(path)
