# The head's pure modules under either interpreter: the same seeded story, told line by line; both must tell it alike.
import sys

from siel_head import counter, link
from siel_head.head import Head
from siel_head.schedule import Schedule, Transmission
from siel_head.store import Store
from siel_node._compat import ticks_add
from siel_node.radio.sx126x import NONE, RX_DONE, TX_DONE

BOOT_ID = 0xFEDCBA98
START_US = (1 << 32) - 3000000


class Random:
    # A small generator of our own: the interpreters' differ.
    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, n: int) -> int:
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % n

    def octets(self, n: int) -> bytes:
        return bytes([self.below(256) for _ in range(n)])


class Flag:
    raised = False


class Chip:
    def __init__(self) -> None:
        self.flag = Flag()
        self.events: list[int] = []
        self.frame: tuple[bytes, int, int, int, bool, int] | None = None

    def restart(self) -> None:
        pass

    def listen(self, *channel: int) -> None:
        tell("listen", channel)

    def listening(self) -> bool:
        return True

    def poll(self) -> int:
        return self.events.pop(0) if self.events else NONE

    def read(self) -> "tuple[bytes, int, int, int, bool, int] | None":
        return self.frame

    def transmit(self, transmission: Transmission) -> int:
        tell("transmit", bytes(transmission.payload), transmission.power_dbm, transmission.start_us)
        start_us: int = transmission.start_us
        return start_us + 1


def tell(*what: object) -> None:
    sys.stdout.write(repr(what) + "\n")


def tell_body(body: bytes) -> None:
    message = link.decode(body)
    if message is None:
        tell("skipped", body)
    else:
        tell(message[0], sorted(message[1].items()), message[2])


def frames(random: Random) -> None:
    deframer = link.Deframer()
    for row in link.MESSAGES:
        fields = {}
        for index, name in enumerate(row[3]):
            code = row[2][index]
            bits = {"B": 8, "H": 16, "I": 32}[code.upper()]
            value = 0
            for _ in range(bits // 8):
                value = value << 8 | random.below(256)
            fields[name] = value - (1 << (bits - 1)) if code in "bhi" else value
        payload = random.octets(random.below(256)) if row[4] else b""
        data = link.encode(row[0], payload, **fields)
        tell(row[0], data)
        while data:
            n = 1 + random.below(50)
            for body in deframer.receive_data(data[:n]):
                tell_body(body)
            data = data[n:]
        deframer.receive_data(random.octets(random.below(600)))
        deframer.receive_data(b"\0")
    tell("junk", deframer.junk)


def ticks() -> None:
    moment = [ticks_add(0, -5)]
    setattr(counter, "ticks_us", lambda: moment[0])  # noqa: B010 - the type checker does not see imported names
    wide = counter.Counter()
    for step in (0, 4, 5, 400000000, 400000000, 400000000, 1):
        moment[0] = ticks_add(moment[0], step)
        tell(wide.now(), wide.at(ticks_add(moment[0], -3)), wide.wide((wide.now() + 7) & 0xFFFFFFFF))
    tell(counter.signed_32(5 - 0xFFFFFFFF), counter.signed_32(0x80000000))


def conversation(random: Random) -> None:
    now_us = START_US
    chip = Chip()
    head = Head([chip], BOOT_ID, 1, 10, now_us, 32)
    deframer = link.Deframer()

    def say(name: str, payload: bytes = b"", **fields: int) -> None:
        head.receive_data(link.encode(name, payload, **fields), now_us)

    for turn in range(400):
        now_us += random.below(60000)
        if now_us >= head.next_us():
            head.tick(now_us)
        what = random.below(12)
        if turn == 3:
            say("hello_request", version=link.VERSION, query=1)
            say("configure", chip=0, frequency_hz=868100000, spreading_factor=7, bandwidth_hz=125000, antenna_gain_db=0)
        elif what < 3:
            chip.events.append(RX_DONE)
            chip.frame = (random.octets(1 + random.below(30)), -90, -7, 5, True, now_us - 50)
            head.radio_event(0)
        elif what == 3:
            say("ack", boot_id=BOOT_ID, sequence=head.store.first_sequence + random.below(3))
        elif what == 4:
            say(
                "tx",
                random.octets(12),
                boot_id=BOOT_ID,
                tag=random.below(50),
                chip=0,
                timed=1,
                counter_us=(now_us + random.below(2000000)) & 0xFFFFFFFF,
                frequency_hz=869525000,
                spreading_factor=7 + random.below(6),
                bandwidth_hz=125000,
                coding_rate=5,
                power_dbm=30,
                preamble=8,
                invert_iq=1,
                crc=0,
            )
        elif what == 5:
            chip.events.append(TX_DONE)
            head.radio_event(0)
        elif what == 6:
            say("time_query", query=turn)
        elif what == 7:
            say("resend", boot_id=BOOT_ID, sequence=head.store.first_sequence)
        elif what == 8:
            head.receive_data(random.octets(random.below(80)), now_us)
        while head.has_data():
            for body in deframer.receive_data(head.data_to_send(now_us)):
                tell_body(body)
    tell(head.heard, head.tx_on_air, head.store.overflow, len(head.store))


frames(Random(1))
ticks()
conversation(Random(2))
store = Store(2)
tell([store.add(n) for n in range(3)], store.ack(5), store.ack(2), store.first_sequence, Schedule().next_us())
