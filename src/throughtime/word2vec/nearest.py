"""The rows of a large matrix that score best for many queries at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]
Score: TypeAlias = Callable[[Matrix, Matrix], Matrix]
"""From inner products, shape (queries * terms, words), and the words' norms to scores, shape (queries, words)."""

QUERIES_AT_ONCE = 512
SCORES_AT_ONCE = 1 << 20
ROWS_AT_LEAST = 1 << 10
ROWS_AT_ONCE = 1 << 14
# Distances that are told apart by rounding alone are computed again among so many more than asked for.
SPARE_CANDIDATES = 16
MULTIPLIED_EPSILON = 1e-6  # Levy and Goldberg's epsilon, as gensim has it


def row_norms(vectors: Matrix) -> Matrix:
    """The Euclidean lengths of vectors, shape (words,); infinite or NaN only where a vector is, or its length is."""
    norms = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        block = vectors[start : start + ROWS_AT_ONCE]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("wf,wf->w", block, block)
            norms[start : start + len(block)] = np.sqrt(squares)
            # Squares leave float32's range long before the vectors do.
            extreme = np.flatnonzero(~((squares > 1e-30) & (squares < 1e30)))
            norms[start + extreme] = np.linalg.norm(block[extreme].astype(np.float64), axis=1)
    return norms


def unit_rows(vectors: Matrix, norms: Matrix, rows: Rows) -> Matrix:
    """Some of the vectors at length 1, shape (*rows.shape, feature); zero vectors stay zero."""
    return vectors[rows] / _divisors(norms[rows])[..., None]


def _divisors(norms: Matrix) -> Matrix:
    return np.where(norms > 0, norms, np.float32(1))


def cosine(products: Matrix, norms: Matrix) -> Matrix:
    """Cosines, where the queries have length 1; a word whose vector is zero scores 0."""
    return np.divide(products, _divisors(norms), out=products)


def nearness(products: Matrix, norms: Matrix) -> Matrix:
    """A score that falls as the Euclidean distance grows: half of |query|^2 - |query - word|^2."""
    return np.subtract(products, norms * norms / np.float32(2), out=products)


def multiplied(signs: Sequence[int]) -> Score:
    """The score 3CosMul (Levy and Goldberg 2014, equation 4) of queries that have a term of length 1 for each sign.

    Cosines are shifted into [0, 1]; those of the positive terms are multiplied, and divided by those of the negative.
    """
    is_positive = np.array(signs) > 0

    def score(products: Matrix, norms: Matrix) -> Matrix:
        shifted = (1 + cosine(products, norms).reshape(-1, len(signs), len(norms))) / 2
        above, below = shifted[:, is_positive].prod(axis=1), shifted[:, ~is_positive].prod(axis=1)
        return above / (below + np.float32(MULTIPLIED_EPSILON))

    return score


def best_rows(
    vectors: Matrix, norms: Matrix, queries: Matrix, *, score: Score, count: int, excluded: Sequence[Sequence[int]]
) -> tuple[Rows, Matrix]:
    """The rows with the highest scores.

    Every row of ``vectors`` is read once for each 512 queries, and about a million scores are held at once.

    Args:
        vectors: shape (words, feature).
        norms: of the vectors, shape (words,).
        queries: shape (queries, terms, feature).
        score: combines the terms' inner products with a word to one number.
        count: how many rows to find.
        excluded: for each query, rows that are left out.

    Returns:
        Rows and their scores, best first, both of shape (queries, min(count, words)); where so many are excluded that
        rows run out, the score is minus infinity.
    """
    count = min(count, len(vectors))
    rows = np.empty((len(queries), count), dtype=np.int64)
    scores = np.empty((len(queries), count), dtype=np.float32)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        part = slice(start, start + QUERIES_AT_ONCE)
        rows[part], scores[part] = _best_of_part(
            vectors, norms, queries[part], score=score, count=count, excluded=excluded[part]
        )
    return rows, scores


