# The real node on a littlefs whose power fails at every single flash operation. MicroPython only: it brings littlefs.
#
# One life joins and sends. At each program and erase of its flash the world is forked: the operation is done by half,
# half with noise behind, or whole, and all that was in RAM is gone. The fork boots, sends and hears, and is judged by
# what both lives put on air and acted on. To fork is cheaper than to live everything again for each cut.
#
# mypy: ignore-errors
# (No type checker knows os.VfsLfs2, and half of this puts its own functions in the place of others.)
#
# Arguments: uplinks, deeper (cut again at each operation of every N-th fork's life; 0: never), blocks of the flash.
import os
import sys

from network import Random, Server, identity

from siel_node import app, duty_cycle
from siel_node.lora import airtime_us
from siel_node.radio.sx126x import NONE, RX_DONE, RX_TIMEOUT, TX_DONE
from siel_node.record import Record
from siel_node.region_eu868 import SUB_BANDS, sub_band
from siel_node.state import F_CNT_BLOCK

BLOCK_BYTES = 4096
ERASED = b"\xff" * BLOCK_BYTES
CF_LIST = bytes.fromhex("184f84e85684b85e84886684586e8400")
# What the network wants of the session, in turn: DR0, RX1 after 3 s, DR5, RX1 after 1 s
WISHES = (b"\x03\x00\xff\x00\x01", b"\x08\x03", b"\x03\x50\xff\x00\x01", b"\x08\x01")


class FaultError(Exception):
    pass


class Clock:
    now_us = 0


def wait_ms(ms):
    Clock.now_us += ms * 1000


