"""What decoders and encoders say, word for word the same in every target.

Templates have named parts; an emitter that builds them in another language splits them with ``parts``.
"""

from __future__ import annotations

import re
from typing import Final

UNKNOWN_PORT: Final = "port {port} is not one of this device (known: {known})"
TOO_SHORT: Final = "payload too short: {length} bytes"
TOO_LONG: Final = "payload too long: {length} bytes"
UNKNOWN_VERSION: Final = "payload version {code} is not known here (known: {known})"
UNKNOWN_MESSAGE: Final = "{title} {code} is not known here (known: {known})"
"""The selecting Constant of a port with several messages."""
WRONG_CONSTANT: Final = "{title} is {code}, not {expected}"
UNKNOWN_ARM: Final = "{control} {code} is not known here (known: {known})"
"""The control without its leading underscore."""

ABSENT: Final = "{name}: {why}"
UNKNOWN_CODE: Final = "{name}: code {code} is not known"
UNKNOWN_KEY_STOP: Final = "type {key} at byte {at} is not known: the rest is not decoded"
UNKNOWN_KEY_SKIP: Final = "type {key} at byte {at} is not known: passed over"
UNKNOWN_KEY_RAW: Final = "type {key} at byte {at} is not known: the rest is in raw"
"""The key as 0x and two or four lower-case hex digits; the byte of the key (of the channel, where there is one)."""
EXTRA_BYTES: Final = "{count} bytes at the end are not decoded"
IN_SAMPLE: Final = "sample {index}: {warning}"
"""Before the warnings of all samples but the newest."""

NO_SUCH_VALUE: Final = "there is no such value (known: {known})"
NEEDS_VALUE: Final = "must have a value; it has no code for not available"
NOT_A_NUMBER: Final = "must be a finite number or null"
NOT_A_MEANING: Final = "must be one of {known}"
"""The values in the order of the meanings, joined by ", "; a flag's as true and false."""
NOT_A_LIST: Final = "must be a list of {count} values"
"""The count that is fixed or given by another list; else "0 to {most}", the most that the count Control, or without one
the payload (MAX_PAYLOAD_BYTES * 8 over the bits of one, series at most MAX_SAMPLES), can have."""
NOT_A_SAMPLE: Final = "must be an object of values by name"
NOT_A_TIME: Final = "must be a time as RFC 3339 or in milliseconds since 1970"
NOT_HEX: Final = "must be {count} bytes in hex"
OUT_OF_RANGE: Final = "must be {low} to {high}"
"""In display units, as Python writes the values of code_min and code_max."""
NO_SUCH_CODE: Final = "has no code for {why}"
UNKNOWN_COMMAND: Final = "command must be one of {known}"
NO_DOWNLINKS: Final = "this device takes no commands"

_PART: Final = re.compile(r"\{(\w+)\}")


def parts(template: str) -> list[str]:
    """Return text, name, text, name ... text: what stands between and in the braces of a template."""
    return _PART.split(template)
