"""Looking inside recurrent networks: numbers first, then figures of them, then a report of all."""

from throughtime.inspection.anomaly_figures import plot_latent_map, plot_reconstruction_lags, plot_score_parts
from throughtime.inspection.anomaly_report import reconstruction_lags
from throughtime.inspection.caption_report import caption_saliency
from throughtime.inspection.classifier_report import TextSaliency, text_saliency
from throughtime.inspection.coloured_text import coloured_text, save_coloured_text
from throughtime.inspection.forecast_report import lag_sensitivity, plot_lag_sensitivity
from throughtime.inspection.gate_figures import plot_gates, plot_memory_spans
from throughtime.inspection.gates import Activations, record_gates
from throughtime.inspection.gradient_figures import plot_eigenvalues, plot_gradient_flow, plot_horizons
from throughtime.inspection.image_report import ImageSaliency, image_saliency
from throughtime.inspection.language_report import pieces_of, rank_by_features, surprises
from throughtime.inspection.memory import MemorySpan, memory_span, memory_spans
from throughtime.inspection.neurons import (
    Neuron,
    RankedNeuron,
    most_varied,
    neuron_values,
    rank_neurons,
    values_of,
)
from throughtime.inspection.picture_gates import most_varied_units, plot_picture_gates
from throughtime.inspection.picture_saliency import picture_saliency, plot_picture_saliency
from throughtime.inspection.question_report import QuestionSaliency, question_saliency
from throughtime.inspection.recurrent_matrices import RecurrentMatrix, recurrent_matrices
from throughtime.inspection.recurrent_report import flow_numbers, flow_of
from throughtime.inspection.report import Report, flow_reading, inspect_model, inspect_vectors
from throughtime.inspection.saliency import giving, gradient_times_input, integrated_gradients
from throughtime.inspection.saliency_figures import plot_contributions
from throughtime.inspection.sequence_report import plot_sequence_saliency, sequence_saliency
from throughtime.inspection.text_features import (
    FEATURES,
    bracket_depth,
    feature_of_pieces,
    inside_quotes,
    place_in_line,
)
from throughtime.inspection.translation_report import TranslationSaliency, translation_saliency
from throughtime.inspection.video_caption_report import plot_frame_attention
from throughtime.inspection.video_report import VideoSaliency, plot_video_saliency, video_saliency
from throughtime.inspection.videos import plot_frames
from throughtime.nn.gradient_flow import GradientFlow, gradient_flow
from throughtime.tasks.alignment_figures import plot_alignments
from throughtime.tasks.attention_overlays import plot_overlays
from throughtime.tasks.question_reading import answer_reading, question_reading
from throughtime.tasks.reading import (
    Reading,
    autoencoder_readings,
    classifier_reading,
    decoder_reading,
    forecaster_reading,
    language_reading,
    translation_readings,
)
from throughtime.tasks.video_readings import frame_reading, video_reading
from throughtime.word2vec import plot_analogies, plot_words

__all__ = [
    "FEATURES",
    "Activations",
    "GradientFlow",
    "ImageSaliency",
    "MemorySpan",
    "Neuron",
    "QuestionSaliency",
    "RankedNeuron",
    "Reading",
    "RecurrentMatrix",
    "Report",
    "TextSaliency",
    "TranslationSaliency",
    "VideoSaliency",
    "answer_reading",
    "autoencoder_readings",
    "bracket_depth",
    "caption_saliency",
    "classifier_reading",
    "coloured_text",
    "decoder_reading",
    "feature_of_pieces",
    "flow_numbers",
    "flow_of",
    "flow_reading",
    "forecaster_reading",
    "frame_reading",
    "giving",
    "gradient_flow",
    "gradient_times_input",
    "image_saliency",
    "inside_quotes",
    "inspect_model",
    "inspect_vectors",
    "integrated_gradients",
    "lag_sensitivity",
    "language_reading",
    "memory_span",
    "memory_spans",
    "most_varied",
    "most_varied_units",
    "neuron_values",
    "picture_saliency",
    "pieces_of",
    "place_in_line",
    "plot_alignments",
    "plot_analogies",
    "plot_contributions",
    "plot_eigenvalues",
    "plot_frame_attention",
    "plot_frames",
    "plot_gates",
    "plot_gradient_flow",
    "plot_horizons",
    "plot_lag_sensitivity",
    "plot_latent_map",
    "plot_memory_spans",
    "plot_overlays",
    "plot_picture_gates",
    "plot_picture_saliency",
    "plot_reconstruction_lags",
    "plot_score_parts",
    "plot_sequence_saliency",
    "plot_video_saliency",
    "plot_words",
    "question_reading",
    "question_saliency",
    "rank_by_features",
    "rank_neurons",
    "reconstruction_lags",
    "record_gates",
    "recurrent_matrices",
    "save_coloured_text",
    "sequence_saliency",
    "surprises",
    "text_saliency",
    "translation_readings",
    "translation_saliency",
    "values_of",
    "video_reading",
    "video_saliency",
]
