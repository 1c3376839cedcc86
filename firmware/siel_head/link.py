# The serial link between a radio head and its host: THE table of messages, the frame around them, nothing else.
# Both ends import this file. Frame: COBS(kind, fields, CRC-16/CCITT-FALSE), then one 0x00; all integers little-endian.
# A message may grow at its end: what follows the known fields is ignored, an unknown kind is skipped.
import struct

VERSION = 1
# One whole frame on the wire, delimiter included. COBS adds 1 byte, and 1 more per full 254.
MAX_FRAME_BYTES = 512
MAX_BODY_BYTES = 506  # kind, fields and payload; 2 of CRC make 508, 3 of COBS and the delimiter 512
MAX_PAYLOAD_BYTES = 255  # the largest PHYPayload a LoRa chip can carry

# What a number in a message stands for. Only ever append.
OUTCOMES = ("scheduled", "on_air", "too_late", "busy", "refused", "cancelled", "unknown")
REASONS = (
    "",
    "TOO_LATE",
    "TOO_EARLY",
    "COLLISION",
    "BUSY",
    "TX_FREQ",
    "AIRTIME",
    "DUTY_CYCLE",
    "NO_RADIO",
    "OTHER",
)
CRC_STATES = ("none", "ok", "bad")
RESET_CAUSES = ("unknown", "power_on", "hard", "watchdog", "deep_sleep", "soft")

# (name, kind, struct format of the fields, field names, a payload follows)
# Kinds below 0x80 go head -> host, the others host -> head. boot_id stands in whatever is only true for one session.
MESSAGES = (
    # The first word of a head, at boot and as answer. query: the request's number, 0 when nobody asked.
    # first_sequence: the oldest frame that is not acknowledged yet (or the next to come). reset_cause: RESET_CAUSES.
    # stamp_error_us: how late counter_us of a frame can be. counter_us: now.
    (
        "hello",
        0x01,
        "BHIBBHIII",
        (
            "version",
            "query",
            "boot_id",
            "reset_cause",
            "chips",
            "store_size",
            "stamp_error_us",
            "first_sequence",
            "counter_us",
        ),
        False,
    ),
    # One frame heard. sequence counts from 1 per boot, without gaps, over all chips. counter_us: end of the frame.
    # age_s: since then, for a frame that had to wait longer than the counter's 71 minutes. crc: CRC_STATES.
    (
        "rx",
        0x02,
        "IIBIIIBIBhbB",
        (
            "boot_id",
            "sequence",
            "chip",
            "counter_us",
            "age_s",
            "frequency_hz",
            "spreading_factor",
            "bandwidth_hz",
            "coding_rate",
            "rssi_dbm",
            "snr_x4",
            "crc",
        ),
        True,
    ),
    # scheduled: taken. Every other outcome is final. counter_us: the start of the preamble, measured when on_air, else
    # as asked for. slack_us: time left when the request came, negative when too late. unknown: the chip has failed.
    ("tx_outcome", 0x03, "IIBBBiI", ("boot_id", "tag", "chip", "outcome", "reason", "slack_us", "counter_us"), False),
    # Counts since boot. overflow: good frames that found the store full. deaf: bit 0 is set while chip 0 has failed or
    # was not configured.
    (
        "stats",
        0x04,
        "IHIIIIIIIBI",
        (
            "boot_id",
            "stored",
            "heard",
            "overflow",
            "crc_errors",
            "tx_on_air",
            "tx_failed",
            "radio_errors",
            "junk",
            "deaf",
            "counter_us",
        ),
        False,
    ),
    # received_us, sent_us: the head's counter at both ends of its turn.
    ("time", 0x05, "HIII", ("query", "boot_id", "received_us", "sent_us"), False),
    # The answer to configure, with what the chip now listens to. ok: 0 or 1.
    (
        "configured",
        0x06,
        "IBBIBI",
        ("boot_id", "chip", "ok", "frequency_hz", "spreading_factor", "bandwidth_hz"),
        False,
    ),
    # Asks for hello, and for everything that is not acknowledged once more. query: not 0.
    ("hello_request", 0x81, "BH", ("version", "query"), False),
    # What one chip listens to. antenna_gain_db is subtracted from every power_dbm.
    (
        "configure",
        0x82,
        "BIBIb",
        ("chip", "frequency_hz", "spreading_factor", "bandwidth_hz", "antenna_gain_db"),
        False,
    ),
    # Everything up to and including sequence is safe with the host.
    ("ack", 0x83, "II", ("boot_id", "sequence"), False),
    # sequence is missing: send it and all that follows again.
    ("resend", 0x84, "II", ("boot_id", "sequence"), False),
    # tag: the host's own number; the same tag again asks for the outcome again and never transmits twice.
    # timed: 1 starts the preamble at counter_us, 0 now. power_dbm is EIRP. coding_rate: 5 to 8.
    (
        "tx",
        0x85,
        "IIBBIIBIBbHBB",
        (
            "boot_id",
            "tag",
            "chip",
            "timed",
            "counter_us",
            "frequency_hz",
            "spreading_factor",
            "bandwidth_hz",
            "coding_rate",
            "power_dbm",
            "preamble",
            "invert_iq",
            "crc",
        ),
        True,
    ),
    ("cancel", 0x86, "II", ("boot_id", "tag"), False),
    ("time_query", 0x87, "H", ("query",), False),
)

