# Who this node is: /identity.json, written once by whoever provisions it and never by the node.
import binascii
import json

from . import region_eu868 as region
from ._compat import const

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

# In this order the values make the text that "crc" is the CRC-32 of; of the optional ones those that are present, with
# their name from the second on.
_KEYS = ("dev_eui", "join_eui", "app_key", "join_dr", "interval_s", "codec")
_OPTIONAL = ("confirmed", "adr")

MAX_IDENTITY_BYTES = const(1024)
MIN_INTERVAL_S = const(5)
MAX_INTERVAL_S = const(86400)


class IdentityError(ValueError):
    # The text says what is wrong and what to do; it never holds a key.
    pass


class Identity:
    # dev_eui, join_eui: 8 bytes in wire order (reversed). confirmed: every N-th uplink asks for an acknowledgement.
    # adr: the network may steer data rate and power; not where its radios hear one spreading factor only.
    def __init__(self, values: "dict[str, Any]") -> None:
        self.name = values["dev_eui"]
        self.dev_eui = _reversed(values["dev_eui"])
        self.join_eui = _reversed(values["join_eui"])
        self.app_key = binascii.unhexlify(values["app_key"])
        self.join_dr: int = values["join_dr"]
        self.interval_s: int = values["interval_s"]
        self.codec: str = values["codec"]
        self.confirmed: int = values.get("confirmed", 0)
        self.adr: bool = values.get("adr", 0) == 1
        # Tells identities apart in the node's own store: another key is another device
        self.tag = binascii.crc32(self.dev_eui + self.join_eui + self.app_key)


def load(path: str) -> Identity:
    # Raises IdentityError.
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_IDENTITY_BYTES + 1)
    except OSError:
        raise IdentityError("%s is missing: provision this node" % path)
    if len(data) > MAX_IDENTITY_BYTES:
        raise IdentityError("%s is longer than %d bytes: provision this node again" % (path, MAX_IDENTITY_BYTES))
    try:
        values = json.loads(data)
    except ValueError:
        raise IdentityError("%s is not JSON: provision this node again" % path)
    fault = check(values)
    if fault:
        raise IdentityError("%s: %s: provision this node again" % (path, fault))
    return Identity(values)


def check(values: "Any") -> str | None:
    # The first fault in words, None when there is none.
    if not isinstance(values, dict):
        return "not an object"
    for key in _KEYS + ("crc",):
        if key not in values:
            return "%s is missing" % key
    for key, length in (("dev_eui", 16), ("join_eui", 16), ("app_key", 32), ("crc", 8)):
        if not _is_hex(values[key], length):
            return "%s is not %d lower-case hexadecimal digits" % (key, length)
    for key, low, high in (
        ("join_dr", 0, region.MAX_JOIN_DR),
        ("interval_s", MIN_INTERVAL_S, MAX_INTERVAL_S),
        ("confirmed", 0, 65535),
        ("adr", 0, 1),
    ):
        value = values.get(key, 0)
        if key in values and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
            return "%s is not a whole number from %d to %d" % (key, low, high)
    if not isinstance(values["codec"], str):
        return "codec is not a text"
    if values["crc"] != _crc(values):
        return "crc does not fit: the file is damaged"
    return None


def seal(values: "dict[str, Any]") -> "dict[str, Any]":
    # A copy with crc set; for tools, values must be valid otherwise.
    sealed = dict(values)
    sealed["crc"] = _crc(values)
    return sealed


def _crc(values: "dict[str, Any]") -> str:
    parts = [str(values[key]) for key in _KEYS]
    for key in _OPTIONAL:
        if key in values:
            parts.append(("" if key == "confirmed" else key) + str(values[key]))
    return "%08x" % binascii.crc32(",".join(parts).encode())


def _is_hex(text: "Any", length: int) -> bool:
    return isinstance(text, str) and len(text) == length and all(digit in "0123456789abcdef" for digit in text)


def _reversed(digits: str) -> bytes:
    return bytes(reversed(binascii.unhexlify(digits)))
