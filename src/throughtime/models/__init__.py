"""One network for each problem, and the simple models that they are compared with."""

from throughtime.models.decoder import DecoderState
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.frame_predictor import FramePredictor
from throughtime.models.image_encoder import (
    ConvolutionalEncoder,
    FullyConnectedEncoder,
    GivenFeatures,
    ImageEncoder,
    with_coordinates,
)
from throughtime.models.language_model import RecurrentLanguageModel
from throughtime.models.ngram import NGramModel
from throughtime.models.pretrained_encoder import PretrainedEncoder
from throughtime.models.text_classifier import RecurrentTextClassifier
from throughtime.models.visual_question_answering import VisualQuestionNetwork

__all__ = [
    "ConvolutionalEncoder",
    "DecoderState",
    "EncoderDecoder",
    "FramePredictor",
    "FullyConnectedEncoder",
    "GivenFeatures",
    "ImageEncoder",
    "NGramModel",
    "PretrainedEncoder",
    "RecurrentLanguageModel",
    "RecurrentTextClassifier",
    "VisualQuestionNetwork",
    "with_coordinates",
]
