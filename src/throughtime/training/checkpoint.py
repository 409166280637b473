"""The state of a training run in one file: everything that the next step depends on, and no code.

The file is a safetensors file. Its tensors are the leaves of a tree of dicts, lists and tuples; the tree itself,
with its numbers and strings, is JSON in the header. Being a single file, it is replaced atomically.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from throughtime.errors import ModelFolderError
from throughtime.files import replacing

FORMAT_VERSION = 1


def save_tree(path: Path, tree: object) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings, booleans and None, atomically.

    Raises:
        TypeError: where a leaf is of another type.
        DiskFullError: where the disk is full; the file that stood there is untouched.
    """
    tensors: dict[str, Tensor] = {}
    structure = _describe(tree, tensors)
    header = {"format_version": str(FORMAT_VERSION), "tree": json.dumps(structure)}
    with replacing(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata=header)


def load_tree(path: Path) -> Any:
    """Read back what ``save_tree`` wrote; tensors come on the CPU.

    Raises:
        ModelFolderError: where the file is missing, damaged, or written by a newer version.
    """
    if not path.is_file():
        raise ModelFolderError(f"{path}: there is no such file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        version = int(header["format_version"])
        structure = json.loads(header["tree"])
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ModelFolderError(f"{path}: not a training state of throughtime, or damaged ({error})") from error
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{path}: written in format {version} by a newer throughtime; this one reads up to {FORMAT_VERSION}, "
            "so upgrade throughtime"
        )
    return _rebuild(structure, tensors)


def _describe(tree: object, tensors: dict[str, Tensor]) -> object:
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case Tensor():
            name = str(len(tensors))
            # A clone, because safetensors refuses tensors that share their memory.
            tensors[name] = tree.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {"tensor": name}
        case dict():
            pairs = cast("dict[object, object]", tree).items()
            return {"dict": [[_describe(key, tensors), _describe(value, tensors)] for key, value in pairs]}
        case list() | tuple():
            items = [_describe(item, tensors) for item in cast("list[object]", tree)]
            return {type(tree).__name__: items}
        case _:
            raise TypeError(f"a training state holds tensors and plain values only, got {type(tree).__name__}")


def _rebuild(structure: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    (kind, content) = next(iter(cast("dict[str, Any]", structure).items()))
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {_rebuild(key, tensors): _rebuild(value, tensors) for key, value in content}
        case "tuple":
            return tuple(_rebuild(item, tensors) for item in content)
        case _:
            return [_rebuild(item, tensors) for item in content]
