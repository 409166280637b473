import numpy as np
from sklearn.neighbors import NearestNeighbors

from throughtime.tasks.sentence_neighbours import nearest_rows


def test_the_nearest_are_those_by_cosine_of_what_differs() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(40, 7)) + 5).astype(np.float32)
    centred = vectors - vectors.mean(0)
    distances, rows = NearestNeighbors(n_neighbors=4, metric="cosine").fit(centred).kneighbors(centred)
    found = nearest_rows(vectors, vectors, 3, itself=True)
    assert [[row for row, _ in near] for near in found] == rows[:, 1:].tolist()
    np.testing.assert_allclose([[cosine for _, cosine in near] for near in found], 1 - distances[:, 1:], atol=1e-5)
    among = nearest_rows(vectors[:2], vectors, 4)
    assert [[row for row, _ in near] for near in among] == rows[:2].tolist()


def test_fewer_than_asked_for_are_given_where_there_are_no_more() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert [len(near) for near in nearest_rows(vectors, vectors, 5, itself=True)] == [1, 1]
    assert len(nearest_rows(vectors[:1], vectors[:1], 5)[0]) == 1
