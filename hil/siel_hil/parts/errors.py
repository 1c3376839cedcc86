"""What can go wrong when a real program is wanted.

PartError              catch this one; its text names the cause and the next step
+-- FaultyPartError    what the user named (a variable) is not the program or is too old
+-- MissingPartError   it is not here and could not be fetched
"""

from __future__ import annotations


class PartError(Exception):
    """A program that Siel needs cannot be had.

    Args:
        name: The program.
        cause: What was found, one clause.
        remedy: The next step, usually a command.
    """

    def __init__(self, name: str, cause: str, remedy: str) -> None:
        super().__init__(f"{name}: {cause}. {remedy}")
        self.name, self.cause, self.remedy = name, cause, remedy


class FaultyPartError(PartError):
    """A variable names something that is not the program, does not start, or is too old."""


class MissingPartError(PartError):
    """The program is not on this machine and could not be fetched."""
