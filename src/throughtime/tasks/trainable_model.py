"""A model whose training is a run in a folder: begun anew or resumed, the same steps for every task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch

from throughtime.errors import ArgumentError
from throughtime.tasks.model_runs import in_model_folder, new_folder, read_settings, resumed_settings, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.trained_model import Network, NetworkSettings, TrainedModel
from throughtime.training import Display, ModelFolder, choose_device

Examples = TypeVar("Examples")


class TrainableModel(TrainedModel[Network, NetworkSettings], ABC, Generic[Network, NetworkSettings, Examples]):
    """A trained model of a task; a subclass says what its data and its network are.

    Attributes:
        TASK: what the config of its model folder calls it.
        SETTINGS: the class of its settings.
        WANTED: what there is to give where nothing was given to learn from.
        PREPARE: reads the data that is given and writes it into the folder of a run, as its settings say.
        OPEN: opens what ``PREPARE`` wrote, in a folder, as the settings say.
        FIT: trains a network on that data; the folder keeps its best weights, the log and what a resumed run needs.
        CARD: writes its model card, from the folder, the settings, the data and the network.
    """

    TASK: ClassVar[str]
    SETTINGS: ClassVar[Any]
    WANTED: ClassVar[str]
    PREPARE: ClassVar[Callable[[Sequence[Any], Any, Run], None]]
    OPEN: ClassVar[Callable[[ModelFolder, Any], Any]]
    FIT: ClassVar[Callable[[Any, Any, Any, Run], object]]
    CARD: ClassVar[Callable[[ModelFolder, Any, Any, Any], None]]

    @classmethod
    def fit(
        cls,
        *data: Examples | Path | str,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a model on the task's examples.

        Args:
            *data: files, folders, or examples; files and folders named train, valid and test are those parts.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the data is then not needed.
            display: shows progress; nothing is shown if None.
            **settings: see ``SETTINGS``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the data can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(data, cls.SETTINGS.of(settings), output=output, resume=resume, display=display)

    @classmethod
    def train(
        cls,
        data: Sequence[Any],
        settings: NetworkSettings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(data, settings, folder, resume, display))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, cls.TASK, cls.SETTINGS)
        chosen = choose_device(device)
        parts = cls._read_parts(place, settings)
        network = cls._built(settings, parts)
        place.load_weights(network, chosen)
        return cls._of(network, parts, settings, place, chosen)

    @classmethod
    def _train(
        cls, sources: Sequence[Any], settings: Any, folder: ModelFolder, resume: bool, display: Display | None
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                # The command that began a run, with --resume added, goes on with it.
                if sources:
                    run.display.line(f"going on with what was prepared in {folder.tokens}")
                settings = resumed_settings(folder, cls.TASK, settings)
                data = cls.OPEN(folder, settings)
                network = cls._network(settings, data, run)
            else:
                settings, data, network = cls._begin(sources, settings, run)
            cls.FIT(network, data, settings, run)
        return cls._made(network, data, settings, run)

    @classmethod
    def _begin(cls, sources: Sequence[Any], settings: Any, run: Run) -> tuple[Any, Any, Any]:
        """Prepare a new run: its folder, data, settings and network."""
        if not sources:
            missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there is nothing to learn from"
            raise ArgumentError(f"{missing}; give {cls.WANTED}, or --sample")
        settings = cls._checked(settings, run)
        with new_folder(run.folder, run.processes, may_exist=run.resume):
            if run.processes.is_main:
                cls.PREPARE(sources, settings, run)
            run.processes.wait()
            data = cls.OPEN(run.folder, settings)
            settings, network = cls._fresh(data, settings, run)
        if run.processes.is_main:
            write_settings(run.folder, cls.TASK, settings, **cls._config(data))
        run.processes.wait()
        run.display.line(cls._told(network, data, settings))
        return settings, data, network

    @classmethod
    def _checked(cls, settings: NetworkSettings, run: Run) -> NetworkSettings:
        """The settings, after a look at what they name and at where the run takes place."""
        return settings

    @classmethod
    @abstractmethod
    def _parts(cls, data: Any) -> tuple[Any, ...]:
        """What its model has beside the network, such as a vocabulary, as its constructor takes it."""

    @classmethod
    @abstractmethod
    def _read_parts(cls, folder: ModelFolder, settings: Any) -> tuple[Any, ...]:
        """The same, of a saved model."""

    @classmethod
    @abstractmethod
    def _built(cls, settings: NetworkSettings, parts: tuple[Any, ...]) -> Network:
        """The network with fresh weights."""

    @classmethod
    def _network(cls, settings: NetworkSettings, data: Any, run: Run) -> Network:
        """The network for the data, on the run's device; its weights are the same for the same seed."""
        torch.manual_seed(settings.seed)
        return cls._built(settings, cls._parts(data)).to(run.processes.device)

    @classmethod
    @abstractmethod
    def _fresh(cls, data: Any, settings: NetworkSettings, run: Run) -> tuple[NetworkSettings, Network]:
        """Complete the settings, and make the network with the weights that training starts from."""

    @classmethod
    def _config(cls, data: Any) -> Mapping[str, object]:
        """What the model folder's config needs beside the settings."""
        return {}

    @classmethod
    @abstractmethod
    def _told(cls, network: Network, data: Any, settings: NetworkSettings) -> str:
        """What the network is, for people to read."""

    @classmethod
    def _made(cls, network: Network, data: Any, settings: NetworkSettings, run: Run) -> Self:
        model = cls._of(network, cls._parts(data), settings, run.folder, run.processes.device)
        return model.finish(run, lambda: cls.CARD(run.folder, settings, data, network))

    @classmethod
    def _of(
        cls, network: Network, parts: tuple[Any, ...], settings: Any, folder: ModelFolder, device: torch.device
    ) -> Self:
        constructor = cast("Callable[..., Self]", cls)
        return constructor(network, *parts, settings, folder, device)
