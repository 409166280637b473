"""A captioner of pictures to hold in the hand: fit it, let it caption pictures, judge it, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from throughtime.data import CaptionColumns, CaptionedImages, Frames, Picture, find_captioned
from throughtime.models import Captioner as Network
from throughtime.tasks.captioning import TASK, Settings, build_model, load_data, open_data
from throughtime.tasks.captioning_model import Caption, CaptioningModel
from throughtime.tasks.image_features import open_pictures
from throughtime.tasks.sequence_search import Alignment


class Captioner(CaptioningModel[Network, CaptionedImages]):
    """A trained captioner of pictures; its attributes are those of ``CaptioningModel``."""

    TASK = TASK
    WANTED = "pictures with captions"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = CaptionedImages
    NEAREST = "caption of the nearest picture"

    @classmethod
    def find(cls, sources: Sequence[Any], columns: CaptionColumns) -> dict[str, CaptionedImages]:  # noqa: D102
        return find_captioned(sources, columns)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> Network:
        reader, tokenizer = parts
        return build_model(settings, reader, tokenizer.vocabulary_size)

    def caption(self, pictures: Sequence[Picture | str], *, attention: bool = False, **search: Any) -> list[Caption]:
        """Say what is in pictures.

        Args:
            pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).
            attention: whether to tell where the network looked.
            **search: see ``Search``: beam_size, n_best, length_penalty, block_ngrams, temperature and more.

        Raises:
            ArgumentError: where one picture's name is given in place of a list, or for a search that can't be.
            DataError: naming the picture, where one can't be read.
        """
        return self._caption(pictures, attention, search)

    def _seen(self, examples: CaptionedImages) -> Frames:
        if examples.examples[0].picture is None:
            return open_pictures(self.folder, examples.name)
        return self.reader.frames(examples.pictures, examples.places)

    def _pictures(self, seen: Frames) -> Frames:
        return seen

    def _looked(self, weights: Alignment) -> Alignment:
        return weights.reshape(-1, *self.network.images.grid)
