# What the head has to say beside frames: short messages that wait for the line, and the outcomes it can say again.
from . import link
from .counter import MASK

MAX_REPLIES = 32
MAX_RESULTS = 16


class Outbox:
    def __init__(self, boot_id: int) -> None:
        self._boot_id = boot_id
        self._replies: list[tuple[str, dict[str, int]]] = []  # (name, fields), oldest first
        self._results: list[dict[str, int]] = []  # the last final outcomes, oldest first

    def __len__(self) -> int:
        return len(self._replies)

    def reply(self, name, fields):
        # fields without the boot id. A host that asks faster than the line carries answers misses some.
        fields["boot_id"] = self._boot_id
        if len(self._replies) < MAX_REPLIES:
            self._replies.append((name, fields))

    def hello(self, query, fields):
        # One hello for all who made the head say it, one for each who asked by number.
        for name, waiting in self._replies:
            if name == "hello" and (not query or waiting["query"] == query):
                return
        fields["query"] = query
        self.reply("hello", fields)

    def take(self, now_us: int) -> bytes:
        # The next message as bytes. The times in it are those of its leaving.
        name, fields = self._replies.pop(0)
        if name == "time":
            fields["sent_us"] = now_us & MASK
        elif name in ("hello", "stats"):
            fields["counter_us"] = now_us & MASK
        return link.encode(name, b"", **fields)

    def outcome(self, tag, chip, outcome, reason, slack_us, start_us):
        fields = {
            "tag": tag,
            "chip": chip,
            "outcome": link.OUTCOMES.index(outcome),
            "reason": link.REASONS.index(reason),
            "slack_us": slack_us,
            "counter_us": start_us & MASK,
        }
        self.reply("tx_outcome", fields)
        return fields

    def result(self, tag, chip, outcome, reason, slack_us, start_us):
        # The last word on a tag, to be said again when the host asks.
        self._results.append(self.outcome(tag, chip, outcome, reason, slack_us, start_us))
        if len(self._results) > MAX_RESULTS:
            self._results.pop(0)

    def repeat(self, tag):
        for result in self._results:
            if result["tag"] == tag:
                self.reply("tx_outcome", result)
                return True
        return False
