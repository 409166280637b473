"""The model cards of networks of numeric sequences and time series."""

from __future__ import annotations

from typing import Any

from throughtime.models import (
    RecurrentAutoencoder,
    RecurrentSequenceClassifier,
)
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.tasks import (
    anomaly_detection,
    sequence_classification,
)
from throughtime.tasks.forecasting import ForecastData
from throughtime.tasks.forecasting_settings import Settings as ForecastSettings
from throughtime.tasks.model_card import classifier_card, training_figures, weights_of, write_card
from throughtime.training import ModelFolder


def sequence_classifier_card(
    folder: ModelFolder,
    settings: sequence_classification.Settings,
    data: sequence_classification.ClassifiedSequences,
    network: RecurrentSequenceClassifier,
) -> None:
    """Write the model card of a classifier of numeric sequences into its folder."""
    channels = data.splits.train.channels
    reads = f"{len(channels)} numbers a step ({', '.join(channels[:12])}{', ...' if len(channels) > 12 else ''})"
    title = "A classifier of sequences of numbers"
    classifier_card(folder, title, settings, data.splits, data.targets, network, reads=reads, example="DATA")


def forecaster_card(
    folder: ModelFolder, settings: ForecastSettings, data: ForecastData, network: ForecastEnsemble
) -> None:
    """Write the model card of a forecaster into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**loss {best['validation_loss']:.4f}** in units of the seasonal naive forecast's error"

    write_card(
        folder,
        "A forecaster",
        f"{settings.name}, {settings.members} networks of {settings.hidden_size} units on a window of "
        f"{settings.window} values, {settings.horizon} steps ahead; {weights_of(network)}.",
        training_figures(folder, network, "Best validation", reached),
        data=[f"- {line}" for line in data.table.description()],
        settings=settings,
        use=[
            f"throughtime forecast predict {folder.path.name}",
            f"throughtime forecast evaluate {folder.path.name} DATA",
        ],
    )


def anomaly_detector_card(
    folder: ModelFolder,
    settings: anomaly_detection.Settings,
    data: anomaly_detection.AnomalyData,
    network: RecurrentAutoencoder,
) -> None:
    """Write the model card of an anomaly detector into its folder."""

    def reached(best: dict[str, Any]) -> str:
        return f"**mean squared error {best['validation_loss']:.4f}** in deviations"

    write_card(
        folder,
        "An anomaly detector",
        f"{settings.name}, windows of {settings.window} steps; {weights_of(network)}.",
        training_figures(folder, network, "Best validation", reached),
        data=[f"- {line}" for line in data.table.description()],
        settings=settings,
        use=[
            f"throughtime autoencode detect {folder.path.name} DATA --figure odd.png",
            f"throughtime autoencode encode {folder.path.name} DATA -o vectors.npy",
        ],
    )
