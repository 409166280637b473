"""One network for each problem, and the simple models that they are compared with."""

from throughtime.models.language_model import RecurrentLanguageModel
from throughtime.models.ngram import NGramModel

__all__ = ["NGramModel", "RecurrentLanguageModel"]
