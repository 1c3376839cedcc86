# One place to wait: until an interrupt raised a Flag, a stream has bytes, or time is up.
# select.poll wakes on interrupts on every port, so the wait costs no polling loop and the CPU may sleep in it.
import io
import select

_POLL_IN = select.POLLIN
_IOCTL_POLL = 3  # MP_STREAM_POLL, py/stream.h


class Flag(io.IOBase):
    # Set in an interrupt handler (stores only), seen by Waiter.wait; the owner clears it.
    def __init__(self):
        self.raised = False

    def ioctl(self, request, argument):
        if request == _IOCTL_POLL:
            return argument & _POLL_IN if self.raised else 0
        return -1


class Waiter:
    def __init__(self):
        self._poll = select.poll()

    def add(self, stream):
        self._poll.register(stream, _POLL_IN)

    def wait(self, timeout_ms):
        # True when something is ready, False when timeout_ms (0 or more) passed.
        return bool(self._poll.poll(timeout_ms))
