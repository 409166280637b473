from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.models import ConvolutionalEncoder, FullyConnectedEncoder, GivenFeatures, with_coordinates

PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8))
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_convolutional_encoder_is_what_torch_computes_for_the_same_stages(batch_norm: bool) -> None:
    encoder = ConvolutionalEncoder((8, 12, 3), MEAN, STD, channels=(4, 5), convolutions=2, batch_norm=batch_norm)
    plain = nn.Sequential()
    before = 3
    for count in (4, 5):
        for _ in range(2):
            plain.append(nn.Conv2d(before, count, 3, padding=1, bias=not batch_norm))
            plain += nn.Sequential(nn.BatchNorm2d(count), nn.ReLU()) if batch_norm else nn.Sequential(nn.ReLU())
            before = count
        plain.append(nn.MaxPool2d(2))
    for own, theirs in zip(encoder.parameters(), plain.parameters(), strict=True):
        theirs.data.copy_(own)
    values = PIXELS.permute(0, 3, 1, 2).float() / 255
    values = (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    expected = plain(values)
    vectors = encoder(PIXELS)
    assert encoder.grid == (2, 3)
    assert vectors.shape == (3, 6, 5)
    torch.testing.assert_close(vectors.transpose(1, 2).reshape(3, 5, 2, 3), expected)


@given(height=st.integers(4, 17), width=st.integers(4, 17), channels=st.sampled_from([1, 3]))
@settings(max_examples=15)
def test_the_grid_is_what_comes_out(height: int, width: int, channels: int) -> None:
    encoder = ConvolutionalEncoder((height, width, channels), channels=(2, 3)).eval()
    vectors = encoder(torch.zeros(2, height, width, channels, dtype=torch.uint8))
    assert vectors.shape == (2, encoder.places, encoder.output_size)
    assert encoder.grid == (math.ceil(height / 4), math.ceil(width / 4))


def test_the_last_row_and_column_are_seen_where_halves_are_odd() -> None:
    encoder = ConvolutionalEncoder((75, 75, 3), channels=(4, 4, 4, 4)).eval()
    assert encoder.grid == (5, 5)
    dark, lit = torch.zeros(2, 1, 75, 75, 3, dtype=torch.uint8)
    lit[:, 74, 74] = 255
    with torch.no_grad():
        changed = (encoder(lit) - encoder(dark)).abs().sum(-1)[0]
    assert changed[24] > 0


def test_the_feed_forward_encoder_gives_one_vector_and_reads_every_pixel() -> None:
    encoder = FullyConnectedEncoder((8, 12, 3), hidden_sizes=(7, 5)).eval()
    assert encoder(PIXELS).shape == (3, 1, 5)
    assert encoder.layers[0].weight.shape == (7, 8 * 12 * 3)


def test_given_features_come_out_as_they_went_in() -> None:
    features = torch.randn(2, 6, 4)
    assert (GivenFeatures((2, 3), 4)(features) == features).all()
    with pytest.raises(ArgumentError, match="`features` must have shape"):
        GivenFeatures((2, 3), 5)(features)


def test_coordinates_run_from_the_upper_left_to_the_lower_right() -> None:
    found = with_coordinates(torch.zeros(1, 6, 4), (2, 3))[0, :, 4:]
    assert found.tolist() == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ArgumentError, match="3 stages, each of which halves the picture, and it has 4 x 9 pixels"):
        ConvolutionalEncoder((4, 9, 3), channels=(1, 1, 1))
    with pytest.raises(ArgumentError, match=r"`pixels` must have shape \(pictures, 8, 12, 3\)"):
        ConvolutionalEncoder((8, 12, 3))(PIXELS[:, :, :8])