_BY_NAME = {}
_BY_KIND = {}
for _row in MESSAGES:
    _format = "<B" + _row[2] + ("B" if _row[4] else "")
    _BY_NAME[_row[0]] = (_row[1], _format, _row[3], _row[4])
    _BY_KIND[_row[1]] = (_row[0], _format, struct.calcsize(_format), _row[3], _row[4])


def crc16(data: "bytes | bytearray") -> int:
    # CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, check value of "123456789" is 0x29B1. No table: it is RAM.
    crc = 0xFFFF
    for byte in data:
        x = (crc >> 8) ^ byte
        x ^= x >> 4
        crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xFFFF
    return crc


def cobs_encode(data: "bytes | bytearray") -> bytearray:
    # Source: Cheshire and Baker, "Consistent Overhead Byte Stuffing". No 0x00 in the result.
    out = bytearray(1)
    code_at = 0
    for byte in data:
        if byte:
            out.append(byte)
        if not byte or len(out) - code_at == 255:
            out[code_at] = len(out) - code_at
            code_at = len(out)
            out.append(0)
    out[code_at] = len(out) - code_at
    return out


def cobs_decode(data: "bytes | bytearray") -> "bytearray | None":
    # None for what no encoder writes.
    out = bytearray()
    at = 0
    size = len(data)
    while at < size:
        code = data[at]
        if code == 0 or at + code > size:
            return None
        out.extend(data[at + 1 : at + code])
        at += code
        if code < 255 and at < size:
            out.append(0)
    return out


def encode(name: str, payload: bytes = b"", **fields: int) -> bytes:
    # One whole frame, delimiter included. Raises KeyError for a missing field, ValueError for a payload out of place.
    kind, form, names, has_payload = _BY_NAME[name]
    values = [fields[field] for field in names]
    if has_payload:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError("payload")
        values.append(len(payload))
    elif payload:
        raise ValueError("payload")
    body = struct.pack(form, kind, *values) + payload
    frame = cobs_encode(body + struct.pack("<H", crc16(body)))
    frame.append(0)
    return bytes(frame)


def decode(body: bytes) -> "tuple[str, dict[str, int], bytes] | None":
    # (name, fields, payload) of what a Deframer gave; None for an unknown kind or one that lacks fields: skip it.
    row = _BY_KIND.get(body[0]) if body else None
    if row is None:
        return None
    name, form, size, names, has_payload = row
    if len(body) < size:
        return None
    values = struct.unpack(form, body[:size])
    fields = {}
    for index, field in enumerate(names):
        fields[field] = values[index + 1]
    if not has_payload:
        return name, fields, b""
    end = size + values[len(values) - 1]
    if len(body) < end:
        return None
    return name, fields, bytes(body[size:end])


class Deframer:
    # Bytes in as they come, checked bodies out. Holds at most one frame; a fault costs what comes before the next 0x00.
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._overrun = False
        self.junk = 0  # frames thrown away: too long, not COBS, wrong CRC

    def receive_data(self, data: bytes) -> "list[bytes]":
        # The bodies (without CRC) that data completed, for decode().
        bodies: list[bytes] = []
        start = 0
        while True:
            end = data.find(b"\0", start)
            if end < 0:
                self._append(data[start:])
                return bodies
            self._append(data[start:end])
            self._finish(bodies)
            start = end + 1

    def reset(self) -> None:
        # Forget a half frame: the port was closed in between.
        self._buffer = bytearray()
        self._overrun = False

    def _append(self, part: bytes) -> None:
        if self._overrun or len(self._buffer) + len(part) >= MAX_FRAME_BYTES:
            self._overrun = True
        else:
            self._buffer.extend(part)

    def _finish(self, bodies: "list[bytes]") -> None:
        frame, overrun = self._buffer, self._overrun
        self.reset()
        if not frame and not overrun:
            return
        body = None if overrun else cobs_decode(frame)
        if body is None or len(body) < 3 or crc16(body[:-2]) != body[-2] | body[-1] << 8:
            self.junk += 1
        else:
            bodies.append(bytes(body[:-2]))
