from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.nn.functional import cross_entropy

from throughtime.errors import ArgumentError
from throughtime.models import AnswerWriter, ConvolutionalEncoder, QuestionEncoder, VisualQuestionNetwork
from throughtime.models.visual_question_answering import (
    COMBINATIONS,
    RelationNetwork,
    SequentialAttention,
    StackedAttention,
)
from throughtime.nn import GeneralAttention
from throughtime.sequence import QuestionBatch, SequenceBatch
from throughtime.training import answer_loss


def test_a_relation_network_is_the_mean_over_all_pairs() -> None:
    torch.manual_seed(0)
    network = RelationNetwork(3, 4, 6, num_layers=3).double()
    places, which = torch.randn(2, 5, 3).double(), torch.tensor([1, 0, 1])
    question = torch.randn(3, 4).double()
    weight = torch.cat([network.first.weight, network.second.weight, network.question.weight], 1)
    for row, picture in enumerate(which.tolist()):
        found: list[torch.Tensor] = []
        for one, other in product(places[picture], repeat=2):
            pair = torch.cat([one, other, question[row]])
            values = torch.relu(weight @ pair + network.question.bias)
            for layer in network.layers:
                values = torch.relu(layer(values))
            found.append(values)
        expected = torch.stack(found).mean(0)
        torch.testing.assert_close(network(places, which, question)[row], expected)


def test_stacked_attention_is_what_the_paper_writes_with_a_product_for_its_sum() -> None:
    torch.manual_seed(0)
    attention = StackedAttention(3, 4, 6, hops=2).double()
    places, which = torch.randn(2, 5, 3).double(), torch.tensor([1, 0, 1])
    question = torch.randn(3, 4).double()
    found, looks = attention.look(places, which, question)
    assert looks.shape == (3, 2, 5)
    for row, picture in enumerate(which.tolist()):
        seen, asked = torch.tanh(attention.place(places[picture])), torch.tanh(attention.question(question[row]))
        for hop, one in enumerate(attention.attentions):
            assert isinstance(one, GeneralAttention)
            weights = (seen @ one.key.weight.T @ asked / 6**0.5).softmax(0)
            torch.testing.assert_close(looks[row, hop], weights)
            asked = asked + weights @ seen
        torch.testing.assert_close(found[row], asked)


def test_sequential_attention_pairs_the_place_that_it_finds_with_every_place() -> None:
    torch.manual_seed(0)
    network = SequentialAttention(3, 4, 6, num_layers=3, hops=1).double()
    places, which = torch.randn(2, 5, 3).double(), torch.tensor([1, 0, 1])
    question = torch.randn(3, 4).double()
    found, looks = network.attention.look(places, which, question)
    weight = torch.cat([network.first.weight, network.second.weight, network.question.weight], 1)
    for row, picture in enumerate(which.tolist()):
        reference = (looks[row, -1, :, None] * places[picture]).sum(0)
        said: list[torch.Tensor] = []
        for other in places[picture]:
            values = torch.relu(weight @ torch.cat([reference, other, question[row]]) + network.question.bias)
            for layer in network.layers:
                values = torch.relu(layer(values))
            said.append(values)
        expected = torch.cat([found[row], torch.stack(said).amax(0)])
        torch.testing.assert_close(network(places, which, question)[row], expected)
    torch.testing.assert_close(network.looks(places, which, question), looks)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_questions_about_a_picture_share_it_and_padding_means_nothing(combination: str) -> None:
    torch.manual_seed(0)
    images = ConvolutionalEncoder((8, 12, 3), channels=(4, 6))
    encoder = QuestionEncoder(images, 11, combination=combination, joint_size=16, hidden_size=8)
    network = VisualQuestionNetwork(encoder, 5).eval()
    pictures = torch.randint(256, (2, 8, 12, 3), dtype=torch.uint8)
    tokens = torch.randint(11, (6, 3))
    lengths = torch.tensor([4, 6, 2])
    scores = network(QuestionBatch(tokens, lengths, pictures=pictures, which=torch.tensor([1, 0, 1])))
    assert scores.shape == (3, 5)
    for row, (picture, length) in enumerate(zip([1, 0, 1], lengths.tolist(), strict=True)):
        own = pictures[picture : picture + 1]
        alone = network(QuestionBatch(tokens[:length, row : row + 1], pictures=own, which=torch.tensor([0])))
        torch.testing.assert_close(scores[row], alone[0], rtol=1e-4, atol=1e-5)
    hidden = {id(weight) for weight in network.hidden_matrices()}
    assert id(network.output.weight) not in hidden
    assert id(encoder.embedding.weight) not in hidden
    assert id(encoder.recurrent.get_parameter("weight_hh_l0")) in hidden


