"""An image classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from throughtime.data import PARTS, Frames, ImageColumns, LabelledImages, Picture, find_images
from throughtime.errors import ArgumentError, check_choice
from throughtime.models import ImageClassifier as Network
from throughtime.models import ImageEncoder
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import Evaluation, evaluate_probabilities, most_frequent
from throughtime.tasks.classification_training import saved_targets, scores_of
from throughtime.tasks.image_classification import (
    TASK,
    ClassifiedImages,
    Settings,
    build_model,
    enough_epochs,
    first_encoder,
    fit,
    load_data,
    open_data,
    own_encoder,
    predict,
)
from throughtime.tasks.image_features import PictureReader, nearest_pictures, open_pictures
from throughtime.tasks.model_card import image_classifier_card
from throughtime.tasks.model_runs import (
    in_model_folder,
    new_folder,
    read_settings,
    resumed_settings,
    save_copy,
    write_settings,
)
from throughtime.tasks.network_training import Run
from throughtime.tasks.trained_model import TrainedModel
from throughtime.training import Display, ModelFolder, choose_device, choose_precision

AT_ONCE = 256


@dataclass(frozen=True)
class ImagePrediction:
    """What a classifier says about a picture.

    Attributes:
        labels: the likeliest class; where a picture may have several, each that is likelier than not.
        probabilities: of all classes, by name.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]


