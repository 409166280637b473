"""From files to tensors: text, vocabularies, token ids, and windows of them."""

from throughtime.data.batching import (
    EvaluationWindow,
    Lanes,
    Tokens,
    TrainingWindow,
    evaluation_windows,
    largest_batch_size,
)
from throughtime.data.caption_batches import CaptionBatches
from throughtime.data.caption_files import CaptionColumns, find_captioned
from throughtime.data.captioned_examples import CaptionedExamples, split_captioned
from throughtime.data.captioned_images import CaptionedImage, CaptionedImages
from throughtime.data.captioned_videos import CaptionedVideos, find_captioned_videos
from throughtime.data.corpus import Corpus, CorpusSource, Words, open_corpus
from throughtime.data.example_batches import ExampleBatch, ExampleBatches
from throughtime.data.feature_cache import FeatureCache, open_features
from throughtime.data.frames import Frames
from throughtime.data.image_files import ImageColumns, find_images, is_picture, split_images
from throughtime.data.images import Picture, Pixels, Preprocessing, checked_pixels, image_of, open_image, read_picture
from throughtime.data.labelled_examples import LabelledExamples, label_order, split_off
from throughtime.data.labelled_files import find_labelled, split_labelled
from throughtime.data.labelled_formats import Columns, read_labelled
from throughtime.data.labelled_images import ImageExample, LabelledImages
from throughtime.data.labelled_sequences import LabelledSequences, NumericSequences, SequenceExample
from throughtime.data.labelled_text import Example, LabelledText
from throughtime.data.long_term_sequences import (
    LONG_TERM_TASKS,
    AddingProblem,
    CopyTask,
    GeneratedBatch,
    LongTermSequences,
)
from throughtime.data.moving_shapes import moving_shapes
from throughtime.data.normalisation import normalised
from throughtime.data.pair_batches import PairBatch, PairBatches
from throughtime.data.parallel_files import find_parallel, find_sentences
from throughtime.data.parallel_text import Pair, ParallelText, split_parallel
from throughtime.data.sample_digits import gliding_digits, moving_digits
from throughtime.data.sample_gestures import sample_gestures
from throughtime.data.sample_numbers import sample_numbers
from throughtime.data.sample_questions import sample_questions, sort_of_clevr
from throughtime.data.sample_reviews import sample_reviews
from throughtime.data.sample_scenes import Scene, SceneObject, sample_scenes
from throughtime.data.sample_world import little_world, little_world_analogies
from throughtime.data.samples import captioned_scenes, python_language_reference, sample_digits
from throughtime.data.scene_captions import is_right, mentions, scene_captions
from throughtime.data.sentence_tokenizer import SentenceTokenizer, with_ends
from throughtime.data.sequence_files import find_sequences, holds_sequences, read_sequences, split_sequences
from throughtime.data.sequence_tables import SequenceColumns
from throughtime.data.sequences import Sequences, TokenSequences, evaluation_batches, pad_sequences, sequences_of
from throughtime.data.splits import PARTS, Splits, chosen_part, load_splits, save_splits
from throughtime.data.text import (
    StandardInput,
    Text,
    TextFile,
    TextInMemory,
    TextSource,
    find_splits,
    find_texts,
)
from throughtime.data.text_encodings import DecodedFile, read_text_file
from throughtime.data.token_decoders import Decoder
from throughtime.data.token_files import TokenCounts, TokenFile, write_tokens
from throughtime.data.tokenizer import Ids, Tokenizer
from throughtime.data.tokenizers import train_tokenizer
from throughtime.data.video_files import find_videos, read_videos, split_videos
from throughtime.data.videos import (
    AllFrames,
    LabelledVideos,
    Video,
    VideoSequences,
    animation_of,
    frames_of,
    save_animation,
)
from throughtime.data.visual_question_batches import (
    QuestionBatches,
    QuestionSequences,
    ScoredAnswers,
    SpelledAnswers,
)
from throughtime.data.visual_question_files import QuestionColumns, find_questions, split_questions
from throughtime.data.visual_questions import VisualQuestion, VisualQuestions, best_answer, kind_of, normalised_answer

__all__ = [
    "LONG_TERM_TASKS",
    "PARTS",
    "AddingProblem",
    "AllFrames",
    "CaptionBatches",
    "CaptionColumns",
    "CaptionedExamples",
    "CaptionedImage",
    "CaptionedImages",
    "CaptionedVideos",
    "Columns",
    "CopyTask",
    "Corpus",
    "CorpusSource",
    "DecodedFile",
    "Decoder",
    "EvaluationWindow",
    "Example",
    "ExampleBatch",
    "ExampleBatches",
    "FeatureCache",
    "Frames",
    "GeneratedBatch",
    "Ids",
    "ImageColumns",
    "ImageExample",
    "LabelledExamples",
    "LabelledImages",
    "LabelledSequences",
    "LabelledText",
    "LabelledVideos",
    "Lanes",
    "LongTermSequences",
    "NumericSequences",
    "Pair",
    "PairBatch",
    "PairBatches",
    "ParallelText",
    "Picture",
    "Pixels",
    "Preprocessing",
    "QuestionBatches",
    "QuestionColumns",
    "QuestionSequences",
    "Scene",
    "SceneObject",
    "ScoredAnswers",
    "SentenceTokenizer",
    "SequenceColumns",
    "SequenceExample",
    "Sequences",
    "SpelledAnswers",
    "Splits",
    "StandardInput",
    "Text",
    "TextFile",
    "TextInMemory",
    "TextSource",
    "TokenCounts",
    "TokenFile",
    "TokenSequences",
    "Tokenizer",
    "Tokens",
    "TrainingWindow",
    "Video",
    "VideoSequences",
    "VisualQuestion",
    "VisualQuestions",
    "Words",
    "animation_of",
    "best_answer",
    "captioned_scenes",
    "checked_pixels",
    "chosen_part",
    "evaluation_batches",
    "evaluation_windows",
    "find_captioned",
    "find_captioned_videos",
    "find_images",
    "find_labelled",
    "find_parallel",
    "find_questions",
    "find_sentences",
    "find_sequences",
    "find_splits",
    "find_texts",
    "find_videos",
    "frames_of",
    "gliding_digits",
    "holds_sequences",
    "image_of",
    "is_picture",
    "is_right",
    "kind_of",
    "label_order",
    "largest_batch_size",
    "little_world",
    "little_world_analogies",
    "load_splits",
    "mentions",
    "moving_digits",
    "moving_shapes",
    "normalised",
    "normalised_answer",
    "open_corpus",
    "open_features",
    "open_image",
    "pad_sequences",
    "python_language_reference",
    "read_labelled",
    "read_picture",
    "read_sequences",
    "read_text_file",
    "read_videos",
    "sample_digits",
    "sample_gestures",
    "sample_numbers",
    "sample_questions",
    "sample_reviews",
    "sample_scenes",
    "save_animation",
    "save_splits",
    "scene_captions",
    "sequences_of",
    "sort_of_clevr",
    "split_captioned",
    "split_images",
    "split_labelled",
    "split_off",
    "split_parallel",
    "split_questions",
    "split_sequences",
    "split_videos",
    "train_tokenizer",
    "with_ends",
    "write_tokens",
]
