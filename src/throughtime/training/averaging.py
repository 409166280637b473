"""Averaging the weights of several checkpoints, which is often better than any of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from throughtime.errors import ModelFolderError
from throughtime.files import replacing


class Checkpoints:
    """The weights of a run's best validations, in a folder, until they are averaged (Junczys-Dowmunt et al. 2016).

    Args:
        folder: where; made when it is needed.
        most: how many are kept.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self.most = most

    def keep(self, network: nn.Module, step: int, score: float) -> None:
        """Keep the network's weights after so many steps, if they are among the best; higher scores are better."""
        self.folder.mkdir(exist_ok=True)
        with replacing(self.folder / f"{step:09d} {score:.9f}.safetensors") as temporary:
            safetensors.torch.save_file(_weights(network), temporary)
        for worse in sorted(self._files(), key=_score, reverse=True)[self.most :]:
            worse.unlink()

    def average(self, network: nn.Module, *, until: int) -> int:
        """Give the network the mean of the weights that were kept, in float64.

        Args:
            network: of the run.
            until: the run's last step; what a killed run left beyond it doesn't count.

        Returns:
            How many were averaged; with fewer than two the network is left as it is.
        """
        files = [file for file in self._files() if int(file.name.split()[0]) <= until]
        if len(files) < 2:
            return len(files)
        total: dict[str, Tensor] = {}
        for file in files:
            try:
                weights = safetensors.torch.load_file(file)
            except safetensors.SafetensorError as error:
                raise ModelFolderError(f"{file}: damaged ({error}); delete it, and it is left out") from error
            total = {name: weight.double() + total.get(name, 0) for name, weight in weights.items()}
        own = _weights(network)
        with torch.no_grad():
            for name, weight in total.items():
                own[name].copy_(weight / len(files))
        return len(files)

    def remove(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors")) if self.folder.is_dir() else []


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """Each weight once, also where the network uses it in several places."""
    return {name: weight.detach() for name, weight in network.named_parameters()}


def _score(file: Path) -> float:
    return float(file.stem.split()[1])