app.ticks_ms = lambda: Clock.now_us // 1000
app.ticks_us = lambda: Clock.now_us
app.ticks_add = lambda ticks, delta: ticks + delta
app.ticks_diff = lambda end, start: end - start
app.sleep_us = lambda us: wait_ms(us // 1000)


class Flash:
    # NOR: programming clears bits, only an erase sets them. cut(image) is called with each way an operation can end.
    def __init__(self, blocks):
        self.blocks = blocks
        self.erases = [0] * len(blocks)
        self.programs = 0
        self.cut = None

    def readblocks(self, number, buf, offset=0):
        buf[:] = memoryview(self.blocks[number])[offset : offset + len(buf)]

    def writeblocks(self, number, buf, offset=None):
        if offset is None:
            raise FaultError("a write without an offset is not littlefs v2")
        old = bytes(self.blocks[number])
        end = offset + len(buf)
        whole = bytes(buf)
        if old[offset:end] != ERASED[: len(buf)]:
            whole = bytes([old[offset + i] & byte for i, byte in enumerate(whole)])
            if whole != bytes(buf):
                raise FaultError(f"block {number} is programmed without an erase")
        half = len(buf) // 2
        noise = bytes([old[offset + half + i] & (byte | 0x5A) for i, byte in enumerate(whole[half:])])
        self.programs += 1
        head, tail = old[:offset], old[end:]
        self._do(
            number,
            (
                head + whole[:half] + old[offset + half : end] + tail,
                head + whole[:half] + noise + tail,
                head + whole + tail,
            ),
        )

    def _do(self, number, ends):
        for content in ends:
            self.blocks[number] = content
            if self.cut:
                self.cut(list(self.blocks))

    def ioctl(self, op, argument):
        if op == 4:
            return len(self.blocks)
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            self.erases[argument] += 1
            half = BLOCK_BYTES // 2
            old = self.blocks[argument]
            noise = bytes([a | 0x5A for a in old[half : half + 64]])
            self._do(argument, (ERASED[:half] + old[half:], ERASED[:half] + noise + old[half + 64 :], ERASED))
        return 0


class Sky:
    # The network, and what nobody forgets by a power cut: what was on air and what the application did.
    def __init__(self, other=None):
        self.server = Server()
        self.nonces = []
        # Of the session: FCntUp on air, downlinks in force, and what the application was given
        self.f_cnts = []
        self.in_force = []
        self.delivered = []
        self.spent = []
        self.uplinks = 0
        # Since the last uplink: each may cost a block of numbers
        self.cuts = 0
        self.joined = False
        if other:
            for name in ("join_nonce", "f_cnt_down", "nwk", "app"):
                if hasattr(other.server, name):
                    setattr(self.server, name, getattr(other.server, name))
            self.nonces = other.nonces[:]
            self.f_cnts = other.f_cnts[:]
            self.in_force = other.in_force[:]
            self.delivered = other.delivered[:]
            self.spent = other.spent[:]
            self.uplinks = other.uplinks
            self.cuts = other.cuts + 1
            self.joined = other.joined

    def on_air(self, phy, frequency_hz, us):
        self.spent.append((Clock.now_us // 1000000, sub_band(frequency_hz), us))
        if phy[0] == 0:
            nonce = phy[17] | phy[18] << 8
            if nonce in self.nonces:
                raise FaultError(f"DevNonce {nonce} twice")
            if self.joined:
                raise FaultError("a join although the session was stored")
            self.nonces.append(nonce)
            self.f_cnts = []
            self.in_force = []
            return
        f_cnt = self.server.uplink(phy)[2]
        last = self.f_cnts[-1] if self.f_cnts else -1
        if not last < f_cnt <= last + 1 + self.cuts * F_CNT_BLOCK:
            raise FaultError(f"FCntUp {f_cnt} after {last}")
        self.f_cnts.append(f_cnt)
        self.cuts = 0
        self.uplinks += 1

    def answer(self, phy, window):
        # RX1 has the last that is in force already, as if recorded by somebody; RX2 the network's own.
        if phy[0] == 0:
            # The first request is not heard
            return None if window == 0 or len(self.nonces) < 2 else self.server.join_accept(phy, 0, 1, CF_LIST)
        if window == 0:
            return self.in_force[-1] if self.in_force else None
        turn = self.uplinks % 12
        if turn % 3 == 0:
            return self.server.down(WISHES[turn // 3])
        if turn % 3 == 1:
            number = self.server.f_cnt_down
            return self.server.down(b"", 7, bytes((number >> 8, number & 255)), confirmed=turn > 6)
        return None


class Radio:
    irq_us = 0

    def __init__(self, sky):
        self.sky = sky
        self.flag = self
        self.raised = False
        self.outcome = NONE
        self.window = 0
        self.frame = b""
        self.heard = b""

    def init(self):
        pass

    sleep = standby = init

    def prepare_tx(self, frequency_hz, sf, bandwidth_hz, frame, power_dbm):
        self.frame = bytes(frame)
        self.tx = (self.frame, frequency_hz, airtime_us(sf, bandwidth_hz, len(frame)))

    def start_tx(self):
        self.sky.on_air(*self.tx)
        Clock.now_us += self.tx[2]
        self.irq_us = Clock.now_us
        self.window = 0
        self.outcome = TX_DONE

    def prepare_rx(self, frequency_hz, sf, bandwidth_hz, symbols=0):
        pass

    def start_rx(self):
        self.heard = self.sky.answer(self.frame, self.window)
        self.window += 1
        self.outcome = RX_DONE if self.heard else RX_TIMEOUT

    def poll(self):
        outcome, self.outcome = self.outcome, NONE
        return outcome

    def read(self):
        return self.heard, -100, 20

    # As a waiter
    def wait(self, ms):
        if self.outcome == NONE:
            wait_ms(ms)
        return self.outcome != NONE


class Stored(Record):
    # Knows what may be found after a cut: what was stored last, and what is being stored.
    def __init__(self, path, opener, allowed=None):
        super().__init__(path, opener)
        self.good = self.load()
        self.busy = self.good
        if allowed is not None and self.good not in allowed:
            raise FaultError(f"{path} is neither the old content nor the new one")

    def load(self):
        self._sequence = self._next = 0
        return super().load()

    def save(self, content):
        self.busy = bytes(content)
        done = super().save(content)
        if not done:
            raise FaultError("not stored")
        self.good = self.busy
        return done

    def allowed(self):
        return (self.good, self.busy)


class Sensor:
    def read(self, readings):
        readings["temperature_centi"] = 2150
        readings["humidity_centi"] = 5000
        readings["battery_mv"] = 3600


class Quiet(app.Node):
    def log(self, text):
        if "fault" in text:
            raise FaultError(text)


class Life:
    def __init__(self, blocks, sky, allowed=(None, None), forks=False):
        self.flash = Flash(blocks)
        self.sky = sky
        vfs = os.VfsLfs2(self.flash)
        self.record = Stored("/state", vfs.open, allowed[0])
        self.ledger = Stored("/ledger", vfs.open, allowed[1])
        self.radio = Radio(sky)
        self.node = Quiet(
            identity(), self.record, self.ledger, self.radio, self.radio, [Sensor()], Random(), self.deliver
        )
        self.exchange = False
        self.forks = []
        if forks:
            self.flash.cut = self.cut
        self._check_ledger()
        mac = self.node.mac
        heard, step = mac.heard, mac.step
        self.accepted = b""

        def judged(now_ms, phy, snr_x4):
            if not heard(now_ms, phy, snr_x4):
                return False
            if phy in sky.in_force:
                raise FaultError("FCntDown twice")
            self.accepted = phy
            return True

        def noted(now_ms):
            action = step(now_ms)
            self.exchange = action in (app.actions.TRANSMIT, app.actions.LISTEN)
            return action

        mac.heard = judged
        mac.step = noted
        self.node._start_radio()

    def _check_ledger(self):
        # Counted by the new life is at least what all lives before it had on air in the last hour.
        now_s = Clock.now_us // 1000000
        sums_us = [0] * len(SUB_BANDS)
        for at_s, band, us in self.sky.spent:
            if at_s > now_s - duty_cycle.WINDOW_S:
                sums_us[band] += us
        for band, us in enumerate(sums_us):
            counted_us = self.node.mac.duty_cycle._sums_us[band]
            if counted_us < us:
                raise FaultError(f"the ledger counts {counted_us} us where {us} us were on air")

    def deliver(self, f_port, payload):
        if payload in self.sky.delivered:
            raise FaultError("delivered twice")
        self.sky.delivered.append(payload)
        self._in_force()

    def _in_force(self):
        # Stored, or the application knows it: from now on the same downlink must not count again.
        if self.accepted and self.accepted[0] != 0x20:
            self.sky.in_force.append(self.accepted)
        self.accepted = b""

    def cut(self, blocks):
        self.forks.append((blocks, Sky(self.sky), Clock.now_us, (self.record.allowed(), self.ledger.allowed())))

    def step(self):
        node, state = self.node, self.node.state
        on_air = len(self.sky.spent)
        flash = self.flash.programs
        node.step()
        if len(self.sky.spent) == on_air and self.exchange and self.flash.programs > flash:
            raise FaultError("a flash write between a transmission and the end of RX2")
        if not state.dirty:
            self.sky.joined = state.joined
            self._in_force()

    def until(self, uplinks):
        for _ in range(400):
            if self.sky.uplinks >= uplinks and not self.accepted and self.radio.window == 2:
                return
            self.step()
            yield
        raise FaultError("400 steps and no uplink")


class Tally:
    cuts = twice = 0


def fork(blocks, sky, now_us, allowed, forks):
    Clock.now_us = now_us
    life = Life(blocks, sky, allowed, forks)
    for _ in life.until(sky.uplinks + 2):
        for each in life.forks:
            Tally.twice += 1
            now = Clock.now_us
            fork(*each, False)
            Clock.now_us = now
        life.forks.clear()


def main(uplinks, deeper, count):
    blocks = [ERASED] * count
    os.VfsLfs2.mkfs(Flash(blocks))
    life = Life(blocks, Sky(), forks=True)
    for _ in range(uplinks):
        for _ in life.until(life.sky.uplinks + 1):
            now_us = Clock.now_us
            for each in life.forks:
                Tally.cuts += 1
                fork(*each, deeper > 0 and Tally.cuts % deeper == 0)
            Clock.now_us = now_us
            life.forks.clear()
    flash = life.flash
    if len(life.sky.delivered) < uplinks // 4 or len(life.sky.in_force) < uplinks // 2:
        raise FaultError("the life was too quiet to prove anything")
    sys.stdout.write(
        f"ok cuts={Tally.cuts} twice={Tally.twice} state={life.record.writes} ledger={life.ledger.writes}"
        f" programs={flash.programs} erases={sum(flash.erases)} most={max(flash.erases)}"
        f" hours={Clock.now_us // 3600000000}\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