def test_a_written_answer_depends_on_its_picture_and_its_question_alone() -> None:
    torch.manual_seed(0)
    encoder = QuestionEncoder(ConvolutionalEncoder((8, 12, 3), channels=(4, 6)), 11, joint_size=16, hidden_size=8)
    writer = AnswerWriter(encoder, 7, embedding_size=5, hidden_size=6).eval()
    pictures = torch.randint(256, (2, 8, 12, 3), dtype=torch.uint8)
    tokens, which = torch.randint(11, (6, 3)), torch.tensor([1, 0, 1])
    target = torch.tensor([[6, 6, 6], [1, 2, 3]])
    scores = writer(QuestionBatch(tokens, pictures=pictures, which=which), target)
    assert scores.shape == (2, 3, 7)
    other = pictures.clone()
    other[1] = 255 - other[1]
    moved = writer(QuestionBatch(tokens, pictures=other, which=which), target)
    torch.testing.assert_close(moved[:, 1], scores[:, 1])
    assert (moved[:, [0, 2]] - scores[:, [0, 2]]).abs().amax((0, 2)).min() > 1e-4
    asked = tokens.clone()
    asked[:, 2] = (asked[:, 2] + 1) % 11
    changed = writer(QuestionBatch(asked, pictures=pictures, which=which), target)
    torch.testing.assert_close(changed[:, :2], scores[:, :2])
    assert (changed[:, 2] - scores[:, 2]).abs().max() > 1e-4
    hidden = {id(weight) for weight in writer.hidden_matrices()}
    assert id(encoder.embedding.weight) not in hidden
    assert id(encoder.hidden.weight) in hidden
    with pytest.raises(ArgumentError, match="must come with the pictures that they are about"):
        writer.encode(SequenceBatch(tokens))


def test_the_loss_is_cross_entropy_and_leaves_out_what_cannot_be_answered() -> None:
    scores = torch.randn(4, 6, dtype=torch.float64)
    right = torch.tensor([2, 0, 5, 1])
    certain = torch.eye(6)[right]
    torch.testing.assert_close(answer_loss(scores, certain), cross_entropy(scores, right))
    shared = torch.tensor([[0.0, 0.6, 0.3, 0, 0, 0]]).repeat(4, 1)
    wanted = torch.tensor([[0, 2 / 3, 1 / 3, 0, 0, 0]], dtype=torch.float64).repeat(4, 1)
    torch.testing.assert_close(answer_loss(scores, shared), cross_entropy(scores, wanted), rtol=1e-6, atol=1e-7)
    shared[2:] = 0
    torch.testing.assert_close(answer_loss(scores, shared), cross_entropy(scores[:2], wanted[:2]), rtol=1e-6, atol=1e-7)


def test_bad_numbers_are_named() -> None:
    images = ConvolutionalEncoder((8, 8, 3), channels=(4,))
    with pytest.raises(ArgumentError, match="did you mean 'relation'"):
        QuestionEncoder(images, 5, combination="relations")
    with pytest.raises(ArgumentError, match="`num_answers` must be a positive integer"):
        VisualQuestionNetwork(QuestionEncoder(images, 5), 0)
    with pytest.raises(ArgumentError, match="`relation_layers` must be"):
        QuestionEncoder(images, 5, combination="relation", relation_layers=1)
