"""One network for each problem, and the simple models that they are compared with."""

from throughtime.models.answer_writer import AnswerWriter
from throughtime.models.captioner import Captioner
from throughtime.models.classifying_network import ClassifyingNetwork
from throughtime.models.decoder import DecoderState
from throughtime.models.decoding_network import DecodingNetwork
from throughtime.models.describing_network import DescribingNetwork
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.frame_predictor import FramePredictor
from throughtime.models.image_classifier import ImageClassifier
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
from throughtime.models.recurrent_classifier import RecurrentClassifier
from throughtime.models.recurrent_readout import RecurrentReadout
from throughtime.models.sequence_autoencoder import RecurrentAutoencoder
from throughtime.models.sequence_classifier import RecurrentSequenceClassifier
from throughtime.models.text_classifier import RecurrentTextClassifier
from throughtime.models.video_captioner import VideoCaptioner
from throughtime.models.video_classifier import RecurrentVideoClassifier
from throughtime.models.visual_question_answering import QuestionEncoder, VisualQuestionNetwork

__all__ = [
    "AnswerWriter",
    "Captioner",
    "ClassifyingNetwork",
    "ConvolutionalEncoder",
    "DecoderState",
    "DecodingNetwork",
    "DescribingNetwork",
    "EncoderDecoder",
    "FramePredictor",
    "FullyConnectedEncoder",
    "GivenFeatures",
    "ImageClassifier",
    "ImageEncoder",
    "NGramModel",
    "PretrainedEncoder",
    "QuestionEncoder",
    "RecurrentAutoencoder",
    "RecurrentClassifier",
    "RecurrentLanguageModel",
    "RecurrentReadout",
    "RecurrentSequenceClassifier",
    "RecurrentTextClassifier",
    "RecurrentVideoClassifier",
    "VideoCaptioner",
    "VisualQuestionNetwork",
    "with_coordinates",
]
