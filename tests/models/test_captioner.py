from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from throughtime.data import PairBatch
from throughtime.errors import ArgumentError
from throughtime.models import Captioner, ConvolutionalEncoder, GivenFeatures
from throughtime.nn import HARD_ATTENTIONS, AdditiveAttention, build_attention
from throughtime.sequence import SequenceBatch
from throughtime.training import ReinforcedObjective, TranslationObjective

PIXELS = torch.randint(0, 256, (1, 3, 8, 12, 3), dtype=torch.uint8)


def captioner(**options: object) -> Captioner:
    sizes = {"embedding_size": 5, "hidden_size": 6, **options}
    return Captioner(ConvolutionalEncoder((8, 12, 3), channels=(4, 7)), 9, **sizes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "options",
    [
        {"attention": None},
        {"attention": "additive", "attention_order": "before"},
        {"attention": "general", "attention_order": "after", "num_layers": 2, "cell": "gru"},
        {"attention": "dot", "attention_order": "after", "input_feeding": True, "tied": False},
    ],
)
def test_a_caption_s_scores_depend_on_the_picture_and_on_the_words_before_alone(options: dict[str, object]) -> None:
    network = captioner(**options).eval()
    target = torch.tensor([[8, 8, 8], [1, 2, 3], [4, 5, 6]])
    scores = network(SequenceBatch(PIXELS), target)
    assert scores.shape == (3, 3, 9)
    changed = target.clone()
    changed[2] = 0
    torch.testing.assert_close(network(SequenceBatch(PIXELS), changed)[:2], scores[:2])
    other = PIXELS.clone()
    other[0, 0] = 255 - other[0, 0]
    moved = network(SequenceBatch(other), target)
    torch.testing.assert_close(moved[:, 1:], scores[:, 1:])
    assert (moved[:, 0] - scores[:, 0]).abs().max() > 1e-4


def test_step_by_step_it_scores_as_all_at_once() -> None:
    network = captioner().eval()
    target = torch.tensor([[8, 8, 8], [1, 2, 3], [4, 5, 6]])
    expected = network(SequenceBatch(PIXELS), target)
    state = network.encode(SequenceBatch(PIXELS))
    for step in range(3):
        state, scores = network.next_step(state, target[step])
        torch.testing.assert_close(scores, expected[step])
    assert state.weights is not None
    assert state.weights.shape == (3, 2 * 3)


def test_where_a_place_is_makes_a_difference() -> None:
    network = Captioner(GivenFeatures((2, 2), 4), 9, embedding_size=5, hidden_size=6, attention=None).eval()
    features = torch.randn(1, 1, 4, 4)
    turned = features[:, :, [1, 0, 3, 2]]
    states = [network.encode(SequenceBatch(given)).recurrent[0] for given in (features, turned)]
    assert (states[0] - states[1]).abs().max() > 1e-4
    single = Captioner(GivenFeatures((1, 1), 4), 9, embedding_size=5, hidden_size=6, attention=None)
    assert single.places.in_features == 4


def test_several_captions_of_a_picture_cost_what_each_of_them_costs() -> None:
    network = captioner().eval()
    target = torch.randint(0, 8, (4, 6))
    target[0] = target[-1] = 8
    objective = TranslationObjective(network)
    together = objective(PairBatch(SequenceBatch(PIXELS), SequenceBatch(target))).loss
    repeated = SequenceBatch(PIXELS.repeat_interleave(2, 1))
    torch.testing.assert_close(together, objective(PairBatch(repeated, SequenceBatch(target))).loss)


def test_the_penalty_is_that_of_show_attend_and_tell() -> None:
    network = captioner().train()
    lengths = torch.tensor([4, 3, 4])
    target = SequenceBatch(torch.tensor([[8, 8, 8], [1, 2, 3], [4, 8, 6], [8, 0, 8]]), lengths)
    batch = PairBatch(SequenceBatch(PIXELS), target)
    plain, with_penalty = (TranslationObjective(network, attention_penalty=amount)(batch).loss for amount in (0.0, 2.0))
    weights = network.decode(target.values[:-1], network.encode(batch.source)).weights
    assert weights is not None
    sums = torch.stack([weights[: int(length) - 1, row].sum(0) for row, length in enumerate(lengths)])
    torch.testing.assert_close(with_penalty - plain, 2 * (1 - sums).square().mean(), rtol=1e-4, atol=1e-5)


def test_hard_attention_looks_at_one_place_and_its_gradient_is_that_of_the_weights() -> None:
    attention = build_attention("additive", 3, 4, hard="straight-through")
    memory = attention.memory(SequenceBatch(torch.randn(5, 2, 4), torch.tensor([5, 2])))
    queries = torch.randn(2, 7, 3)
    context, weights = attention.train()(queries, memory)
    assert weights.detach().sort(-1).values[..., -2:].allclose(torch.tensor([0.0, 1.0]), atol=1e-6)
    assert not weights[1, :, 2:].detach().any()
    chosen = memory.values.gather(1, weights.argmax(-1, keepdim=True).expand(-1, -1, 4))
    torch.testing.assert_close(context, chosen)

    def gradients(of: Tensor) -> list[Tensor]:
        return list(
            torch.autograd.grad((of * torch.arange(5.0)).sum(), list(attention.parameters()), retain_graph=True)
        )

    hard = gradients(weights)
    attention.hard = None
    soft_weights = attention(queries, memory)[1]
    for own, soft in zip(hard, gradients(soft_weights), strict=True):
        torch.testing.assert_close(own, soft)
    attention.hard = "straight-through"
    looked = attention.eval()(queries, memory)[1]
    assert looked.argmax(-1).equal(soft_weights.argmax(-1))
    assert isinstance(attention, AdditiveAttention)


