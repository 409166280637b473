"""A language model that writes many texts at once: each step computes the next token of all that are being written.

A recurrent network's state has the same size however long its text is, so texts join and leave between any two steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Lock, Thread
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from throughtime.errors import ThroughTimeError
from throughtime.studio.limits import Limits
from throughtime.studio.refusals import RefusedError
from throughtime.studio.shelf import Entry, Shelf
from throughtime.studio.written_text import WrittenText
from throughtime.tasks.language_model import LanguageModel

READ_AT_ONCE = 256
"""Tokens of prompts that are read between two steps, so that a long prompt holds up no text."""
PAUSE = 0.03
"""Seconds between two times that pieces are handed over, but for first ones: more often no eye can follow."""


class Writer:
    """Writes with one model, in a thread that lives while there is something to write.

    Args:
        entry: of a language model.
        limits: how many texts at once, and how many may wait.

    Attributes:
        largest_batch: how many texts have been written at once at most.
    """

    def __init__(self, entry: Entry, limits: Limits) -> None:
        self._entry = entry
        self._limits = limits
        self._lock = Lock()
        self._waiting: deque[WrittenText] = deque()
        self._is_running = False
        self.largest_batch = 0

    def begin(self, text: WrittenText) -> None:
        """Write a text as soon as there is room.

        Raises:
            RefusedError: where too many wait.
        """
        with self._lock:
            if len(self._waiting) >= self._limits.waiting:
                raise RefusedError(503, f"{len(self._waiting)} texts are waiting to be written; try again later")
            self._waiting.append(text)
            if not self._is_running:
                self._is_running = True
                Thread(target=self._run, name=f"writer of {self._entry.name}", daemon=True).start()

    def _run(self) -> None:
        """Step after step until nothing is left; new weights are taken up between texts alone."""
        batch: _Batch | None = None
        next_time = 0.0
        while True:
            count = 0 if batch is None else len(batch)
            with self._lock:
                room = min(len(self._waiting), self._limits.side_by_side - count)
                joining = [self._waiting.popleft() for _ in range(room)]
                if not count and not joining:
                    self._is_running = False
                    return
            texts = joining if batch is None else [*batch.texts, *batch.reading, *joining]
            try:
                if batch is None or not count:
                    batch = _Batch(Shelf.loaded(self._entry, LanguageModel))
                with self._entry.turn(), torch.inference_mode():
                    batch.read(joining)
                    batch.step()
                self.largest_batch = max(self.largest_batch, len(texts))
            except Exception as error:
                is_ours = isinstance(error, ThroughTimeError)
                told = error if is_ours else RefusedError(500, f"{type(error).__name__}: {error}")
                for text in texts:
                    text.fail(told)
                batch = None
            now = time.monotonic()
            is_time = now >= next_time
            if is_time:
                next_time = now + PAUSE
            for text in texts:
                if is_time or text.is_urgent:
                    text.hand_over()


class _Batch:
    """Texts that are written side by side, and what the network knows of them.

    Attributes:
        texts: those that are written.
        reading: those whose prompts have not been read to their ends.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        size = model.tokenizer.vocabulary_size
        self.texts: list[WrittenText] = []
        self._state: Any = None
        self._scores = torch.zeros(0, size, device=model.device)
        self._seen = torch.zeros(0, size, dtype=torch.bool)
        self._alike: list[list[int]] = []
        self.reading: list[WrittenText] = []
        self._reading_state: Any = None

    def __len__(self) -> int:
        """How many texts are written or read."""
        return len(self.texts) + len(self.reading)

    def read(self, new: list[WrittenText]) -> None:
        """Read on in prompts; those that are at their ends are written from then on."""
        begun, state = self.reading, self._reading_state
        self.reading, self._reading_state = [], None
        for texts, before in ((begun, state), (new, None)):
            if texts:
                self._read(texts, before)

    def _read(self, texts: list[WrittenText], state: Any) -> None:
        network, device = self._model.network, self._model.device
        parts = [text.to_read[:READ_AT_ONCE] for text in texts]
        lengths = [len(part) for part in parts]
        is_even = min(lengths) == max(lengths)
        outputs, state = network.recur(pad_sequence(parts).to(device), state, lengths=None if is_even else lengths)
        finished: list[int] = []
        unfinished: list[int] = []
        for row, (text, length) in enumerate(zip(texts, lengths, strict=True)):
            text.to_read = text.to_read[length:]
            if not text.has_ended:
                (unfinished if len(text.to_read) else finished).append(row)
        if unfinished:
            self.reading += [texts[row] for row in unfinished]
            self._reading_state = _beside(self._reading_state, _chosen(state, unfinished, len(texts)))
        if finished:
            last = outputs[torch.tensor(lengths)[finished] - 1, finished]
            self._join([texts[row] for row in finished], _chosen(state, finished, len(texts)), network.scores(last))

    def _join(self, texts: list[WrittenText], state: Any, scores: Tensor) -> None:
        seen = torch.zeros(len(texts), self._seen.shape[1], dtype=torch.bool)
        for row, text in enumerate(texts):
            seen[row, torch.from_numpy(text.ids)] = True
        self.texts = [*self.texts, *texts]
        self._state = _beside(self._state, state)
        self._scores = torch.cat([self._scores, scores.float()])
        self._seen = torch.cat([self._seen, seen])
        self._sort()

    def step(self) -> None:
        """Draw the next token of each text, and let the network read those of the texts that go on."""
        if not self.texts:
            return
        tokens = self._drawn()
        surprises = -self._scores.log_softmax(-1).cpu().gather(1, tokens.unsqueeze(1)).squeeze(1)
        now = time.monotonic()
        for text, token, surprise in zip(self.texts, tokens.tolist(), surprises.tolist(), strict=True):
            if not text.has_ended:
                text.add(token, surprise, now)
        going_on = [row for row, text in enumerate(self.texts) if not text.has_ended]
        if len(going_on) < len(self.texts):
            self._state = _chosen(self._state, going_on, len(self.texts)) if going_on else None
            self.texts = [self.texts[row] for row in going_on]
            tokens, self._scores, self._seen = tokens[going_on], self._scores[going_on], self._seen[going_on]
            self._sort()
        if going_on:
            scores, self._state = self._model.network(tokens.unsqueeze(0).to(self._model.device), self._state)
            self._scores = scores[0].float()

    def _sort(self) -> None:
        """Rows whose tokens are drawn alike are drawn together."""
        rows: dict[Any, list[int]] = {}
        for row, text in enumerate(self.texts):
            rows.setdefault(text.sampling, []).append(row)
        self._alike = list(rows.values())

    def _drawn(self) -> Tensor:
        """A token for each text, shape (texts,), on the CPU."""
        if len(self._alike) == 1:
            tokens = self._drawn_for(self._alike[0], self._scores)
        else:
            tokens = torch.empty(len(self.texts), dtype=torch.int64)
            for rows in self._alike:
                tokens[rows] = self._drawn_for(rows, self._scores[rows])
        self._seen.scatter_(1, tokens.unsqueeze(1), value=True)
        return tokens

    def _drawn_for(self, rows: Sequence[int], scores: Tensor) -> Tensor:
        texts = [self.texts[row] for row in rows]
        try:
            return texts[0].sampling.draw(scores, self._seen[rows], [text.generator for text in texts])
        except ThroughTimeError as error:
            if len(rows) > 1:  # one text whose scores can't be used ends no other
                return torch.cat([self._drawn_for([row], scores[place : place + 1]) for place, row in enumerate(rows)])
            texts[0].fail(error)
            return torch.zeros(1, dtype=torch.int64)


def _beside(state: Any, other: Any) -> Any:
    """States of two batches as one; the batch is the axis before the last."""
    if state is None:
        return other
    if isinstance(state, Tensor):
        return torch.cat([state, other], dim=1)
    return tuple(_beside(own, new) for own, new in zip(state, other, strict=True))


def _chosen(state: Any, rows: list[int], count: int) -> Any:
    """The state of some of a batch's rows."""
    if len(rows) == count:
        return state
    if isinstance(state, Tensor):
        return state[:, rows]
    return tuple(_chosen(own, rows, count) for own in state)