class ImageClassifier(TrainedModel[Network, Settings]):
    """A trained image classifier.

    Attributes:
        network: gives a score for each class.
        reader: from pictures to what the network gets.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(
        self,
        network: Network,
        reader: PictureReader,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.reader = reader
        self.targets = targets

    @classmethod
    def fit(
        cls,
        *data: LabelledImages | Path | str,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a classifier on labelled pictures.

        Args:
            *data: files, folders, or ``LabelledImages``; see ``find_images``.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the data is then not needed.
            display: shows progress; nothing is shown if None.
            **settings: see ``Settings``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the data can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(data, Settings.of(settings), output=output, resume=resume, display=display)

    @classmethod
    def train(
        cls,
        data: Sequence[LabelledImages | Path | str],
        settings: Settings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(data, settings, folder, resume, display))

    @classmethod
    def _train(
        cls,
        sources: Sequence[LabelledImages | Path | str],
        settings: Settings,
        folder: ModelFolder,
        resume: bool,
        display: Display | None,
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                if sources:
                    run.display.line(f"going on with the pictures that were prepared in {folder.tokens}")
                settings = resumed_settings(folder, TASK, settings)
                data = open_data(folder, PictureReader.load(folder), settings)
                torch.manual_seed(settings.seed)
                network = _network(first_encoder(data.reader, settings, folder), data, settings, run)
            else:
                settings, data, network = _begin(sources, settings, run)
            fit(network, data, settings, run)
        model = cls(network, data.reader, data.targets, settings, folder, run.processes.device)
        return model.finish(run, lambda: image_classifier_card(folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets = saved_targets(place, settings)
        chosen = choose_device(device)
        reader = PictureReader.load(place)
        network = build_model(settings, own_encoder(reader, settings), len(targets.classes))
        place.load_weights(network, chosen)
        return cls(network, reader, targets, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        _write_settings(target, self.settings, self.reader, self.targets)

    @property
    def name(self) -> str:
        """The layers and their sizes, for tables."""
        return self.settings.layers

    def predict(self, pictures: Sequence[Picture | str]) -> list[ImagePrediction]:
        """Classify pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).

        Raises:
            ArgumentError: where one picture's name is given in place of a list.
            DataError: naming the picture, where one can't be read.
        """
        if isinstance(pictures, str | Path):
            raise ArgumentError("`pictures` must be a list of pictures, got one name")
        if not pictures:
            return []
        own = [Path(picture) if isinstance(picture, str) else picture for picture in pictures]
        places = [str(one) if isinstance(one, Path) else f"pictures[{row}]" for row, one in enumerate(own)]
        probabilities = self._probabilities(own, places)
        names = self.targets.names(self.targets.likely(probabilities))
        return [
            ImagePrediction(labels, dict(zip(self.targets.classes, row, strict=True)))
            for labels, row in zip(names, probabilities.tolist(), strict=True)
        ]

    def evaluate(
        self,
        *data: LabelledImages | Path | str,
        part: str | None = None,
        columns: ImageColumns | None = None,
        baselines: bool = True,
    ) -> Evaluation:
        """How well the model classifies, beside the most frequent class and the nearest picture.

        Args:
            *data: files, folders, or ``LabelledImages``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            columns: where the rows of a table have picture and label; as in the training data by default.
            baselines: whether the other models are shown.

        Raises:
            DataError: where the data can't be read or has a class that the model doesn't know.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        if data:
            images = self._found(data, part, columns)
            places = [example.place for example in images.examples]
            inputs = Frames(self.reader.inputs(images.pictures, places).numpy())
        else:
            images = LabelledImages.load(self.folder.tokens / f"{part or 'valid'}.jsonl", part or "valid")
            inputs = open_pictures(self.folder, part or "valid")
        scores = scores_of(self.network, inputs, precision="32", device=self.device)
        beside = self._beside(inputs) if baselines and (self.folder.tokens / "train.jsonl").exists() else {}
        probabilities = self.targets.probabilities(scores)
        return evaluate_probabilities(probabilities, images, self.targets, name=self.name, beside=beside)

    def _probabilities(self, pictures: Sequence[Picture], places: Sequence[str]) -> Tensor:
        parts = [
            predict(self.network, pictures[at : at + AT_ONCE], places[at : at + AT_ONCE], self.reader, self.targets)
            for at in range(0, len(pictures), AT_ONCE)
        ]
        return torch.cat(parts)

    def _beside(self, inputs: Frames) -> dict[str, Tensor]:
        """What needs no network: the most frequent class, and the label of the training picture that is nearest."""
        train = LabelledImages.load(self.folder.tokens / "train.jsonl", "train")
        rows = nearest_pictures(inputs, open_pictures(self.folder, "train"))
        return {
            "most frequent class": most_frequent(train, len(inputs), self.targets),
            "nearest picture": self.targets.encode(train)[torch.from_numpy(rows)],
        }

    def _found(
        self, data: Sequence[LabelledImages | Path | str], part: str | None, columns: ImageColumns | None
    ) -> LabelledImages:
        found = find_images(data, columns or self.settings.columns)
        if part is None:
            part = "test" if "test" in found else next(iter(found))
        if part not in found:
            raise ArgumentError(f"`part` must be one of those in the data, {', '.join(found)}, got {part!r}")
        return found[part]


def _begin(
    sources: Sequence[LabelledImages | Path | str], settings: Settings, run: Run
) -> tuple[Settings, ClassifiedImages, Network]:
    """Prepare a new run: its folder, data, settings and network."""
    if not sources:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there are no pictures to learn from"
        raise ArgumentError(f"{missing}; give a file or folder of labelled pictures, or --sample")
    if run.processes.count > 1:
        raise ArgumentError("image classifiers are trained by one process; start it without torchrun")
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        torch.manual_seed(settings.seed)
        reader, images = load_data(sources, settings, run)
        data = open_data(run.folder, reader, settings)
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        network = _network(images, data, settings, run)
    _write_settings(run.folder, settings, reader, data.targets)
    weights = sum(weight.numel() for weight in network.parameters())
    run.display.line(f"{settings.layers}; {weights:,} weights, dropout {settings.dropout}")
    return settings, data, network


def _network(images: ImageEncoder, data: ClassifiedImages, settings: Settings, run: Run) -> Network:
    return build_model(settings, images, len(data.targets.classes)).to(run.processes.device)


def _write_settings(folder: ModelFolder, settings: Settings, reader: PictureReader, targets: ClassTargets) -> None:
    write_settings(folder, TASK, settings, classes=targets.classes, **reader.save(folder))
