"""Fills in the settings of a language model that the user left open."""

from __future__ import annotations

import time

import torch

from throughtime.data import largest_batch_size
from throughtime.tasks.language_modelling import Settings, TextData, build_model, lanes_of
from throughtime.tasks.network_training import optimizers_of
from throughtime.tasks.sizing import Size, choose_dropout, choose_size
from throughtime.training import Processes, autocast, choose_precision, next_token_loss


def size_settings(settings: Settings, data: TextData, processes: Processes) -> Settings:
    """Fill in what the user left open, from the text's size and the time there is."""
    if settings.is_open_ended:
        settings = settings.replaced(time_budget="10m")
    vocabulary_size = data.tokenizer.vocabulary_size
    tokens = len(data.train)
    most_lanes = max(1, largest_batch_size(tokens, settings.bptt) // (8 * processes.count))
    batch_size = settings.batch_size or min(64, most_lanes)
    settings = settings.replaced(
        precision=choose_precision(settings.precision, processes.device), batch_size=batch_size
    )
    lanes_of(data, settings, processes)  # refuses a text that is too short before time is spent on it
    window = settings.bptt * batch_size * processes.count
    reading = settings.epochs * tokens if settings.epochs else settings.steps and settings.steps * window

    def filled(size: Size) -> Settings:
        hidden_size = settings.hidden_size or size.hidden_size
        embedding_size = min(128, hidden_size) if vocabulary_size <= 512 else hidden_size
        return settings.replaced(
            hidden_size=hidden_size,
            num_layers=settings.num_layers or size.num_layers,
            embedding_size=settings.embedding_size or embedding_size,
            dropout=settings.dropout or 0.0,
        )

    def measure(size: Size) -> float:
        return processes.first(seconds_per_token(filled(size), vocabulary_size, processes.device)) / processes.count

    seconds = settings.seconds
    if settings.hidden_size or settings.num_layers:
        size = Size(settings.num_layers or 1, settings.hidden_size or 256)
        reading = reading or (seconds or 0.0) / measure(size)
    else:
        size, reading = choose_size(tokens, reading=reading, seconds=seconds, measure=measure)
    complete = filled(size)
    if settings.dropout is not None:
        return complete
    weights = size.weights(complete.embedding_size or 0)
    return complete.replaced(dropout=choose_dropout(reading / tokens, weights / tokens))


def seconds_per_token(settings: Settings, vocabulary_size: int, device: torch.device) -> float:
    """How long a network of these settings takes to train on a token, tried out on a few steps of random ones."""
    with torch.random.fork_rng():
        network = build_model(settings, vocabulary_size).to(device)
        shape = (settings.bptt, settings.batch_size or 1)
        tokens = torch.randint(vocabulary_size, shape, device=device)
        optimizers = optimizers_of(list(network.parameters()), network.hidden_matrices(), settings)
        times: list[float] = []
        for _ in range(4):
            begun = time.perf_counter()
            with autocast(settings.precision, device):
                scores, _ = network(tokens)
            loss = next_token_loss(scores, tokens)
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            loss.item()  # waits for a device that works on its own
            times.append(time.perf_counter() - begun)
    return sorted(times[1:])[1] / tokens.numel()
