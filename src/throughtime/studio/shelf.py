"""The models that the studio holds: which there are, in which state, and each loaded anew when it was trained on."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import TIMEOUT_MAX, Lock
from typing import TypeVar

from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.studio.refusals import RefusedError
from throughtime.tasks.loading import AnyModel, load
from throughtime.training import ModelFolder

Model = TypeVar("Model", bound=AnyModel)


class Entry:
    """A model folder.

    Attributes:
        name: by which requests ask for it.
        folder: where it stands.
        task: what it is for.
    """

    def __init__(self, name: str, folder: ModelFolder, device: str) -> None:
        self.name = name
        self.folder = folder
        self.task: str = folder.read_config()["task"]
        self._turn = Lock()
        self._next = Lock()
        self._device = device
        self._loading = Lock()
        self._model: AnyModel | None = None
        self._written: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there are weights; a run has none before its first validation."""
        return self.weights_written is not None

    @contextmanager
    def turn(self, seconds: float = TIMEOUT_MAX) -> Generator[None]:
        """Compute with the model alone.

        Whoever waits next stands at a lock of its own, so that one who comes again and again, as a writer does for each
        token, lets the other in between.

        Raises:
            TimeoutError: where it is not one's turn within some seconds.
        """
        deadline = time.monotonic() + seconds
        if not self._next.acquire(timeout=max(seconds, 0)):
            raise TimeoutError
        try:
            is_own = self._turn.acquire(timeout=max(deadline - time.monotonic(), 0))
        finally:
            self._next.release()
        if not is_own:
            raise TimeoutError
        try:
            yield
        finally:
            self._turn.release()

    def model(self) -> AnyModel:
        """The model with the newest weights in its folder.

        Raises:
            RefusedError: where there are none yet.
            ModelFolderError: where the folder can't be used.
        """
        with self._loading:
            written = self.weights_written
            if written is None:
                raise RefusedError(409, f"{self.name!r} has not reached its first validation, so it has no weights yet")
            if self._model is None or written != self._written:
                self._model = load(self.folder.path, device=self._device)
                self._written = written
            return self._model

    @property
    def weights_written(self) -> int | None:
        """When the newest weights were written, in nanoseconds; training states are no weights."""
        state = self.folder.state_file.name
        files = [path for path in self.folder.path.glob("*.safetensors") if path.name != state and path.name[0] != "."]
        return max((path.stat().st_mtime_ns for path in files), default=None)


class Shelf:
    """Model folders by their names.

    Args:
        folders: any number, of any tasks.
        device: where networks compute: auto, cpu, cuda, mps.

    Raises:
        ArgumentError: where there is no folder.
        ModelFolderError: where one is missing, damaged, foreign or of a newer format.
    """

    def __init__(self, folders: Sequence[Path | str], *, device: str = "auto") -> None:
        if not folders:
            raise ArgumentError("give at least one model folder to show")
        self.entries: dict[str, Entry] = {}
        for place, folder in {Path(folder).resolve(): folder for folder in folders}.items():
            name, number = place.name, 2
            while name in self.entries:
                name, number = f"{place.name}-{number}", number + 1
            self.entries[name] = Entry(name, ModelFolder(folder), device)
        for entry in self.entries.values():
            if entry.is_ready:
                entry.model()

    def entry(self, name: str | None, task: str | None = None) -> Entry:
        """The entry of a name; without a name, the only one for the task.

        Raises:
            RefusedError: where there is none, or several that may be meant, or it is for another task.
        """
        if name is None:
            fitting = [entry for entry in self.entries.values() if task is None or entry.task == task]
            if len(fitting) == 1:
                return fitting[0]
            if not fitting:
                raise RefusedError(404, f"the studio holds no model for {task}")
            raise RefusedError(422, f"`model` must be one of {', '.join(repr(one.name) for one in fitting)}")
        entry = self.entries.get(name)
        if entry is None:
            raise RefusedError(404, f"there is no model {name!r}; there are {', '.join(map(repr, self.entries))}")
        if task is not None and entry.task != task:
            raise RefusedError(409, f"{name!r} is a model for {entry.task}, which can't be asked for {task}")
        return entry

    @staticmethod
    def loaded(entry: Entry, kind: type[Model]) -> Model:
        """The model of an entry, which is of that kind.

        Raises:
            RefusedError: where it has no weights yet.
            ModelFolderError: where the folder can't be used.
        """
        model = entry.model()
        if not isinstance(model, kind):
            raise ModelFolderError(f"{entry.folder.path}: holds a {type(model).__name__}, not a {kind.__name__}")
        return model
