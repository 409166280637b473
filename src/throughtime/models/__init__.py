"""One network for each problem, and the simple models that they are compared with."""

from throughtime.models.decoder import DecoderState
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.language_model import RecurrentLanguageModel
from throughtime.models.ngram import NGramModel
from throughtime.models.recurrent_classifier import RecurrentClassifier
from throughtime.models.recurrent_readout import RecurrentReadout
from throughtime.models.sequence_classifier import RecurrentSequenceClassifier
from throughtime.models.text_classifier import RecurrentTextClassifier

__all__ = [
    "DecoderState",
    "EncoderDecoder",
    "NGramModel",
    "RecurrentClassifier",
    "RecurrentLanguageModel",
    "RecurrentReadout",
    "RecurrentSequenceClassifier",
    "RecurrentTextClassifier",
]
