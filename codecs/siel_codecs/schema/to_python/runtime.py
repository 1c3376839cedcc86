"""What generated Python calls: what is the same in every codec and not worth a copy in each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from siel_codecs.codec import Decoded, Sample
from siel_codecs.errors import PayloadError
from siel_codecs.schema import words
from siel_codecs.schema.model import CHANNEL, MAX_PAYLOAD_BYTES, Absent

SPECIALS: Final = {absent.name.lower(): absent for absent in Absent if absent is not Absent.OUT_OF_RANGE}
_SURE: Final = 2.0**-50
"""More than the error of three roundings, relative to what is rounded."""


# Numbers


def scaled(value: Any, num: int, add: int, den: int) -> int | None:
    """Return the code nearest to ``(value * den - add) / num``, a tie away from zero of the value.

    ``value`` counts as the decimal that is written for it. None: it is no finite number.
    """
    kind = value.__class__
    if kind is int and -(1 << 64) < value < 1 << 64:
        top: int = 2 * (value * den - add)
        return (top + num) // (2 * num) if value >= 0 else -((num - top) // (2 * num))
    if kind is float:
        # The double beside the decimal, and the three roundings below, can be wrong by much less than _SURE.
        steps = (value * den - add) / num
        doubt = (abs(value * den) + abs(add)) * _SURE / num + abs(steps) * _SURE
        if doubt < 0.25:  # noqa: PLR2004 - also False for what is not finite
            whole: int = floor(steps)
            above: float = steps - whole - 0.5
            if abs(above) > doubt:
                return whole + 1 if above > 0 else whole
    if not isinstance(value, int | float | Fraction | Decimal) or kind is bool:
        return None
    try:
        exact = Fraction(str(value))
    except ValueError:  # nan, inf, or an integer of thousands of digits
        return None
    twice = 2 * (exact * den - add) / num
    return floor((twice + 1) / 2) if exact >= 0 else -floor((1 - twice) / 2)


def asked(codec: str, field: str, value: Any, specials: Mapping[str, int]) -> int:
    """Return the special code for no value, or for a text that asks for one.

    Raises:
        PayloadError: There is none, or the value is neither.
    """
    absent = SPECIALS.get(value) if isinstance(value, str) else None
    if value is None or absent is not None:
        code = specials.get("not_available" if value is None else value)
        if code is not None:
            return code
        if value is None:
            raise PayloadError(codec, words.NEEDS_VALUE, field=field)
        if absent is not None:
            raise PayloadError(codec, words.NO_SUCH_CODE.format(why=absent.value), field=field)
    raise PayloadError(codec, words.NOT_A_NUMBER, field=field)


def chosen(codec: str, field: str, value: Any, codes: Mapping[Any, int], specials: Mapping[str, int]) -> int:
    """Return the code of a meaning.

    Raises:
        PayloadError: It has none.
    """
    code = codes.get(value) if value.__class__ in {str, bool} else None
    if code is None and (value is None or isinstance(value, str)):
        code = specials.get("not_available" if value is None else value)
        if code is None and value is None:
            raise PayloadError(codec, words.NEEDS_VALUE, field=field)
    if code is None:
        known = ", ".join(("true" if each else "false") if each.__class__ is bool else each for each in codes)
        raise PayloadError(codec, words.NOT_A_MEANING.format(known=known), field=field)
    return code


def opaque(codec: str, field: str, value: Any, count: int) -> int:
    """Return bytes in hex as one number.

    Raises:
        PayloadError: Not so many.
    """
    if value is None:
        raise PayloadError(codec, words.NEEDS_VALUE, field=field)
    try:
        found = bytes.fromhex(value) if isinstance(value, str) and len(value) == 2 * count else b""
    except ValueError:
        found = b""
    if len(found) != count:
        raise PayloadError(codec, words.NOT_HEX.format(count=count), field=field)
    return int.from_bytes(found, "big")


def seconds(codec: str, field: str, moment: Any, bits: int) -> int:
    """Return a time as whole UTC seconds since 1970.

    Raises:
        PayloadError: It is none, or has no place in so many bits.
    """
    if moment is None:
        raise PayloadError(codec, words.NEEDS_VALUE, field=field)
    if isinstance(moment, str):
        try:
            when = msgspec.convert(moment, datetime)
        except msgspec.ValidationError:
            when = datetime.min  # noqa: DTZ901 - stands for none
        if when.tzinfo is None:
            raise PayloadError(codec, words.NOT_A_TIME, field=field)
        found = floor(when.timestamp())
    elif isinstance(moment, int) and not isinstance(moment, bool):
        found = moment // 1000
    else:
        raise PayloadError(codec, words.NOT_A_TIME, field=field)
    most = (1 << bits) - 1
    if not 0 <= found <= most:
        raise PayloadError(codec, words.OUT_OF_RANGE.format(low=0, high=most * 1000), field=field)
    return found


# Names


def templates(values: Mapping[str, Any], names: Mapping[str, int]) -> list[str]:
    """Return the names, as the schema has them, of what has a value; ``names`` holds all of them."""
    found = (name if name in names else _template(name, names) for name, value in values.items() if value is not None)
    return list(dict.fromkeys(name for name in found if name is not None))


def _template(name: str, names: Mapping[str, int]) -> str | None:
    return next((each for each in names if channel_of(each, name) is not None), None)


def channel_of(template: str, name: str) -> int | None:
    """Return the channel in a name; 0 where its template has none, None where the name is of another template."""
    before, channel, after = template.partition(CHANNEL)
    if not channel:
        return 0 if name == template else None
    middle = name[len(before) : len(name) - len(after)]
    if not name.startswith(before) or not name.endswith(after) or not re.fullmatch("0|[1-9][0-9]{0,2}", middle):
        return None
    return int(middle) if int(middle) < 256 else None  # noqa: PLR2004 - one byte


def is_known(name: object, names: Mapping[str, int], also: frozenset[str]) -> bool:
    """Return whether a message has a place for a name."""
    return isinstance(name, str) and (name in also or _template(name, names) is not None)


def check_names(
    codec: str, values: Mapping[str, Any], names: Mapping[str, int], also: frozenset[str], prefix: str = ""
) -> None:
    """Refuse a name that the message does not have.

    Raises:
        PayloadError: Such a name.
    """
    for name in values:
        if not is_known(name, names, also):
            raise PayloadError(codec, words.NO_SUCH_VALUE.format(known=", ".join(names)), field=f"{prefix}{name}")


# What steers


class Arms(NamedTuple):
    """What an encoder knows of a control; generated code has it as a plain tuple."""

    codes: tuple[tuple[int, frozenset[str]], ...]
    """Codes that may be sent, in the order of preference, and the names that have a place with them."""
    names: tuple[str, ...]
    """Those of all arms, in the order of the message."""
    required: tuple[tuple[str, frozenset[int], str], ...]
    """Of each Switch for which other codes are an error: its control, its codes, and these as text."""


def pick(codec: str, given: list[str], arms: tuple[Any, ...]) -> int:
    """Return the first code whose arms hold all names that are given.

    Raises:
        PayloadError: No arm holds them all.
    """
    codes, all_names, _ = arms
    wanted = [name for name in given if name in all_names]
    if not wanted:
        return int(next((code for code, names in codes if not names), codes[0][0]))
    for code, names in codes:
        if names.issuperset(wanted):
            return int(code)
    code = next((code for code, names in codes if wanted[0] in names), codes[0][0])
    check_arms(codec, code, given, arms)
    return int(code)


def check_arms(codec: str, code: int, given: list[str], arms: tuple[Any, ...]) -> None:
    """Refuse a code without an arm, and values of other arms than its own.

    Raises:
        PayloadError: Such a code or value.
    """
    codes, all_names, required = arms
    for control, known, known_text in required:
        if code not in known:
            raise PayloadError(codec, words.UNKNOWN_ARM.format(control=control, code=code, known=known_text))
    own = dict(codes).get(code, frozenset())
    for name in given:
        if name in all_names and name not in own:
            known_text = ", ".join(each for each in all_names if each in own and each != "samples")
            raise PayloadError(codec, words.NO_SUCH_VALUE.format(known=known_text), field=name)


# Lists and series


def listed(codec: str, field: str, value: Any, most: int, exactly: int | None = None) -> list[Any]:
    """Return a list of so many elements; where it is missing one of None, or of none.

    Raises:
        PayloadError: It is none, or has another length.
    """
    if value is None:
        return [None] * (exactly or 0)
    if isinstance(value, list | tuple) and (len(value) <= most if exactly is None else len(value) == exactly):
        return list(value)
    count = f"0 to {most}" if exactly is None else exactly
    raise PayloadError(codec, words.NOT_A_LIST.format(count=count), field=field)


def series_of(
    codec: str,
    data: Mapping[str, Any],
    own: tuple[str, ...],
    names: Mapping[str, int],
    most: int,
    exactly: int | None = None,
) -> list[Mapping[str, Any]]:
    """Return the values of each sample, newest first.

    Raises:
        PayloadError: ``data["samples"]`` is no list of so many samples of this message.
    """
    found = data.get("samples")
    if found is None:
        samples: list[Mapping[str, Any]] = [data] if any(data.get(name) is not None for name in own) else []
        if not samples:
            return [{}] * (exactly or 0)
        if exactly is not None and exactly != 1:
            raise PayloadError(codec, words.NOT_A_LIST.format(count=exactly), field="samples")
        return samples
    samples = listed(codec, "samples", found, most, exactly)
    for index, sample in enumerate(samples):
        check_sample(codec, sample, index, names)
    return samples


def check_sample(codec: str, sample: Any, index: int, names: Mapping[str, int]) -> None:
    """Refuse what is no sample of the message.

    Raises:
        PayloadError: It is none.
    """
    if not isinstance(sample, Mapping):
        raise PayloadError(codec, words.NOT_A_SAMPLE, field=f"samples[{index}]")
    check_names(codec, sample, names, _OF_A_SAMPLE, f"samples[{index}].")


_OF_A_SAMPLE: Final = frozenset({"time", "age_s"})


# Entries


def channels_in(names: tuple[str, ...], values: Mapping[str, Any]) -> list[int]:
    """Return the channels for which there are values with these names, 0 for those without a channel."""
    found = {channel_of(each, name) for name, value in values.items() if value is not None for each in names}
    return sorted(channel for channel in found if channel is not None)


def of_channel(
    names: tuple[str, ...], values: Mapping[str, Any], channel: int, sent: set[str]
) -> dict[str, Any] | None:
    """Return the values with these names of a channel; None where all of them have been sent."""
    text = str(channel)
    full = {name: name.replace(CHANNEL, text) for name in names}
    found = {name: values.get(own) for name, own in full.items()}
    given = {full[name] for name, value in found.items() if value is not None}
    if given <= sent:
        return None
    sent |= given
    return found


def sample_entry(
    codec: str, found: Any, names: Mapping[str, int], entries: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[int, int, dict[str, Any], str]]:
    """Yield of each sample with a time of its own its entry, its channel, its values and the start of its names.

    Raises:
        PayloadError: No entry holds them.
    """
    for index, sample in enumerate(listed(codec, "samples", found, MAX_PAYLOAD_BYTES)):
        check_sample(codec, sample, index, names)
        if "age_s" not in sample:
            given = [name for name, value in sample.items() if value is not None and name not in _OF_A_SAMPLE]
            entry, channel = _entry_for(codec, given, index, sample, entries)
            text = str(channel)
            values = {name: sample.get(name.replace(CHANNEL, text)) for name in entries[entry]}
            yield entry, channel, values | {"time": sample.get("time")}, f"samples[{index}]."


def _entry_for(
    codec: str, given: list[str], index: int, sample: Mapping[str, Any], entries: tuple[tuple[str, ...], ...]
) -> tuple[int, int]:
    for entry, names in enumerate(entries):
        for channel in channels_in(names, sample) or [0]:
            if {name.replace(CHANNEL, str(channel)) for name in names}.issuperset(given):
                return entry, channel
    known = ", ".join(dict.fromkeys(name for names in entries for name in names))
    raise PayloadError(codec, words.NO_SUCH_VALUE.format(known=known), field=f"samples[{index}].{given[0]}")


# Bytes


def swapped(word: int, count: int) -> int:
    """Return a word of so many bytes with the least significant one first."""
    return int.from_bytes(word.to_bytes(count, "little"), "big")


def finished(codec: str, number: int) -> bytes:
    """Return the payload of a number that has a 1 before its first bit.

    Raises:
        PayloadError: It is longer than any that can be sent.
    """
    bits = number.bit_length() - 1
    size = (bits + 7) // 8
    if size > MAX_PAYLOAD_BYTES:
        refuse_long(codec, size)
    return (number << -bits % 8).to_bytes(size + 1, "big")[1:]


def refuse_long(codec: str, size: int) -> NoReturn:
    """Refuse a payload of so many bytes.

    Raises:
        PayloadError: Always.
    """
    raise PayloadError(codec, words.TOO_LONG.format(length=size))


# Results


def series_result(
    data: dict[str, Any],
    units: dict[str, str],
    warnings: list[str],
    older: list[tuple[dict[str, Any], list[str], int | None]],
    timed: list[tuple[dict[str, Any], list[str], int]],
    base: int | None,
    extra: str | None,
    recv_ms: int | None,
) -> Decoded:
    """Return the result of a message with samples.

    Args:
        data: Of the newest.
        units: Of all.
        warnings: Of the newest.
        older: Data, warnings and age of the others.
        timed: Data, warnings and time of those with a time of their own.
        base: When the newest was measured, as the message says it, ms.
        extra: A warning that comes last.
        recv_ms: When the message was received.
    """
    own_time = base is not None
    moment = base if own_time else recv_ms
    last = [] if extra is None else [extra]
    samples = [Sample(data, moment, 0, warnings + last, own_time)] if data or not timed else []
    said = list(warnings)
    for values, own, age in older:
        said += [words.IN_SAMPLE.format(index=len(samples), warning=warning) for warning in own]
        samples.append(Sample(values, None if moment is None or age is None else moment - age, age, own, own_time))
    for values, own, time_ms in timed:
        said += [words.IN_SAMPLE.format(index=len(samples), warning=warning) for warning in own]
        samples.append(Sample(values, time_ms, None, own, True))
    return Decoded(data, units, said + last, [], samples)
