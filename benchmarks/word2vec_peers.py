"""One run of `word2vec.py` in a process of its own: `python word2vec_peers.py '{"peer": "ours", ...}'`.

Prints what was measured as JSON, and leaves the vectors in the folder given, to be evaluated elsewhere.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PEERS = ("ours", "gensim-file", "gensim-iterable", "fasttext")
MODULES = {"ours": "throughtime", "gensim-file": "gensim", "gensim-iterable": "gensim", "fasttext": "fasttext"}


@dataclass(frozen=True)
class Job:
    """What to train. Where ``watch`` is set, resident memory is looked at every so many seconds."""

    peer: str
    text: str
    folder: str
    cbow: bool
    negatives: int
    rate: float
    size: int
    window: int
    epochs: int
    sample: float
    min_count: int
    threads: int
    seed: int
    watch: float | None = None


@dataclass(frozen=True)
class Trained:
    """What a peer leaves; seconds of the vocabulary pass are NaN where the peer doesn't tell them apart."""

    words: list[str]
    vectors: npt.NDArray[np.float32]
    text_words: int
    vocabulary_seconds: float
    training_seconds: float
    model_bytes: int


def is_here(peer: str) -> bool:
    return importlib.util.find_spec(MODULES[peer]) is not None


def resident_bytes() -> int:
    """What the process holds now."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * resource.getpagesize() if status.exists() else 0


def peak_bytes() -> int:
    """The most that the process has held.

    Linux begins getrusage's ru_maxrss with that of the process that started this one; VmHWM is of this one alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def train_ours(job: Job) -> Trained:
    from throughtime.word2vec import Word2VecTrainer, count_vocabulary  # noqa: PLC0415 - a process has one peer

    begun = time.perf_counter()
    files = [Path(job.text)]
    vocabulary = count_vocabulary(files, min_count=job.min_count, threads=job.threads)
    counted = time.perf_counter()
    trainer = Word2VecTrainer(
        vocabulary,
        files,
        architecture="cbow" if job.cbow else "skip-gram",
        size=job.size,
        window=job.window,
        negatives=job.negatives,
        sample=job.sample,
        learning_rate=job.rate,
        seed=job.seed,
        threads=job.threads,
    )
    for _ in trainer.rounds(epochs=job.epochs):
        pass
    trained = time.perf_counter()
    model = 2 * 4 * trainer.input.numel()
    vectors = trainer.vectors.numpy()
    words = list(vocabulary.words)
    return Trained(words, vectors, vocabulary.text_words, counted - begun, trained - counted, model)


def train_gensim(job: Job) -> Trained:
    from gensim.models import Word2Vec  # noqa: PLC0415
    from gensim.models.word2vec import LineSentence  # noqa: PLC0415

    source = {"corpus_file": job.text} if job.peer == "gensim-file" else {"corpus_iterable": LineSentence(job.text)}
    begun = time.perf_counter()
    model = Word2Vec(
        vector_size=job.size,
        window=job.window,
        negative=job.negatives,
        hs=int(job.negatives == 0),
        sample=job.sample,
        min_count=job.min_count,
        workers=job.threads,
        sg=int(not job.cbow),
        alpha=job.rate,
        seed=job.seed,
    )
    model.build_vocab(**source)
    counted = time.perf_counter()
    counts = {"total_words": model.corpus_total_words, "total_examples": model.corpus_count}
    model.train(**source, **counts, epochs=job.epochs)
    seconds = time.perf_counter() - counted
    vectors = model.wv.vectors
    words = list(model.wv.index_to_key)
    return Trained(words, vectors, model.corpus_total_words, counted - begun, seconds, 2 * vectors.nbytes)


def train_fasttext(job: Job) -> Trained:
    import fasttext  # noqa: PLC0415 - it has no seed to be set and no vocabulary pass of its own

    with Path(job.text).open("rb") as file:
        text_words = sum(len(line.split()) for line in file)
    begun = time.perf_counter()
    model = fasttext.train_unsupervised(
        job.text,
        model="cbow" if job.cbow else "skipgram",
        loss="ns" if job.negatives else "hs",
        neg=job.negatives,
        lr=job.rate,
        dim=job.size,
        ws=job.window,
        epoch=job.epochs,
        t=job.sample,
        minCount=job.min_count,
        minn=0,
        maxn=0,
        bucket=0,
        thread=job.threads,
        verbose=0,
    )
    seconds = time.perf_counter() - begun
    words = model.words
    vectors = np.array([model.get_word_vector(word) for word in words], dtype=np.float32)
    return Trained(words, vectors, text_words, float("nan"), seconds, 2 * vectors.nbytes)


TRAIN: dict[str, Callable[[Job], Trained]] = {
    "ours": train_ours,
    "gensim-file": train_gensim,
    "gensim-iterable": train_gensim,
    "fasttext": train_fasttext,
}


def import_peer(peer: str) -> None:
    """Import all that a run needs, so that its memory and time are not the run's."""
    if peer == "ours":
        importlib.import_module("throughtime.word2vec")
    else:
        importlib.import_module(MODULES[peer])


def watched(job: Job) -> tuple[Trained, list[tuple[float, int]]]:
    """Train, and look at the resident memory meanwhile."""
    seen: list[tuple[float, int]] = []
    done = threading.Event()
    begun = time.perf_counter()

    def look() -> None:
        while job.watch and not done.wait(job.watch):
            seen.append((time.perf_counter() - begun, resident_bytes()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        trained = TRAIN[job.peer](job)
    finally:
        done.set()
        watcher.join()
    return trained, seen


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    import_peer(job.peer)
    before = resident_bytes()
    trained, seen = watched(job)
    peak = peak_bytes()
    np.save(Path(job.folder) / "vectors.npy", trained.vectors)
    facts: dict[str, Any] = asdict(trained)
    Path(job.folder, "words.json").write_text(json.dumps(facts.pop("words")))
    del facts["vectors"]
    print(json.dumps({**facts, "imports_bytes": before, "peak_bytes": peak, "resident": seen}))


if __name__ == "__main__":
    main()
