"""What the cases of `cases.py` hold: plain values (see `plain.py`), made from the datatype and the element's number."""

import math

import formula
import plain

# A case of more elements than this is one of integers, and is listed as raw bytes only.
LISTED = 10_000

FLOATS = [0.0, -0.0, 1.0, -1.5, "inf", "-inf", "nan"]
WORDS = ["", "a", "Hello", "Grüße", "日本", "z z", "h5live"]
# Not the dataset itself: h5dump follows references to datasets without end.
TARGETS = ["/group", "/group/inner", "/", None]


def values(wanted):
    """The flat list of plain values a case holds, fill values included; None for a null dataspace."""
    if wanted["shape"] is None:
        return None
    count = math.prod(wanted["shape"])
    rows = wanted["rows"]
    written = count if rows is None or not wanted["shape"][0] else count // wanted["shape"][0] * rows
    made = [element(wanted["type"], i) for i in range(written)] if written <= LISTED else many(wanted["type"], written)
    fill = wanted["fill"] if wanted["fill"] is not None else zero(wanted["type"])
    return made + [fill] * (count - written)


def many(kind, count):
    """The values of a large case, which is one of integers."""
    return formula.values(0, 0, count, plain.numpy_dtype(kind)).tolist()


def element(kind, i):
    """The plain value of element `i`: the awkward values of its type first, then arbitrary ones."""
    mixed = int(formula.bits(0, i, 1)[0])
    match kind["class"]:
        case "integer":
            low = -(2 ** (8 * kind["size"] - 1)) if kind["signed"] else 0
            high = low + 2 ** (8 * kind["size"]) - 1
            return ([low, high, 1] + [low + (mixed >> (64 - 8 * kind["size"]))])[min(i, 3)]
        case "float" if i < len(FLOATS):
            return FLOATS[i]
        case "float":
            # Few enough digits for every width.
            return (mixed % 2001 - 1000) / 8.0
        case "enum":
            return kind["members"][i % len(kind["members"])][1]
        case "string":
            return text(kind, i, mixed)
        case "compound":
            return [element(field["type"], i + 3 * n) for n, field in enumerate(kind["fields"])]
        case "array":
            return [element(kind["base"], i * math.prod(kind["dims"]) + n) for n in range(math.prod(kind["dims"]))]
        case "opaque":
            return mixed.to_bytes(8, "little")[: kind["size"]].hex()
        case "complex":
            return [element(kind["base"], i), element(kind["base"], i + 2)]
        case "vlen":
            # Empty, short and, once, long: more than a global heap collection's smallest size.
            length = (0, 1, 3, 2000, 2, 5, 0)[i % 7]
            length = min(length, 9) if "base" in kind["base"] or kind["base"]["class"] == "string" else length
            return [element(kind["base"], i + n) for n in range(length)]
        case "reference":
            return TARGETS[i % len(TARGETS)]


def text(kind, i, mixed):
    """A string that fits, in the type's character set."""
    word = WORDS[i % len(WORDS)] if kind["charset"] == "utf-8" else WORDS[i % len(WORDS)].encode("ascii", "ignore").decode()
    length = kind["length"]
    if length is None:
        return word + "." * (mixed % 50 if i else 5000)
    room = length - 1 if kind["padding"] == "null-term" else length
    while len(word.encode()) > room:
        word = word[:-1]
    return word


def zero(kind):
    """What libhdf5 fills with when no fill value was given: zero bytes."""
    match kind["class"]:
        case "float":
            return 0.0
        case "string":
            return ""
        case "compound":
            return [zero(field["type"]) for field in kind["fields"]]
        case "array":
            return [zero(kind["base"])] * math.prod(kind["dims"])
        case "opaque":
            return "00" * kind["size"]
        case "complex":
            return [0.0, 0.0]
        case "vlen":
            return []
        case "reference":
            return None
        case _:
            return 0
