"""word2vec: training on text of any size, and the vectors that come of it.

Mikolov et al. (2013), https://arxiv.org/abs/1301.3781 and https://arxiv.org/abs/1310.4546.
"""

from throughtime.word2vec.evaluation import (
    AnalogyEvaluation,
    AnalogyScore,
    AnalogySection,
    RatedPair,
    SimilarityEvaluation,
    evaluate_analogies,
    evaluate_similarities,
    read_analogies,
    read_similarities,
)
from throughtime.word2vec.figures import plot_analogies, plot_words, word_map
from throughtime.word2vec.formats import FORMATS, VECTORS_FILE
from throughtime.word2vec.training import Report, Word2VecTrainer
from throughtime.word2vec.vectors import Coverage, WordVectors
from throughtime.word2vec.vocabulary import Vocabulary, count_vocabulary, find_phrases, join_phrases

__all__ = [
    "FORMATS",
    "VECTORS_FILE",
    "AnalogyEvaluation",
    "AnalogyScore",
    "AnalogySection",
    "Coverage",
    "RatedPair",
    "Report",
    "SimilarityEvaluation",
    "Vocabulary",
    "Word2VecTrainer",
    "WordVectors",
    "count_vocabulary",
    "evaluate_analogies",
    "evaluate_similarities",
    "find_phrases",
    "join_phrases",
    "plot_analogies",
    "plot_words",
    "read_analogies",
    "read_similarities",
    "word_map",
]
