"""Whether a new schema still reads what devices of the old one send, and what old decoders make of new frames.

Two ways lead to each verdict: the layouts are compared field by field, which gives the reason; and frames are made from
the sender's schema and decoded by both, which is the proof. They have to agree; where they do not, the worse holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from siel_codecs.codec import Decoded, SchemaCodec
from siel_codecs.schema.evolution.codes import Break, equal
from siel_codecs.schema.evolution.frames import boundaries, frames
from siel_codecs.schema.evolution.run import Known
from siel_codecs.schema.evolution.walk import breaks, first_source
from siel_codecs.schema.model import Device, Message, Port

Outcome = Literal["same", "partial", "refused", "misread"]
"""What a receiver makes of a frame: the same; less, but nothing wrong; an error; something that was never said."""
_WORST: Final[tuple[Outcome, ...]] = ("same", "partial", "refused", "misread")
_RECV_MS: Final = 1_767_225_600_000
_LAST_PORT: Final = 223
"""Of the ports that applications may use. Source: TS001-1.0.4, section 4.3.2."""


class Witness(msgspec.Struct, frozen=True):
    """A frame that shows it."""

    f_port: int
    payload: bytes
    sent: dict[str, Any]
    """What its sender says with it."""
    read: dict[str, Any]
    """What the receiver makes of it."""
    errors: tuple[str, ...]
    """Why the receiver refuses it, where it does."""


class Check(msgspec.Struct, frozen=True):
    """What becomes of one message."""

    direction: Literal["up", "down"]
    f_ports: tuple[int, ...]
    version: int | None
    name: str
    """Of the command, or the message's title."""
    outcome: Outcome
    breaks: tuple[Break, ...]
    witness: Witness | None
    frames: int
    """How many were decoded by both."""
    proven: bool
    """Whether the reasons and the decoded frames agree."""
    advice: str
    """What to do about it; empty when nothing is wrong."""


class Evolution(msgspec.Struct, frozen=True):
    """One step from an old schema to a new one."""

    old: str
    new: str
    kept: tuple[Check, ...]
    """Every message of the old schema as the new one reads it."""
    newer: tuple[Check, ...]
    """Every message of the new schema as the old one reads it."""

    @property
    def decodes(self) -> bool:
        """Whether the new schema reads all frames of old devices as before."""
        return all(check.outcome == "same" for check in self.kept)

    @property
    def safe(self) -> bool:
        """Whether old decoders never take a frame of a new device for something else."""
        return all(check.outcome != "misread" for check in self.newer)

    @property
    def proven(self) -> bool:
        """Whether reasons and proof agree everywhere; if not, the fault is in this module."""
        return all(check.proven for check in (*self.kept, *self.newer))


def compare(old: Device, new: Device, seed: int = 0) -> Evolution:
    """Return what a new schema makes of an old device's frames, and an old schema of a new device's.

    Args:
        old: What is in the field.
        new: What is to replace it.
        seed: Of the random ones among the frames that prove it.
    """
    old_codec, new_codec = SchemaCodec(old), SchemaCodec(new)
    return Evolution(
        old.name,
        new.name,
        tuple(_checks(old_codec, new_codec, seed, forward=False)),
        tuple(_checks(new_codec, old_codec, seed, forward=True)),
    )


def judge(sent: Decoded, read: Decoded) -> Outcome:
    """Return what a receiver makes of a frame, told from what its sender says with it."""
    if read.errors:
        return "refused"
    samples = list(zip(sent.samples, read.samples, strict=False))
    if len(sent.samples) != len(read.samples) or any(
        (one.time_ms, one.age_ms) != (other.time_ms, other.age_ms) for one, other in samples
    ):
        return "misread"
    found = [_data(sent.data, read.data), *(_data(one.data, other.data) for one, other in samples)]
    names = {*read.data, *(name for sample in read.samples for name in sample.data)}
    if any(sent.units.get(name) != read.units.get(name) for name in names):
        found.append("misread")
    if any(warning not in read.warnings for warning in sent.warnings):
        found.append("partial")
    return max(found, key=_WORST.index)


def _data(sent: dict[str, Any], read: dict[str, Any]) -> Outcome:
    if any(name not in sent or not equal(sent[name], value) for name, value in read.items()):
        return "misread"
    return "same" if len(sent) == len(read) else "partial"


