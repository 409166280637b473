from __future__ import annotations

from pathlib import Path

import pytest

from throughtime.commands.training_runs import for_sample, output_folder, takes_sample
from throughtime.errors import ArgumentError
from throughtime.tasks.network_training import TrainingSettings


def test_a_sample_is_for_runs_that_begin(tmp_path: Path) -> None:
    assert takes_sample(tmp_path, sample=True, has_data=False, resume=False)
    assert not takes_sample(tmp_path, sample=False, has_data=True, resume=False)
    assert takes_sample(tmp_path, sample=True, has_data=False, resume=True)  # nothing to go on with
    (tmp_path / "config.json").touch()
    assert not takes_sample(tmp_path, sample=True, has_data=False, resume=True)
    with pytest.raises(ArgumentError, match="give data or --sample, not both"):
        takes_sample(tmp_path, sample=True, has_data=True, resume=False)
    with pytest.raises(ArgumentError, match="give --output"):
        output_folder(None)


def test_what_the_user_says_of_the_length_stays() -> None:
    assert for_sample(TrainingSettings(), {"epochs": 3.0}).epochs == 3.0
    assert for_sample(TrainingSettings(steps=7), {"epochs": 3.0}).epochs is None
    best = {"time_budget": "60s", "learning_rate": 0.5}
    chosen = for_sample(TrainingSettings(learning_rate=0.25), best)
    assert (chosen.time_budget, chosen.learning_rate) == ("60s", 0.25)
    chosen = for_sample(TrainingSettings(steps=7), best)
    assert (chosen.time_budget, chosen.steps, chosen.learning_rate) == (None, 7, 0.5)
