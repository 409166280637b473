from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from throughtime.data import Picture
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import Run
from throughtime.tasks.pretrained_backbones import load_pretrained
from throughtime.training import Display, ModelFolder, Processes

PICTURES = list(np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), dtype=np.uint8))
PLACES = [str(number) for number in range(9)]


def inputs(reader: PictureReader, pictures: Sequence[Picture]) -> torch.Tensor:
    return torch.from_numpy(np.array(reader.frames(pictures).array))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbones") / "resnet"
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(folder)
    how = {
        "size": {"shortest_edge": 40},
        "do_center_crop": True,
        "crop_size": 32,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.5, 0.6, 0.7],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(how), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbones") / "vit"
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=32, patch_size=8
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}', encoding="utf-8")
    return folder


def test_a_resnet_from_a_folder_gives_what_transformers_computes(resnet: Path) -> None:
    reader = choose_reader(PICTURES, ImageSettings(backbone=str(resnet)), spatial=True)
    assert reader.backbone is not None
    assert reader.backbone.grid == (4, 4)
    pixels = torch.from_numpy(np.stack(PICTURES)[:, 4:36, 4:36]).permute(0, 3, 1, 2) / 255
    values = (pixels - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    with torch.inference_mode():
        expected = transformers.AutoModel.from_pretrained(resnet).eval()(values).last_hidden_state
    found = inputs(reader, PICTURES)
    torch.testing.assert_close(found.transpose(1, 2).reshape(9, 16, 4, 4), expected)
    whole = choose_reader(PICTURES, ImageSettings(backbone=str(resnet)), spatial=False)
    torch.testing.assert_close(inputs(whole, PICTURES)[:, 0], expected.mean((2, 3)))


def test_a_vit_gives_its_class_token_or_its_patches(vit: Path) -> None:
    network = transformers.AutoModel.from_pretrained(vit, add_pooling_layer=False).eval()
    pictures = [picture[:32, :32] for picture in PICTURES]
    for spatial in (True, False):
        encoder, how = load_pretrained(str(vit), spatial=spatial)
        pixels = torch.from_numpy(np.stack(pictures))
        with torch.inference_mode():
            hidden = network(encoder.normalised(pixels)).last_hidden_state
        torch.testing.assert_close(
            inputs(PictureReader(how, encoder), pictures), hidden[:, 1:] if spatial else hidden[:, :1]
        )
        assert encoder.grid == ((4, 4) if spatial else (1, 1))


def test_a_frozen_backbone_travels_in_the_model_folder(resnet: Path, tmp_path: Path) -> None:
    reader = choose_reader(PICTURES, ImageSettings(backbone=str(resnet)), spatial=False)
    folder = ModelFolder(tmp_path / "model")
    folder.create()
    run = Run(folder, Processes.join("cpu"), Display(quiet=True))
    assert prepare_pictures(reader, {"train": (PICTURES, PLACES)}, ImageSettings(), run) == {"train": []}
    again = PictureReader.load(folder)
    torch.testing.assert_close(inputs(again, PICTURES), inputs(reader, PICTURES), rtol=0, atol=0)
    np.testing.assert_allclose(open_pictures(folder, "train").array, inputs(again, PICTURES), rtol=1e-5, atol=1e-6)
    encoder = build_image_encoder(again, ImageSettings())
    assert (encoder.grid, encoder.output_size) == ((1, 1), 16)
    assert again.backbone is not None
    assert not any(weight.requires_grad for weight in again.backbone.parameters())
    (folder.path / "backbone.safetensors").write_bytes(b"short")
    with pytest.raises(ModelFolderError, match=r"backbone.safetensors: missing or damaged"):
        PictureReader.load(folder)


def test_a_fine_tuned_backbone_is_trained_from_its_weights(resnet: Path) -> None:
    reader = choose_reader(PICTURES, ImageSettings(backbone=str(resnet), fine_tune=True), spatial=True)
    backbone = reader.backbone
    assert backbone is not None
    assert build_image_encoder(reader, ImageSettings()) is backbone
    assert inputs(reader, PICTURES).dtype == torch.uint8
    backbone.train()(inputs(reader, PICTURES)).sum().backward()
    assert all(weight.grad is not None for weight in backbone.parameters())
    frozen, _ = load_pretrained(str(resnet), spatial=True)
    frozen.train()
    assert not frozen.network.training


def test_own_networks_get_pixels_whose_mean_and_deviation_were_measured(tmp_path: Path) -> None:
    reader = choose_reader(PICTURES, ImageSettings(), spatial=True)
    assert reader.preprocessing.shape == (40, 40, 3)
    folder = ModelFolder(tmp_path / "model")
    folder.create()
    run = Run(folder, Processes.join("cpu"), Display(quiet=True))
    prepare_pictures(reader, {"train": (PICTURES, PLACES)}, ImageSettings(), run)
    reader = PictureReader.load(folder)
    values = np.stack(PICTURES) / 255
    assert reader.preprocessing.mean == pytest.approx(values.mean((0, 1, 2)), abs=1e-4)
    assert reader.preprocessing.std == pytest.approx(values.std((0, 1, 2)), abs=1e-4)
    reader.save(folder)
    assert PictureReader.load(folder) == reader


def test_size_and_colours_are_those_of_the_pictures() -> None:
    grey = [np.repeat(picture[:28, :20, :1], 3, 2) for picture in PICTURES]
    assert choose_reader(grey, ImageSettings(), spatial=True).preprocessing.shape == (28, 20, 1)
    mixed = [PICTURES[0], PICTURES[1][:30]]
    assert choose_reader(mixed, ImageSettings(), spatial=True).preprocessing.shape == (64, 64, 3)
    asked = ImageSettings(image_size=16, grey=True, fit="pad")
    assert choose_reader(PICTURES, asked, spatial=True).preprocessing.shape == (16, 16, 1)


def test_a_backbone_that_is_not_there_says_what_to_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no connection.\nmore")

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", offline)
    with pytest.raises(
        DataError, match=r"can't be fetched \(no connection\); download config.json, preprocessor_config"
    ):
        load_pretrained("microsoft/resnet-18")
    with pytest.raises(DataError, match=r"has no config.json, so it is no network of transformers"):
        load_pretrained(str(tmp_path))
    with pytest.raises(ArgumentError, match="`fine_tune` needs a `backbone`"):
        choose_reader(PICTURES, ImageSettings(fine_tune=True), spatial=True)
