# What was heard and is not yet safe with the host. Never forgets a frame by itself: a full store refuses the new one.


class Store:
    def __init__(self, size: int) -> None:
        self.size = size
        self.first_sequence = 1  # of the oldest frame kept, or of the next to come
        self._frames: list[object] = []
        self.overflow = 0

    def __len__(self) -> int:
        return len(self._frames)

    def next_sequence(self) -> int:
        return self.first_sequence + len(self._frames)

    def add(self, frame) -> bool:
        if len(self._frames) >= self.size:
            self.overflow += 1
            return False
        self._frames.append(frame)
        return True

    def get(self, sequence: int):
        # The frame, None when it is gone or not there yet.
        index = sequence - self.first_sequence
        return self._frames[index] if 0 <= index < len(self._frames) else None

    def ack(self, sequence: int) -> bool:
        # Forgets all up to and including sequence; False when it is gone already or was never given.
        count = sequence - self.first_sequence + 1
        if not 0 < count <= len(self._frames):
            return False
        del self._frames[:count]
        self.first_sequence += count
        return True
