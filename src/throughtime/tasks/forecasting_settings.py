"""The settings of a forecaster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from throughtime.data.series_columns import SeriesColumns
from throughtime.errors import ArgumentError, check_choice
from throughtime.models.forecast_outputs import ForecastOutput, build_output
from throughtime.tasks.network_training import CellName, TrainingSettings
from throughtime.tasks.settings import Duration, Positive, Probability


def _checked_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    for level in levels:
        if not 0 < level < 100:
            raise ArgumentError(f"a level is a percentage between 0 and 100, such as 90, got {level:g}")
    return tuple(sorted(set(levels)))


class Settings(TrainingSettings):
    """Settings of a forecaster. What is None is chosen from the data."""

    horizon: Positive | None = None
    """Steps to forecast; from the data's frequency by default, such as 12 months or 14 days."""
    target: tuple[str, ...] = ()
    """The column of the values; several are a series each. Recognised by default."""
    time_column: str | None = None
    """The column of the stamps."""
    id_column: str | None = None
    """The column that names the series of each row."""
    past_covariates: tuple[str, ...] = ()
    """Columns that are known up to the present; all for those that are left."""
    future_covariates: tuple[str, ...] = ()
    """Columns that are known ahead, such as holidays or prices; all for those that are left."""
    static_covariates: tuple[str, ...] = ()
    """Columns that say something of a series as a whole."""
    frequency: str | None = None
    """How far apart the values are, such as hourly, business, monthly or 15min; inferred by default."""
    start: str | None = None
    """The stamp of the first value, where the data has none."""
    time_zone: str | None = None
    """Where the stamps are from, such as Europe/Berlin, if clocks are set there and the stamps don't say so."""
    date_format: str | None = None
    """How stamps are written, such as %d.%m.%Y; recognised by default."""
    encoding: str | None = None
    """The file's encoding; UTF-8, or else recognised and told, by default."""
    calendar: bool = True
    """Whether the network is told the time of day, week and year."""

    network: Literal["recurrent", "feed-forward", "linear"] = "recurrent"
    """What reads the past: recurrent layers, a feed-forward network on a window, or one linear layer on it."""
    strategy: Literal["direct", "recursive"] = "direct"
    """Whether all of the horizon is forecast at once, or step by step, each forecast being fed back."""
    distribution: Literal["quantiles", "point", "normal", "student-t", "negative-binomial"] = "quantiles"
    """What is forecast: quantiles, a point alone, or the parameters of a distribution (for counts a binomial)."""
    error: Literal["absolute", "squared"] = "absolute"
    """The error of a point that training lowers."""
    logarithms: bool | None = None
    """Whether it is the values' logarithms that are learned, and forecasts are brought back from them; where a linear
    forecast of the training part errs less so, by default. All values must be above zero."""
    level: Annotated[tuple[float, ...], AfterValidator(_checked_levels)] = (80.0, 90.0)
    """The intervals, in per cent of the future values that are to lie in them."""
    season: Positive | None = None
    """Steps of a season; from the frequency by default."""
    window: Positive | None = None
    """Values that are read at each step; of several lengths the one that serves a linear forecast best, by default."""
    context: Positive | None = None
    """Steps that the recurrent layers read before a forecast."""
    validation: Positive | None = None
    """Steps at the end of each series that are kept to see when to stop; about a tenth by default."""

    cell: CellName = "lstm"
    hidden_size: Positive | None = None
    """Units of a layer."""
    num_layers: Positive = 1
    """Layers, one above the other."""
    dropout: Probability = 0.3
    """Probability of dropping a unit."""
    members: Positive | None = None
    """Networks that are trained side by side from other weights, whose forecasts are averaged."""
    batch_size: Positive = 32
    """Windows of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.01
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    optimizer: Annotated[str, AfterValidator(lambda name: name)] = "adamw"
    """The optimiser: adamw, sgd, or muon for the recurrent matrices and AdamW for the rest."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        check_choice("optimizer", self.optimizer, ("muon", "adamw", "sgd"))
        if self.start is not None and self.time_column is not None:
            raise ArgumentError("give one of `start` and `time_column`")
        if self.logarithms and not self.may_take_logarithms:
            raise ArgumentError("`logarithms` go with `distribution` quantiles, or a point of the absolute error")
        return self

    @property
    def may_take_logarithms(self) -> bool:
        """Whether what is forecast are quantiles, which logarithms keep: a mean or another distribution they don't."""
        return self.distribution == "quantiles" or (self.distribution == "point" and self.error == "absolute")

    @property
    def columns(self) -> SeriesColumns:
        """What the user says of the table's columns."""
        return SeriesColumns(
            self.time_column,
            self.id_column,
            self.target,
            self.past_covariates,
            self.future_covariates,
            self.static_covariates,
            self.frequency,
            self.time_zone,
            self.date_format,
            self.start,
        )

    @property
    def name(self) -> str:
        """The column of the forecasts, such as LSTM."""
        if self.network == "recurrent":
            return "RNN" if self.cell.startswith("rnn") else self.cell.upper()
        return "MLP" if self.network == "feed-forward" else "Linear"

    @property
    def steps_ahead(self) -> int:
        """How many steps the network forecasts at once."""
        return 1 if self.strategy == "recursive" else self.complete("horizon")

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Those of the median and of the ends of the intervals."""
        ends = [(100 + sign * level) / 200 for level in self.level for sign in (-1, 1)]
        return tuple(sorted({0.5, *(round(end, 6) for end in ends)}))

    def complete(self, name: str) -> int:
        """A number that has been filled in."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"`{name}` has not been chosen yet")
        return int(value)

    def new_output(self) -> ForecastOutput:
        """What the scores mean."""
        return build_output(self.distribution, probabilities=self.probabilities, error=self.error)