def _best_of_part(
    vectors: Matrix, norms: Matrix, queries: Matrix, *, score: Score, count: int, excluded: Sequence[Sequence[int]]
) -> tuple[Rows, Matrix]:
    terms = queries.reshape(-1, queries.shape[-1])
    out_query = np.repeat(np.arange(len(excluded)), [len(rows) for rows in excluded])
    out_row = np.array([row for rows in excluded for row in rows], dtype=np.int64)
    best_rows = np.zeros((len(queries), count), dtype=np.int64)
    best_scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
    step = max(ROWS_AT_LEAST, SCORES_AT_ONCE // len(terms))
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        scores = score(_products(terms, block), norms[start : start + step])
        inside = (out_row >= start) & (out_row < start + len(block))
        scores[out_query[inside], out_row[inside] - start] = -np.inf
        # Few blocks better the best so far, and a maximum is found much faster than a partition.
        better = np.flatnonzero(scores.max(axis=1) > best_scores[:, -1])
        if len(better):
            rows, found = _largest(scores[better], min(count, len(block)))
            rows = np.concatenate([best_rows[better], rows + start], axis=1)
            found = np.concatenate([best_scores[better], found], axis=1)
            order = np.argsort(-found, axis=1, kind="stable")[:, :count]
            best_rows[better] = np.take_along_axis(rows, order, axis=1)
            best_scores[better] = np.take_along_axis(found, order, axis=1)
    return best_rows, best_scores


def _products(terms: Matrix, block: Matrix) -> Matrix:
    if len(terms) == 1:
        return (block @ terms[0])[None]  # several times as fast as the product of matrices
    return terms @ block.T


def _largest(scores: Matrix, count: int) -> tuple[Rows, Matrix]:
    if count == 1:
        rows = scores.argmax(axis=1)[:, None]
    else:
        rows = np.argpartition(scores, -count, axis=1)[:, -count:]
        rows.sort(axis=1)  # of equal scores the more frequent word comes first
    return rows.astype(np.int64), np.take_along_axis(scores, rows, axis=1)


def closest_rows(
    vectors: Matrix, norms: Matrix, queries: Matrix, *, count: int, excluded: Sequence[Sequence[int]]
) -> tuple[Rows, Matrix]:
    """The rows with the smallest Euclidean distance to queries of shape (queries, feature), and minus the distances.

    What ``best_rows`` finds by products, where small distances drown in rounding, is computed again from differences.
    """
    candidates, scores = best_rows(
        vectors, norms, queries[:, None], score=nearness, count=count + SPARE_CANDIDATES, excluded=excluded
    )
    for query, rows, found in zip(queries, candidates, scores, strict=True):
        distances = np.linalg.norm(vectors[rows].astype(np.float64) - query, axis=1)
        distances[found == -np.inf] = np.inf
        order = np.argsort(distances, kind="stable")
        rows[:], found[:] = rows[order], -distances[order]
    return candidates[:, :count], scores[:, :count]


def analogy_rows(
    vectors: Matrix,
    norms: Matrix,
    terms: Rows,
    signs: Sequence[int],
    *,
    searched: int,
    count: int,
    method: str = "3cosadd",
) -> tuple[Rows, Matrix]:
    """The rows that answer analogies best; the words of a question never answer it.

    Args:
        vectors: shape (words, feature).
        norms: of the vectors, shape (words,).
        terms: rows of the questions' words, shape (questions, terms).
        signs: 1 or -1 for each term: [-1, 1, 1] where ``a`` is to ``b`` as ``c`` is to the answer.
        searched: how many rows to search, from the first.
        count: how many answers to find.
        method: "3cosadd": the highest cosine with the mean of the signed vectors of length 1 (Mikolov et al. 2013);
            "3cosmul": products of cosines (Levy and Goldberg 2014).

    Returns:
        As of ``best_rows``.
    """
    units = unit_rows(vectors, norms, terms)
    if method == "3cosmul":
        score = multiplied(signs)
    else:
        mean = np.einsum("qtf,t->qf", units, np.array(signs, dtype=np.float32))
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        units = (mean / _divisors(length))[:, None]
        score = cosine
    return best_rows(vectors[:searched], norms[:searched], units, score=score, count=count, excluded=terms.tolist())
