"""How far a long copy is."""

import sys
import time


class Progress:
    """Counts bytes of elements, and tells of them.

    tell: called with the bytes done and those there are in all; or True for a line on stderr, or None for nothing.
    """

    def __init__(self, tell, total):
        self._tell = _Line() if tell is True else tell or None
        self._total, self._done = total, 0

    def add_to_total(self, size):
        """More there is than was known."""
        self._total += size

    def advance(self, size):
        self._done += size
        if self._tell is not None:
            self._tell(min(self._done, self._total), self._total)


class _Line:
    """A line on stderr that is written over, a few times each second, once a copy takes long enough to be wondered about."""

    _BEGIN, _EVERY, _WIDTH = 0.5, 0.1, 30

    def __init__(self):
        self._started = self._last = time.monotonic()
        self._shown = False

    def __call__(self, done, total):
        now = time.monotonic()
        is_end = done >= total
        if now - self._started < self._BEGIN or (now - self._last < self._EVERY and not is_end):
            return
        if is_end and not self._shown:
            return
        self._last, self._shown = now, True
        share = done / total if total else 1.0
        bar = "#" * round(share * self._WIDTH)
        rate = done / 1e6 / max(now - self._started, 1e-9)
        text = f"\r[{bar:<{self._WIDTH}}] {share:4.0%} of {total / 1e6:.1f} MB, {rate:.1f} MB/s"
        print(text, end="\n" if is_end else "", file=sys.stderr, flush=True)
