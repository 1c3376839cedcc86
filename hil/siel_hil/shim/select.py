# Shadows select: poll on the emulated streams, woken by their bytes and by interrupts.
import _link

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_IOCTL_POLL = 3


class _Poll:
    def __init__(self):
        self._streams = []

    def register(self, stream, mask=POLLIN | POLLOUT):
        self.unregister(stream)
        self._streams.append((stream, mask))

    def modify(self, stream, mask):
        self.register(stream, mask)

    def unregister(self, stream):
        self._streams = [entry for entry in self._streams if entry[0] is not stream]

    def poll(self, timeout=-1):
        deadline = None if timeout < 0 else _link.now_us + timeout * 1000
        _link.spend(_link.CALL_US)
        while True:
            ready = []
            for stream, mask in self._streams:
                events = stream.ioctl(_IOCTL_POLL, mask)
                if events:
                    ready.append((stream, events))
            if ready or (deadline is not None and _link.now_us >= deadline):
                return ready
            _link.wait_until(1 << 60 if deadline is None else deadline, True)

    ipoll = poll


def poll():
    return _Poll()
