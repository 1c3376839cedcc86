"""What can go wrong in the codecs; one class per reaction of the caller.

    CodecError
        FrameError            the bytes are no LoRaWAN frame: count them and go on
            MicError          the frame is sound, the key is not its own: try the next key
        MacCommandError       a MAC command sequence ends here: keep what came before it
        BuildError            the caller asked for a frame that cannot exist: a fault of the caller, not of a peer
        PayloadError          an application payload cannot be made from these values
        SchemaError           a schema file is wrong: show every fault to whoever wrote it
        EmitError             a target cannot express this schema: nothing is generated
        UnknownCodecError     no such codec: show the names there are

No message carries a key. Attributes carry the data, the text is made from them.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW: Final = 12
_MOST: Final = 140
"""Longer than the name of any codec."""


class CodecError(Exception):
    """Root of everything this package raises on purpose."""


class FrameError(CodecError):
    """The bytes are not a LoRaWAN frame.

    Args:
        reason: What is wrong, for a person.
        offset: Index of the first byte that does not fit, from 0.
    """

    def __init__(self, reason: str, *, offset: int = 0) -> None:
        """Keep the place beside the reason."""
        super().__init__(f"{reason} (byte {offset})")
        self.reason, self.offset = reason, offset


class MicError(FrameError):
    """The MIC does not fit the key that was tried."""

    def __init__(self, what: str, *, offset: int, mic: bytes) -> None:
        """``mic`` is the code that the frame carries."""
        super().__init__(f"the MIC of this {what} does not fit the key", offset=offset)
        self.mic = mic


class MacCommandError(CodecError):
    """A MAC command sequence stops making sense at ``offset``."""

    def __init__(self, reason: str, *, cid: int, offset: int) -> None:
        """``cid`` is the command identifier found at ``offset``."""
        super().__init__(f"{reason}: CID 0x{cid:02x} at byte {offset}")
        self.reason, self.cid, self.offset = reason, cid, offset


class BuildError(CodecError):
    """A frame or command with these values does not exist in the specification."""

    def __init__(self, field: str, reason: str) -> None:
        """``field`` names the argument at fault."""
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class PayloadError(CodecError):
    """An application payload cannot be made from these values."""

    def __init__(self, codec: str, reason: str, *, field: str | None = None) -> None:
        """``field`` names the value at fault, None where none is."""
        super().__init__(f"{codec}: {field + ': ' if field else ''}{reason}")
        self.codec, self.field, self.reason = codec, field, reason


class SchemaError(CodecError):
    """A payload schema is wrong; every fault that could be found is in ``faults``."""

    def __init__(self, file: str, faults: Sequence[SchemaFault]) -> None:
        """``file`` is the path as the caller gave it."""
        super().__init__("\n".join(fault.text(file) for fault in faults))
        self.file, self.faults = file, tuple(faults)


class SchemaFault:
    """One fault of a schema file: where and why."""

    __slots__ = ("field", "line", "reason")

    def __init__(self, field: str, reason: str, line: int | None = None) -> None:
        """``field`` is the key's path in the file, such as ``uplink[0].field[2].type``; ``line`` counts from 1."""
        self.field, self.reason, self.line = field, reason, line

    def text(self, file: str) -> str:
        """Return the fault as one line for a person."""
        place = file if self.line is None else f"{file}:{self.line}"
        return f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"


class EmitError(CodecError):
    """A target cannot express something that the schema says; there is no silent fallback."""

    def __init__(self, codec: str, target: str, field: str, reason: str) -> None:
        """``field`` names what cannot be expressed."""
        super().__init__(f"{codec}: target {target}: {field}: {reason}")
        self.codec, self.target, self.field, self.reason = codec, target, field, reason


class UnknownCodecError(CodecError):
    """No codec of this name is known."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        """``known`` are the names there are; the text shows those that look like it, or all while they are few."""
        of_vendor = [each for each in known if each.startswith(f"{name.partition('/')[0]}/")]
        near = (
            get_close_matches(name, of_vendor or known, 5, 0.5) or [each for each in known if name and name in each][:5]
        )
        if len(known) <= _FEW:
            hint = f"known: {', '.join(known) or 'none'}"
        else:
            shown = f"near: {', '.join(near)}" if near else "none is near"
            hint = f"{shown} ({len(known)} are known)"
        super().__init__(f"no codec is called {name[:_MOST]!r}; {hint}")
        self.name, self.known = name, tuple(known)
