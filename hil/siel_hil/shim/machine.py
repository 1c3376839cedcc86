# Shadows machine: pins, SPI, I2C, UART and ADC of the emulated board, on the coordinator's clock.
# _wiring says which pin reaches which device; unwired pins are plain memory.
import io

import _link
from micropython import const

# The operations, letters of ASCII, those that are posted with bit 7; siel_hil/process.py carries them out.
_SELECT = const(0x46)
_TRANSFER = const(0x53)
_DESELECT = const(0xC3)
_BUSY = const(0x4D)
_DIO1 = const(0x44)
_RESET = const(0x4E)
_OUTPUT = const(0xD0)
_I2C_WRITE = const(0x49)
_I2C_READ = const(0x4A)
_UART_OPEN = const(0x4F)
_UART_READ = const(0x52)
_UART_WRITE = const(0xD5)
_ADC = const(0x41)

PWRON_RESET = 1
HARD_RESET = 1
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_selects = {}  # chip select pin -> SPI device
_busy_pins = {}  # BUSY pin -> SPI device
_lines = {}  # DIO0 or DIO1 pin -> interrupt line
_resets = {}  # NRST pin -> SPI device
_outputs = {}  # other outputs that somebody watches -> index
_steady = []  # SPI device -> {opcode: BUSY in us} of commands whose BUSY is always the same; None: it has no BUSY
_busy_until = _link.busy_until
_wakes = _link.wakes
_unique_id = b""
_reset_cause = PWRON_RESET


def _wire(wiring):
    global _unique_id, _reset_cause
    for index, spi in enumerate(wiring["spi"]):
        _selects[spi["cs"]] = index
        _resets[spi["reset"]] = index
        if "busy" not in spi:
            _steady.append(None)
            continue
        _busy_pins[spi["busy"]] = index
        _steady.append({})
        for busy_us, opcodes in spi["steady_busy"].items():
            for opcode in bytes.fromhex(opcodes):
                _steady[index][opcode] = int(busy_us)
    _link.chips = len(_steady)
    for line, pin in enumerate(wiring["lines"]):
        _lines[pin] = line
    for index, pin in enumerate(wiring["outputs"]):
        _outputs[pin] = index
    _unique_id = bytes.fromhex(wiring["unique_id"])
    _reset_cause = wiring["reset_cause"]


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 4
    IRQ_RISING = 8

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self.id = int(id[2:]) if isinstance(id, str) else id
        self._value = 0
        self._busy = _busy_pins.get(self.id)
        self._select = _selects.get(self.id)
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if value is not None:
            self(value)

    def __call__(self, value=None):
        if value is None:
            if self._busy is None:
                return self._level()
            _link.now_us += _link.CALL_US
            until_us = _busy_until[self._busy]
            if until_us is None:
                until_us = _ask_busy(self._busy)
            return 1 if _link.now_us < until_us else 0
        if self._select is not None:
            if value:
                _end(self._select)
            elif _selected != self._select:
                _begin(self._select)
        elif value != self._value:
            self._drive(1 if value else 0)
        return None

    value = __call__

    def _level(self):
        if self.id in _lines:
            _link.exchange(_DIO1, _lines[self.id])
            return _link.payload[0]
        if self._select is not None:
            return 0 if _selected == self._select else 1
        return self._value

    def _drive(self, value):
        if value == self._value:
            return
        self._value = value
        if self.id in _resets:
            device = _resets[self.id]
            _link.exchange(_RESET, device << 1 | value)
            _note_busy(device)
        elif self.id in _outputs:
            _link.post(_OUTPUT, _outputs[self.id] << 1 | value)

    def on(self):
        self(1)

    def off(self):
        self(0)

    high = on
    low = off

    def irq(self, handler=None, trigger=12, *, hard=False, priority=1, wake=None):
        if self.id in _lines:
            _link.on_line(_lines[self.id], self, handler)


_selected = -1
_opcode = -1  # of the command under way; -1 before its first byte
_pending = b""  # what was written since the falling edge or the last read


# A falling edge, what is written and the rising edge are told together. A command whose BUSY is known beforehand needs
# no answer, so it travels with whatever is asked for next.


def _begin(device):
    global _selected, _opcode
    _selected = device
    _opcode = -1
    if _wakes[device]:
        _link.exchange(_SELECT, device)
        _note_busy(device)


def _end(device):
    global _selected, _pending
    if _selected != device:
        return
    _selected = -1
    _link.now_us += len(_pending)  # a byte takes 1 us at 8 MHz
    _link.post(_DESELECT, device, _pending)
    _pending = b""
    if _steady[device] is None:
        return
    busy_us = _steady[device].get(_opcode)
    if busy_us is None:
        _busy_until[device] = None
        _wakes[device] = True
    elif busy_us and _busy_until[device] is not None:
        _busy_until[device] = _link.now_us + busy_us


def _ask_busy(device):
    _link.exchange(_BUSY, device)
    _note_busy(device)
    return _busy_until[device]


def _note_busy(device):
    # The answer: microseconds of BUSY, 24 bit, and whether the next falling edge must be told at once.
    answer = _link.payload
    _busy_until[device] = _link.now_us + (answer[0] | answer[1] << 8 | answer[2] << 16)
    _wakes[device] = answer[3] == 1


