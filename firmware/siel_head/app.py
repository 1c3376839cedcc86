# The head's main loop: everything that happens wakes one wait.
import gc
import os

from siel_node.port import parts
from siel_node.port.wait import Waiter

from .chip import Chip
from .counter import Counter
from .head import Head
from .port import board as port

# Read no more at once, so that a flood from the host cannot keep the chips waiting.
_CHUNK_BYTES = 64
_WAKE_US = 4000000  # the watchdog wants to be fed
# A garbage collection takes milliseconds: when nothing is near, long before the heap asks for one.
_QUIET_US = 100000
_TURNS = 8


def run(board):
    counter = Counter()
    radios = port.radios(board)
    uart, baud = port.line(board)
    chips = [Chip(radio, counter) for radio in radios]
    boot_id = int.from_bytes(os.urandom(4), "little")
    head = Head(chips, boot_id, port.reset_cause(), port.STAMP_ERROR_US, counter.now())
    waiter = Waiter()
    waiter.add(uart)
    for radio in radios:
        waiter.add(radio.flag)
    watchdog = parts.watchdog()
    line_free_us = 0
    turns = 0
    while True:
        watchdog.feed()
        for index, radio in enumerate(radios):
            if radio.flag.raised:
                head.radio_event(index)
        now_us = counter.now()
        if now_us >= head.next_us():
            head.tick(now_us)
        data = uart.read(_CHUNK_BYTES) if uart.any() else None
        if data:
            head.receive_data(data, counter.now())
        now_us = counter.now()
        if now_us >= line_free_us and head.has_data():
            # One frame at a time: a write never has to wait for the line.
            frame = head.data_to_send(now_us)
            uart.write(frame)
            line_free_us = now_us + len(frame) * 10000000 // baud
        wake_us = min(head.next_us(), now_us + _WAKE_US)
        if head.has_data():
            wake_us = min(wake_us, line_free_us)
        turns += 1
        if turns >= _TURNS and data is None and wake_us - now_us > _QUIET_US:
            turns = 0
            gc.collect()
        waiter.wait(max(0, wake_us - counter.now() + 999) // 1000)
