"""Scenario files: what a run consists of, as data."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from siel_hil.errors import ScenarioError
from siel_node.region_eu868 import DEFAULT_CHANNELS_HZ, MAX_JOIN_DR

MAX_NODES: Final = 2000
"""More processes than one machine of this age can hold; reference runs end at 1000."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Spot(_Strict):
    """A point, metres east and north of the scenario's origin."""

    x_m: float
    y_m: float


class Ring(_Strict):
    """Somewhere between two distances from the origin; the seed decides where."""

    ring_m: Annotated[list[Annotated[float, Field(gt=0, le=100_000)]], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _ordered(self) -> Ring:
        if self.ring_m[0] > self.ring_m[1]:
            raise ValueError("the nearer distance comes first")
        return self


class HeadPlan(_Strict):
    """What one single-chip head listens to."""

    frequency_hz: int
    spreading_factor: Annotated[int, Field(ge=7, le=12)] = 7


class Run(_Strict):
    """The table [scenario]."""

    seed: Annotated[int, Field(ge=0)] = 1
    duration_s: Annotated[int, Field(gt=0, le=400 * 86_400)]


class Gateway(_Strict):
    """A table [[gateway]]: where it stands and what it hears with."""

    kind: Literal["heads", "concentrator"] = "heads"
    place: Spot = Spot(x_m=0.0, y_m=0.0)
    antenna_gain_db: float = 2.0
    heads: tuple[HeadPlan, ...] = tuple(HeadPlan(frequency_hz=hz) for hz in DEFAULT_CHANNELS_HZ)
    """Used when kind is "heads"."""


class Node(_Strict):
    """A table [[node]]: ``count`` boards of one template."""

    template: Literal["water_level", "climate"]
    count: Annotated[int, Field(ge=1, le=MAX_NODES)] = 1
    place: Spot | Ring
    interval_s: Annotated[int, Field(ge=5, le=86_400)] = 900
    join_dr: Annotated[int, Field(ge=0, le=MAX_JOIN_DR)] = MAX_JOIN_DR
    confirmed: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Every so many uplinks one asks for an acknowledgement, 0 for none."""


class Expect(_Strict):
    """A table [[expect]]: one figure of the report and what it must be."""

    metric: str
    equals: int | float | None = None
    at_least: int | float | None = None
    at_most: int | float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Expect:
        if self.equals is None and self.at_least is None and self.at_most is None:
            raise ValueError("needs equals, at_least or at_most")
        return self

    def fault(self, value: float) -> str | None:
        """Return what is wrong with ``value``; None when it is as expected."""
        if self.equals is not None and value != self.equals:
            return f"{self.metric} is {value}, expected {self.equals}"
        if self.at_least is not None and value < self.at_least:
            return f"{self.metric} is {value}, expected at least {self.at_least}"
        if self.at_most is not None and value > self.at_most:
            return f"{self.metric} is {value}, expected at most {self.at_most}"
        return None


class Scenario(_Strict):
    """A whole scenario file."""

    scenario: Run
    gateway: Annotated[tuple[Gateway, ...], Field(min_length=1, max_length=1)]
    """One gateway in this version."""
    node: Annotated[tuple[Node, ...], Field(min_length=1)]
    expect: tuple[Expect, ...] = ()

    @model_validator(mode="after")
    def _not_too_many(self) -> Scenario:
        total = sum(node.count for node in self.node)
        if total > MAX_NODES:
            raise ValueError(f"{total} nodes are too many, {MAX_NODES} at most")
        return self


def shipped() -> list[str]:
    """Return the names of the scenarios that ship."""
    return sorted(Path(entry.name).stem for entry in resources.files("siel_hil").joinpath("scenarios").iterdir())


def load(name: str) -> Scenario:
    """Load a scenario file, or one that ships by its name.

    Raises:
        ScenarioError: There is none, or it is not one; the message has a line for each fault.
    """
    path = Path(name)
    if path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"cannot read the scenario {name}: {error}") from error
    elif name in shipped():
        text = resources.files("siel_hil").joinpath("scenarios", f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise ScenarioError(f"there is no scenario {name!r}; give a .toml file or one of: {', '.join(shipped())}")
    return parse(text, name)


def parse(text: str, name: str) -> Scenario:
    """Read a scenario from TOML text; ``name`` says where it comes from.

    Raises:
        ScenarioError: As for ``load``.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: not TOML: {error}") from error
    try:
        # by way of JSON types: strict, yet a TOML array may fill a tuple
        return Scenario.model_validate_json(msgspec.json.encode(data))
    except ValidationError as error:
        found = error.errors()
        # an array that is short only because its members are broken is no fault of its own
        own = [
            fault
            for fault in found
            if not any(len(other["loc"]) > len(fault["loc"]) == _shared(other["loc"], fault["loc"]) for other in found)
        ]
        faults = (f"{name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in own)
        raise ScenarioError("\n".join(faults)) from error


def _shared(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> int:
    return sum(1 for a, b in zip(one, other, strict=False) if a == b)