class SPI:
    MSB = 0
    LSB = 1

    def __init__(self, id, baudrate=1000000, **wiring):
        pass

    def init(self, **wiring):
        pass

    def deinit(self):
        pass

    def _transfer(self, data):
        global _pending, _opcode
        if _selected < 0:
            return b"\xff" * len(data)
        if _opcode < 0 and data:
            _opcode = data[0]
        if _pending:
            _link.spend(len(_pending))
            _link.post(_TRANSFER | 0x80, _selected, _pending)
            _pending = b""
        _link.spend(len(data))
        n = _link.exchange(_TRANSFER, _selected, data)
        return _link.payload[:n]

    def write(self, buf):
        global _opcode, _pending
        if _selected >= 0:
            if _opcode < 0 and buf:
                _opcode = buf[0]
            _pending = _pending + buf if _pending else bytes(buf)

    def read(self, n, write=0):
        return bytes(self._transfer(bytes([write]) * n))

    def readinto(self, buf, write=0):
        buf[:] = self._transfer(bytes([write]) * len(buf))

    def write_readinto(self, write_buf, read_buf):
        read_buf[:] = self._transfer(write_buf)


class I2C:
    def __init__(self, id=0, *, scl=None, sda=None, freq=400000, timeout=50000):
        self._bus = id

    def writeto(self, addr, buf, stop=True):
        _link.spend((len(buf) + 1) * 25)
        _link.exchange(_I2C_WRITE, self._bus << 7 | addr, bytes(buf))
        if not _link.payload[0]:
            raise OSError(5)
        return len(buf)

    def readfrom(self, addr, nbytes, stop=True):
        _link.spend((nbytes + 1) * 25)
        n = _link.exchange(_I2C_READ, self._bus << 7 | addr, bytes([nbytes]))
        if n != nbytes:
            raise OSError(5)
        return bytes(_link.payload[:n])

    def readfrom_into(self, addr, buf, stop=True):
        buf[:] = self.readfrom(addr, len(buf))

    def scan(self):
        found = []
        for addr in range(8, 120):
            try:
                self.writeto(addr, b"")
                found.append(addr)
            except OSError:
                pass
        return found


SoftI2C = I2C


class UART(io.IOBase):
    def __init__(self, id, baudrate=9600, bits=8, parity=None, stop=1, **options):
        self._id = id
        self.init(baudrate, bits, parity, stop, **options)

    def init(
        self,
        baudrate=9600,
        bits=8,
        parity=None,
        stop=1,
        *,
        rxbuf=256,
        txbuf=256,
        tx=None,
        rx=None,
        timeout=0,
        timeout_char=0,
        flow=0,
    ):
        _link.exchange(_UART_OPEN, self._id, baudrate.to_bytes(4, "little") + rxbuf.to_bytes(2, "little"))
        _link.uart_bytes[self._id] = b""

    def deinit(self):
        pass

    def _fetch(self):
        _link.refresh()
        if _link.uart_waiting >> self._id & 1:
            n = _link.exchange(_UART_READ, self._id)
            _link.uart_bytes[self._id] += bytes(_link.payload[:n])
        return _link.uart_bytes[self._id]

    def any(self):
        return len(self._fetch())

    def read(self, n=-1):
        waiting = self._fetch()
        if not waiting:
            return None
        if n < 0:
            n = len(waiting)
        _link.uart_bytes[self._id] = waiting[n:]
        return waiting[:n]

    def readinto(self, buf, n=-1):
        data = self.read(len(buf) if n < 0 else n)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self):
        end = self._fetch().find(b"\n") + 1
        return self.read(end) if end else None

    def write(self, data):
        data = bytes(data)
        for start in range(0, len(data), 1024):
            _link.post(_UART_WRITE, self._id, data[start : start + 1024])
        return len(data)

    def flush(self):
        pass

    def txdone(self):
        return True

    def ioctl(self, request, argument):
        if request == 3:
            ready = argument & 4
            if argument & 1 and (_link.uart_bytes[self._id] or _link.uart_waiting >> self._id & 1):
                ready |= 1
            return ready
        return 0


class ADC:
    def __init__(self, id):
        self._id = id.id if isinstance(id, Pin) else id

    def read_u16(self):
        n = _link.exchange(_ADC, self._id)
        return _link.payload[0] | _link.payload[1] << 8 if n else 0


class WDT:
    def __init__(self, id=0, timeout=5000):
        self._timeout_us = timeout * 1000
        self.feed()

    def feed(self):
        _link.wdt_deadline_us = _link.now_us + self._timeout_us


def unique_id():
    return _unique_id


def reset_cause():
    return _reset_cause


def reset():
    _link.reset(HARD_RESET)


def soft_reset():
    _link.reset(SOFT_RESET)


def idle():
    _link.wait_until(_link.now_us + 1000, True)


def lightsleep(ms=None):
    _link.wait_until(1 << 60 if ms is None else _link.now_us + ms * 1000, False)


def deepsleep(ms=None):
    lightsleep(ms)
    _link.reset(DEEPSLEEP_RESET)


def freq(hz=None):
    return 125000000


def disable_irq():
    return 0


def enable_irq(state=0):
    pass
