"""Blocks at regular distances, as an index."""


class MultiBlockSlice:
    """`count` blocks of `block` elements, their starts `stride` apart: `dataset[MultiBlockSlice(start=1, count=3, stride=4, block=2)]`.

    count None: as many as there is room for.
    """

    def __init__(self, start=0, stride=1, count=None, block=1):
        if start < 0:
            raise ValueError("Start can't be negative")
        if stride < 1 or (count is not None and count < 1) or block < 1:
            raise ValueError("Stride, count and block can't be 0 or negative")
        if block > stride:
            raise ValueError("Blocks will overlap if block > stride")
        self.start, self.stride, self.count, self.block = start, stride, count, block

    def indices(self, length):
        """start, stride, count, block for an axis of `length`."""
        if self.count is not None:
            end = self.start + self.block + (self.count - 1) * self.stride
            if end > length:
                raise ValueError(f"{self} range ({self.start} - {end - 1}) extends beyond maximum index ({length - 1})")
            return self.start, self.stride, self.count, self.block
        if self.start + self.block > length:
            raise ValueError(f"No full blocks can be selected using {self} on dimension of length {length}")
        count = (length - self.start - self.block) // self.stride + 1
        return self.start, self.stride, count, self.block

    _h5live_block = indices

    def __repr__(self):
        return f"MultiBlockSlice(start={self.start}, stride={self.stride}, count={self.count}, block={self.block})"
