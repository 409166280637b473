"""The folder of a trained model: weights, settings and figures in open formats; nothing in it is executed.

model.safetensors            the weights with the best validation loss
config.json                  the task, its settings, the network's arguments, what the data was
preprocessing.json           how a network that looks at pictures reads them
answers.json                 the answers that a network chooses from, or the vocabulary that it writes them in
backbone.safetensors         the network that others trained, where there is one before it
metrics.jsonl                one JSON object a line: losses as training went
README.md                    the model card
training_state.safetensors   what a resumed run needs
tokens/                      the prepared data
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import nn

from throughtime.errors import ModelFolderError
from throughtime.files import replacing, write_text

FORMAT_VERSION = 1


class ModelFolder:
    """The files of one model."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.weights_file = self.path / "model.safetensors"
        self.tokenizer_file = self.path / "tokenizer.json"
        self.source_tokenizer_file = self.path / "source_tokenizer.json"
        self.target_tokenizer_file = self.path / "target_tokenizer.json"
        self.answers_file = self.path / "answers.json"
        self.preprocessing_file = self.path / "preprocessing.json"
        self.backbone_file = self.path / "backbone.safetensors"
        self.metrics_file = self.path / "metrics.jsonl"
        self.card_file = self.path / "README.md"
        self.figure_file = self.path / "loss.png"
        self.state_file = self.path / "training_state.safetensors"
        self.tokens = self.path / "tokens"
        self._made: list[Path] = []

    def create(self, *, may_exist: bool = False) -> None:
        """Make the folder for a new run.

        Args:
            may_exist: whether it may hold what a run left that was killed before it had begun.

        Raises:
            ModelFolderError: where something stands there already.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ModelFolderError(f"{self.path}: this is a file; give a folder that doesn't exist yet")
        if self.config_file.exists():
            raise ModelFolderError(
                f"{self.path}: holds a model already; go on with it by --resume, or give another folder"
            )
        if not may_exist and self.path.is_dir() and any(self.path.iterdir()):
            raise ModelFolderError(f"{self.path}: is not empty; give a folder that is empty or doesn't exist yet")
        self._made = [folder for folder in self.path.parents if not folder.exists()]
        try:
            self.tokens.mkdir(parents=True, exist_ok=may_exist)
        except OSError as error:
            raise ModelFolderError(f"{self.path}: cannot be created ({error.strerror})") from error

    def sweep(self) -> None:
        """Remove the unfinished files of a run that was killed while it wrote."""
        for unfinished in self.path.rglob(".*.tmp"):
            unfinished.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what ``create`` made and what was prepared in it, after a run that could not begin."""
        shutil.rmtree(self.tokens, ignore_errors=True)
        for file in self._prepared_files:
            file.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in (self.path, *self._made):
                folder.rmdir()

    def copy(self, target: ModelFolder) -> None:
        """Copy what a model is beside its weights, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already, or there is no model here.
        """
        self.read_config()
        target.create()
        target.tokens.rmdir()
        for file in (*self._prepared_files, self.config_file, self.card_file, self.metrics_file, self.figure_file):
            if file.exists():
                shutil.copyfile(file, target.path / file.name)

    @property
    def _prepared_files(self) -> tuple[Path, ...]:
        """What a task may write before training begins, and needs to use its model."""
        return (
            self.tokenizer_file,
            self.source_tokenizer_file,
            self.target_tokenizer_file,
            self.answers_file,
            self.preprocessing_file,
            self.backbone_file,
        )

    def write_config(self, task: str, content: Mapping[str, object]) -> None:
        """Write config.json; ``content`` is what the task needs to build its model again."""
        config = {"format_version": FORMAT_VERSION, "task": task, **content}
        write_text(self.config_file, json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def read_config(self) -> dict[str, Any]:
        """Read config.json.

        Raises:
            ModelFolderError: where the folder is missing, not a model of throughtime, damaged, or of a newer format.
        """
        if not self.path.is_dir():
            raise ModelFolderError(f"{self.path}: there is no such folder; give one that `train -o` wrote")
        if not self.config_file.is_file():
            raise ModelFolderError(f"{self.path}: has no config.json, so it is not a model folder of throughtime")
        try:
            config: object = json.loads(self.config_file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise ModelFolderError(f"{self.config_file}: damaged, cannot be read as JSON ({error})") from error
        if not isinstance(config, dict) or "task" not in config or "format_version" not in config:
            raise ModelFolderError(f"{self.config_file}: was not written by throughtime: it names no task")
        settings = cast("dict[str, Any]", config)
        version = settings["format_version"]
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise ModelFolderError(
                f"{self.config_file}: is in format {version}, this throughtime reads up to {FORMAT_VERSION}; "
                "upgrade throughtime"
            )
        return settings

    def save_weights(self, model: nn.Module) -> None:
        """Write model.safetensors; tensors that the model shares are written once."""
        with replacing(self.weights_file) as temporary:
            safetensors.torch.save_model(model, str(temporary))

    def load_weights(self, model: nn.Module, device: torch.device) -> None:
        """Read model.safetensors into a model built from the config.

        Raises:
            ModelFolderError: where the file is missing, damaged, or does not fit the config.
        """
        if not self.weights_file.is_file():
            raise ModelFolderError(
                f"{self.weights_file}: there is no such file; the run has not reached its first validation"
            )
        try:
            safetensors.torch.load_model(model, self.weights_file, device=str(device))
        except safetensors.SafetensorError as error:
            raise ModelFolderError(f"{self.weights_file}: damaged ({error})") from error
        except RuntimeError as error:
            # PyTorch lists all that differs, which may be hundreds of names.
            reason = shorten(str(error).splitlines()[-1].strip(), 200, placeholder=" ...")
            raise ModelFolderError(f"{self.weights_file}: does not fit {self.config_file.name}: {reason}") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the records of a metrics.jsonl; a last line that a kill cut short is left out."""
    records: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
    return records


def keep_metrics_until(path: Path, step: int) -> None:
    """Drop what a killed run logged after the checkpoint that it is resumed from."""
    kept = [record for record in read_metrics(path) if record["step"] <= step]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
