"""What the models of all tasks that train a network are: the network, its settings, its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Self, TypeVar

import torch
from torch import nn

from throughtime.tasks.network_training import Run, TrainingSettings
from throughtime.training import ModelFolder

Network = TypeVar("Network", bound=nn.Module)
NetworkSettings = TypeVar("NetworkSettings", bound=TrainingSettings)


class TrainedModel(Generic[Network, NetworkSettings]):
    """A network that was trained, ready to be used.

    Attributes:
        network: in evaluation mode, on its device.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(self, network: Network, settings: NetworkSettings, folder: ModelFolder, device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.settings = settings
        self.folder = folder
        self.device = device
        self.is_main = True

    def finish(self, run: Run, write_card: Callable[[], None]) -> Self:
        """Take the best weights of the run that trained it, and let one process write the card."""
        self.folder.load_weights(self.network, self.device)
        self.is_main = run.processes.is_main
        if self.is_main:
            write_card()
        run.processes.wait()
        return self

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already, or the model's own folder is gone.
        """
        target = ModelFolder(folder)
        self.folder.copy(target)
        target.save_weights(self.network)