def _checks(sender: SchemaCodec, receiver: SchemaCodec, seed: int, *, forward: bool) -> Iterator[Check]:
    for port in sender.device.ports:
        for message in port.messages:
            yield _check(sender, receiver, port, message, seed, forward=forward)


def _check(
    sender: SchemaCodec, receiver: SchemaCodec, port: Port, message: Message, seed: int, *, forward: bool
) -> Check:
    reasons: list[Break] = []
    outcome: Outcome = "same"
    witness: Witness | None = None
    count, kept_version = 0, False
    for f_port in _ports(sender.device, receiver.device, port):
        read, why = _reader(receiver.device, port, message, f_port)
        found = [why] if why else breaks(message, read) if read else []
        kept_version = kept_version or (read is not None and message.version is not None and bool(found))
        reasons += [each for each in found if each not in reasons]
        hints = boundaries(read) if read else {}
        for each in found:
            if each.code is not None:
                hints.setdefault(each.field, []).append(each.code)
        for payload in frames(message, hints, seed):
            sent = _decode(sender, port, f_port, payload)
            if sent.errors:
                continue
            count += 1
            seen = _decode(receiver, port, f_port, payload)
            verdict = judge(sent, seen)
            if _WORST.index(verdict) > _WORST.index(outcome):
                outcome = verdict
                witness = Witness(f_port, payload, sent.data, seen.data, tuple(seen.errors))
    certain = any(each.certain for each in reasons)
    proven = bool(reasons) if witness else not certain
    if witness is None:
        outcome, reasons = ("partial", reasons) if certain else ("same", [])
    advice = "" if outcome == "same" else _advice(port, outcome, kept_version=kept_version, forward=forward)
    return Check(
        port.direction,
        port.f_ports,
        message.version,
        message.name or message.title,
        outcome,
        tuple(reasons),
        witness,
        count,
        proven,
        advice,
    )


def _decode(codec: SchemaCodec, port: Port, f_port: int, payload: bytes) -> Decoded:
    return codec.decode(f_port, payload, _RECV_MS) if port.direction == "up" else codec.decode_downlink(f_port, payload)


def _ports(sender: Device, receiver: Device, port: Port) -> list[int]:
    """Return the ports to look at: for a message of any port one, and those that the receiver has for itself."""
    if port.f_ports:
        return list(port.f_ports)
    own = {f_port for other in sender.ports if other.direction == port.direction for f_port in other.f_ports}
    theirs = {f_port for other in receiver.ports if other.direction == port.direction for f_port in other.f_ports}
    free = next(f_port for f_port in range(1, _LAST_PORT + 1) if f_port not in own | theirs)
    return [free, *sorted(theirs - own)]


def _reader(receiver: Device, port: Port, message: Message, f_port: int) -> tuple[Message | None, Break | None]:
    """Return the receiver's message that reads these frames, or why there is none."""
    ports = [other for other in receiver.ports if other.direction == port.direction]
    found = next((other for other in ports if f_port in other.f_ports), None)
    found = found or next((other for other in ports if not other.f_ports), None)
    if found is None:
        return None, Break(f"port {f_port}", "port", "is not one of its ports any more")
    selector = found.selector
    if selector is None:
        return found.messages[0], None
    source = first_source(message, selector.bits)
    if not isinstance(source, Known):
        what = "the version" if found.messages[0].version is not None else selector.title
        return None, Break(what, "version", f"is read from the first {selector.bits} bits, where data stood")
    for other in found.messages:
        first = other.items[0]
        if getattr(first, "code", None) == source.code:
            return other, None
    if found.messages[0].version is not None:
        return None, Break(f"version {source.code}", "version", "is not known any more")
    return None, Break(selector.title, "version", f"{source.code} is not known any more")


def _advice(port: Port, outcome: Outcome, *, kept_version: bool, forward: bool) -> str:
    table = "uplink" if port.direction == "up" else "downlink"
    if forward:
        if outcome != "misread":
            return ""
        return (
            f"give the new layout a version of its own (or another f_port), so that old decoders refuse it: [[{table}]]"
        )
    if kept_version:
        return f"this version keeps its number but not its layout: give it a new version and keep the old [[{table}]]"
    return f"keep the old [[{table}]] in the file, and give the new one a version or an f_port of its own"