@pytest.mark.parametrize("hard", HARD_ATTENTIONS)
def test_hard_attention_draws_places_as_often_as_their_weights_say(hard: str) -> None:
    attention = build_attention("dot", 2, 2, hard=hard).train()
    memory = attention.memory(SequenceBatch(torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])))
    queries = torch.tensor([0.3, 1.0]).expand(1, 20_000, 2)
    drawn = attention(queries, memory)[1].detach().mean(1)[0]
    torch.testing.assert_close(drawn, torch.tensor([0.0, 1.0, 1.3]).softmax(-1), atol=0.015, rtol=0)


@pytest.mark.parametrize(
    "options", [{}, {"attention_order": "after"}, {"attention_order": "after", "input_feeding": True}]
)
def test_the_mean_of_reinforce_over_all_draws_is_the_gradient_of_the_expected_likelihood(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = Captioner(
        GivenFeatures((1, 3), 4), 7, embedding_size=5, hidden_size=4, hard_attention="reinforce",
        **options,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    attention = network.decoder.attention
    assert attention is not None
    # Two words and the end; what follows is padding, for which a place is drawn all the same.
    target = SequenceBatch(torch.tensor([[6], [1], [2], [6], [0]]), torch.tensor([4]))
    batch = PairBatch(SequenceBatch(torch.randn(1, 1, 3, 4)), target)
    objective = ReinforcedObjective(network, entropy_weight=0.0).train()
    parameters = list(network.parameters())
    mean = [torch.zeros_like(weight) for weight in parameters]
    expected = torch.zeros(())
    for draws in product(range(3), repeat=4):

        def force(draws: tuple[int, ...] = draws) -> None:
            left = iter(draws)

            def draw(probabilities: Tensor) -> Tensor:
                return torch.tensor([[next(left) for _ in range(probabilities.shape[1])]])

            monkeypatch.setattr(attention, "draw", draw)

        force()
        decoded = network.decode(target.values[:-1], network.encode(batch.source))
        assert decoded.probabilities is not None
        assert decoded.weights is not None
        chance = (decoded.probabilities * decoded.weights).sum(-1).prod()
        scores = network.scores(decoded.readouts).log_softmax(-1)[:3, 0]
        expected = expected + chance * scores.gather(-1, target.values[1:4]).sum()
        force()
        objective.baseline.fill_(-4.0)
        loss = 3 * objective(batch).loss
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        mean = [own - chance.detach() * gradient for own, gradient in zip(mean, gradients, strict=True)]
    wanted = torch.autograd.grad(expected, parameters, allow_unused=True, materialize_grads=True)
    assert sum(bool(gradient.any()) for gradient in wanted) > 8
    for own, gradient in zip(mean, wanted, strict=True):
        torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-6)


def test_the_baseline_follows_the_likelihood_and_entropy_is_worth_what_is_said() -> None:
    torch.manual_seed(0)
    network = captioner(hard_attention="reinforce").train()
    target = SequenceBatch(torch.tensor([[8, 8, 8], [1, 2, 3], [4, 8, 6], [8, 0, 8]]), torch.tensor([4, 3, 4]))
    batch = PairBatch(SequenceBatch(PIXELS), target)
    objective = ReinforcedObjective(network, entropy_weight=0.0)
    torch.manual_seed(1)
    objective(batch)
    first = objective.baseline.item()
    torch.manual_seed(1)
    objective.baseline.fill_(-1.0)
    plain = objective(batch).loss
    assert objective.baseline.item() == pytest.approx(-0.9 + 0.1 * first)
    torch.manual_seed(1)
    objective.baseline.fill_(-1.0)
    objective.entropy_weight = 2.0
    with_entropy = objective(batch).loss
    torch.manual_seed(1)
    probabilities = network.decode(target.values[:-1], network.encode(batch.source)).probabilities
    assert probabilities is not None
    entropies = Categorical(probabilities).entropy()
    kept = torch.tensor([[True, True, True], [True, True, True], [True, False, True]])
    torch.testing.assert_close(plain - with_entropy, 2 * entropies[kept].mean(), rtol=1e-4, atol=1e-5)


def test_muon_moves_neither_embedding_nor_output_nor_what_is_frozen() -> None:
    network = captioner(tied=False)
    moved = {id(weight) for weight in network.hidden_matrices()}
    assert id(network.decoder.embedding.weight) not in moved
    assert id(network.decoder.output.weight) not in moved
    assert id(network.places.weight) in moved


def test_several_frames_are_refused() -> None:
    with pytest.raises(ArgumentError, match="a picture is a sequence of one frame, got 2"):
        captioner().encode(SequenceBatch(PIXELS.repeat(2, 1, 1, 1, 1)))
