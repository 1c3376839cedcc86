"""What can go wrong with a simulated world, one class per reaction of the caller."""

from __future__ import annotations


class HilError(Exception):
    """Root of the harness's own errors."""


class ParticipantError(HilError):
    """A participant died, hung or broke the exchange: the run is void.

    Attributes:
        participant: Its name in the scenario.
    """

    def __init__(self, participant: str, reason: str) -> None:
        super().__init__(f"{participant}: {reason}")
        self.participant = participant


class WorldStuckError(HilError):
    """Nothing is left to happen and somebody still waits, or time does not move."""


class ScenarioError(HilError):
    """A scenario cannot be run as written; each line of the message names one fault."""


class ImageError(HilError):
    """A firmware image could not be staged."""
