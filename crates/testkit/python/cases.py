"""The matrix: every kind of type, shape, storage, filter and fill value that is written and read by both sides.

    python cases.py list                    the cases and trees, as JSON: {"cases": [...], "trees": [...]}
    python cases.py expected [NAME...]      what each case holds: {NAME: {"values": [...], "raw": HEX}}
    python cases.py write DIR [NAME...]     writes DIR/NAME.h5 for each, in the format of HDF5 1.10
    python cases.py write-earliest ...      the same in the oldest format that will do
    python cases.py write-latest ...        the same in the newest format there is
    python cases.py check DIR [NAME...]     reads each and compares everything
    python cases.py dump DIR [NAME...]      the same for the values, as `h5dump` prints them

`check` and `dump` print a JSON list of {"name": .., "error": null or text} and exit with 1 when something differs.

A case is a dataset `/data` with these properties:

    type        its datatype (see plain.py)
    shape       null for a null dataspace, [] for a scalar
    maxshape    null for an unlimited dimension
    layout      {"kind": "compact"}, {"kind": "contiguous"} or {"kind": "chunked", "chunks": [..], "index": NAME}, where the index is
                the one that libhdf5 chooses for this shape: h5py cannot be asked for it, so it is not compared
    filters     [{"name": "deflate", "level": 4}, {"name": "shuffle"}, {"name": "fletcher32"}, {"name": "lzf"}], in pipeline order
    masks       null, or the filter mask of every chunk in row-major order: chunks written directly, skipping the masked filters
    fill        null (the default: zeros) or a value
    fill_time   "if-set", "alloc" or "never"
    rows        how many rows (of dimension 0) are written; the rest is left to the fill value
    attribute   whether the dataset also has an attribute "twin" of the same type, shape and content

Every file has the groups `/group` and `/group/inner`, for references to lead to.
A tree is a file of groups, links and attributes; see `trees`.
"""

import json
import math
import sys

import matrix
import plain
from plain import array, boolean, complex_, compound, enum, floating, integer, opaque, reference, string, vlen

# The versions of the format that a file may use.
BOUNDS = {"write": ("v110", "v110"), "write-earliest": ("earliest", "latest"), "write-latest": ("latest", "latest")}


def case(name, kind, shape=(7,), **given):
    """One case; what is not given is the plainest choice."""
    shape = None if shape is None else list(shape)
    made = {
        "name": name,
        "type": kind,
        "shape": shape,
        "maxshape": shape,
        "layout": {"kind": "contiguous"},
        "filters": [],
        "masks": None,
        "fill": None,
        "fill_time": "if-set",
        "rows": shape[0] if shape else None,
        "attribute": False,
    }
    unknown = given.keys() - made.keys()
    assert not unknown, unknown
    return made | given


def chunked(index, *chunks):
    return {"kind": "chunked", "chunks": list(chunks), "index": index}


def cases():
    """Every case, in an order that goes from simple to composed."""
    return [*types(), *spaces(), *storages(), *filtered(), *fills()]


def types():
    """Every datatype, contiguous, and as an attribute too."""
    kinds = {}
    for size in (1, 2, 4, 8):
        for signed in (True, False):
            for order in ("le",) if size == 1 else ("le", "be"):
                kinds[f"{'i' if signed else 'u'}{8 * size}_{order}"] = integer(size, signed, order)
    for size in (2, 4, 8):
        for order in ("le", "be"):
            kinds[f"f{8 * size}_{order}"] = floating(size, order)
            if size > 2:
                kinds[f"complex{16 * size}_{order}"] = complex_(floating(size, order))
    colours = [["red", 0], ["green", 1], ["blue", 42]]
    point = compound(("x", floating(8)), ("y", floating(4, "be")))
    kinds |= {
        "bool": boolean(),
        "enum_i8": enum(integer(1), [["down", -1], ["still", 0], ["up", 1]]),
        "enum_u16": enum(integer(2, False), colours),
        "enum_i32_be": enum(integer(4, True, "be"), colours),
        "enum_u64": enum(integer(8, False), [["none", 0], ["most", 2**62 + 5]]),
        "string_ascii": string(9, "ascii"),
        "string_utf8": string(24, "utf-8"),
        "string_one": string(1, "ascii"),
        "string_null_term": string(9, "ascii", "null-term"),
        "string_space_pad": string(9, "ascii", "space-pad"),
        "string_vlen_ascii": string(None, "ascii"),
        "string_vlen_utf8": string(None, "utf-8"),
        "compound": compound(("id", integer(4)), ("value", floating(8)), ("flag", boolean()), ("name", string(6, "ascii"))),
        "compound_padded": compound(("a", integer(1), 0), ("b", floating(8), 8), ("c", integer(2, False), 20), size=24),
        "compound_nested": compound(("at", point), ("path", array(point, 2)), ("kind", enum(integer(2), colours))),
        "compound_deep": compound(("one", compound(("two", compound(("three", integer(2, True, "be")))))), ("z", complex_(floating(4)))),
        "compound_vlen": compound(("n", integer(4)), ("text", string(None)), ("samples", vlen(integer(2))), ("to", reference())),
        "array_1d": array(integer(4), 3),
        "array_2d": array(floating(8, "be"), 2, 3),
        "array_of_compound": array(point, 2),
        "array_of_strings": array(string(5, "ascii"), 2),
        "opaque": opaque(5),
        "opaque_tagged": opaque(3, "three bytes"),
        "vlen_i32": vlen(integer(4)),
        "vlen_f64_be": vlen(floating(8, "be")),
        "vlen_of_vlen": vlen(vlen(integer(1, False))),
        "vlen_of_strings": vlen(string(None)),
        "reference": reference(),
    }
    return [case(f"type_{name}", kind, attribute=True) for name, kind in kinds.items()]


def spaces():
    """Null, scalar, zero-size and many-dimensional dataspaces."""
    samples = {"i32": integer(4), "f64": floating(8), "vlen": string(None), "compound": compound(("a", integer(2)), ("b", floating(4)))}
    made = [case(f"null_{name}", kind, None, attribute=True) for name, kind in samples.items()]
    made += [case(f"scalar_{name}", kind, (), attribute=True) for name, kind in samples.items()]
    made += [
        case("scalar_compact", floating(8), (), layout={"kind": "compact"}),
        case("scalar_vlen_sequence", vlen(integer(4)), (), attribute=True),
        case("scalar_array", array(integer(4), 2, 2), (), attribute=True),
        case("zero_contiguous", floating(8), (0,), attribute=True),
        case("zero_inner", integer(4), (3, 0)),
        case("zero_chunked", integer(4), (0, 4), maxshape=[None, 4], layout=chunked("extensible array", 2, 4)),
        case("zero_chunked_both", integer(4), (0, 0), maxshape=[None, None], layout=chunked("version 2 B-tree", 2, 4)),
        case("zero_growable_once", integer(4), (0,), maxshape=[9], layout=chunked("fixed array", 4)),
        case("rank_5", integer(2), (2, 1, 3, 2, 4)),
        case("rank_4_chunked", integer(2), (3, 2, 5, 4), layout=chunked("fixed array", 2, 1, 3, 4)),
        case("rank_32", integer(1), (1,) * 30 + (2, 3)),
    ]
    return made


# Name, shape, maximum shape, layout. Partial edge chunks wherever they can occur.
INDEXES = [
    ("single", (5, 6), [5, 6], chunked("single chunk", 5, 6)),
    ("single_growable", (3, 6), [5, 6], chunked("fixed array", 5, 6)),
    ("implicit", (10, 7), [10, 7], chunked("implicit", 4, 3)),
    ("fixed", (10, 7), [10, 7], chunked("fixed array", 4, 3)),
    ("fixed_growable", (10, 7), [20, 7], chunked("fixed array", 4, 3)),
    ("fixed_paged", (2500,), [2500], chunked("fixed array", 2)),
    ("extensible", (10, 7), [None, 7], chunked("extensible array", 4, 3)),
    ("extensible_inner", (7, 10), [7, None], chunked("extensible array", 3, 4)),
    ("extensible_capped", (10, 7), [None, 20], chunked("extensible array", 4, 3)),
    ("extensible_blocks", (900, 3), [None, 3], chunked("extensible array", 2, 3)),
    ("btree", (10, 7), [None, None], chunked("version 2 B-tree", 4, 3)),
    ("btree_deep", (90, 40), [None, None], chunked("version 2 B-tree", 3, 2)),
    ("btree_3d", (5, 4, 6), [None, 9, None], chunked("version 2 B-tree", 2, 3, 4)),
]


def storages():
    """Every layout and chunk index, unfiltered."""
    made = [
        case("compact", integer(4), (3, 5), layout={"kind": "compact"}),
        case("compact_compound", compound(("a", integer(2)), ("b", floating(8))), (4,), layout={"kind": "compact"}),
        case("compact_large", integer(1, False), (60_000,), layout={"kind": "compact"}),
        case("contiguous", integer(4, True, "be"), (30, 50)),
    ]
    made += [
        case(f"chunked_{name}", integer(4), shape, maxshape=maxshape, layout=layout) for name, shape, maxshape, layout in INDEXES
    ]
    made += [
        # Enough chunks for a data block of the extensible array that is itself paged.
        case("chunked_extensible_paged", integer(1, False), (140_000,), maxshape=[None], layout=chunked("extensible array", 1)),
        case("chunked_strings", string(None), (9,), maxshape=[None], layout=chunked("extensible array", 4)),
        case("chunked_vlen", vlen(integer(4)), (9,), maxshape=[None], layout=chunked("extensible array", 4)),
        case("chunked_references", reference(), (9,), maxshape=[None], layout=chunked("extensible array", 4)),
    ]
    return made


def filtered():
    """Every index with filters (an implicit index cannot have any), every filter alone and together, and filter masks."""
    deflate, shuffle = {"name": "deflate", "level": 4}, {"name": "shuffle"}
    fletcher32, lzf = {"name": "fletcher32"}, {"name": "lzf"}
    pipelines = {
        "deflate": [deflate],
        "deflate_9": [{"name": "deflate", "level": 9}],
        "deflate_0": [{"name": "deflate", "level": 0}],
        "shuffle": [shuffle],
        "fletcher32": [fletcher32],
        "lzf": [lzf],
        "shuffle_deflate": [shuffle, deflate],
        "shuffle_lzf_fletcher32": [shuffle, lzf, fletcher32],
        "all": [shuffle, deflate, fletcher32],
        "deflate_twice": [deflate, {"name": "deflate", "level": 1}],
    }
    name, shape, maxshape, layout = next(entry for entry in INDEXES if entry[0] == "extensible")
    made = [
        case(f"filter_{filters}", floating(8), shape, maxshape=maxshape, layout=layout, filters=pipeline)
        for filters, pipeline in pipelines.items()
    ]
    made += [
        case(f"filtered_{name}", integer(4), shape, maxshape=maxshape, layout=layout, filters=pipelines["shuffle_deflate"])
        for name, shape, maxshape, layout in INDEXES
        if layout["index"] != "implicit"
    ]
    made += [
        case(
            f"masked_{name}",
            integer(4),
            shape,
            maxshape=maxshape,
            layout=layout,
            filters=pipelines["all"],
            # Each of the pipeline's filters skipped in some chunk, all of them, and none.
            masks=[(0, 1, 2, 4, 7, 5)[i % 6] for i in range(chunk_count(shape, layout))],
        )
        for name, shape, maxshape, layout in INDEXES
        if name in ("single", "fixed", "extensible", "btree")
    ]
    made += [
        case(f"filtered_type_{name}", kind, (9,), maxshape=[None], layout=chunked("extensible array", 4), filters=[shuffle, deflate])
        for name, kind in {
            "i8": integer(1),
            "u64_be": integer(8, False, "be"),
            "f16": floating(2),
            "compound": compound(("a", integer(1)), ("b", floating(8)), ("c", integer(2))),
            "string": string(7, "ascii"),
            "array": array(integer(2), 3),
            "bool": boolean(),
            "string_vlen": string(None),
        }.items()
    ]
    return made


def fills():
    """Fill values of every kind, seen where nothing was written."""
    point = compound(("x", floating(8)), ("n", integer(2, True, "be")))
    chunks, growable = chunked("extensible array", 3), {"maxshape": [None]}
    kinds = {
        "default": (integer(4), None),
        "i32": (integer(4), -7),
        "u64_be": (integer(8, False, "be"), 2**64 - 3),
        "f16": (floating(2), 1.5),
        "f64_nan": (floating(8), "nan"),
        "f32_inf_be": (floating(4, "be"), "-inf"),
        "bool": (boolean(), 1),
        "enum": (enum(integer(2), [["a", 3], ["b", 9]]), 9),
        "string": (string(8, "ascii"), "empty"),
        "string_utf8": (string(8, "utf-8"), "–"),
        "compound": (point, [0.25, -3]),
        "opaque": (opaque(4), "deadbeef"),
        "complex": (complex_(floating(8)), [1.0, -1.0]),
    }
    made = []
    for name, (kind, fill) in kinds.items():
        made.append(case(f"fill_{name}", kind, (10,), layout=chunks, fill=fill, rows=4, **growable))
        made.append(case(f"fill_contiguous_{name}", kind, (10,), fill=fill, rows=0))
    made += [
        case(f"fill_{name}_{time}", integer(4), shape, maxshape=maxshape, layout=layout, fill=-1, fill_time=time, rows=rows)
        # "never" leaves undefined what is not written.
        for time, rows in (("alloc", 2), ("if-set", 2), ("never", 10))
        for name, shape, maxshape, layout in INDEXES
        if name in ("fixed", "extensible", "btree")
    ]
    made += [
        case("fill_implicit", integer(4), (10, 7), layout=chunked("implicit", 4, 3), fill=5, rows=3),
        case("fill_compact", integer(4), (10,), layout={"kind": "compact"}, fill=5, rows=0),
        case("fill_filtered", floating(8), (10,), layout=chunks, fill=2.5, rows=4, filters=[{"name": "deflate", "level": 4}], **growable),
        case("fill_nothing_written", floating(8), (10,), layout=chunks, fill=2.5, rows=0, **growable),
    ]
    return made


def chunk_count(shape, layout):
    return math.prod(-(-extent // chunk) for extent, chunk in zip(shape, layout["chunks"], strict=True))


def trees():
    """Files of groups, links and attributes.

    A tree has `objects`, parents first: {"path", "creation_order", "attributes": [{"name", "type", "shape", "values"}]}, every one a group
    (the root group is always there and may be listed for its properties); and `links`: {"path", "kind", "target", "file"} where the kind is
    hard, soft or external, and only an external link has a file.
    """

    def attribute(name, kind, shape, *given):
        return {"name": name, "type": kind, "shape": shape, "values": list(given)}

    def group(path, *attributes, creation_order=False):
        return {"path": path, "creation_order": creation_order, "attributes": list(attributes)}

    def link(path, kind, target, file=None):
        return {"path": path, "kind": kind, "target": target, "file": file}

    def tree(name, objects, links=()):
        return {"name": f"tree_{name}", "objects": objects, "links": list(links)}

    numbered = [attribute(f"number {i:03}", integer(4), [], i) for i in range(60)]
    sizes = [0, 1, 2, 3, 4, 8, 9, 100, 1000]
    many = [group(f"/{'ordered' if ordered else 'plain'}_{size}", creation_order=ordered) for ordered in (False, True) for size in sizes]
    children = [
        # Names in an order that is not alphabetical, so that creation order shows.
        group(f"{parent['path']}/child {i * 7919 % 10007}")
        for parent in many
        for i in range(int(parent["path"].split("_")[1]))
    ]
    return [
        tree("empty", []),
        tree("nested", [group("/a"), group("/a/b"), group("/a/b/c", attribute("depth", integer(1), [], 3)), group("/a/d")]),
        tree("names", [group("/with space"), group("/日本語"), group("/" + "n" * 300), group("/.hidden"), group("/a.b-c_d")]),
        tree("many_links", many + children),
        tree("root_in_creation_order", [group("/", creation_order=True), group("/z"), group("/a"), group("/m")]),
        tree(
            "links",
            [group("/here"), group("/here/inner")],
            [
                link("/also", "hard", "/here"),
                link("/here/loop", "hard", "/"),
                link("/soft", "soft", "/here/inner"),
                link("/relative", "soft", "here"),
                link("/dangling", "soft", "/nowhere"),
                link("/elsewhere", "external", "/x/y", "other.h5"),
            ],
        ),
        tree("attributes_compact", [group("/", *numbered[:3]), group("/g", attribute("text", string(None), [2], "one", "zwei – 2"))]),
        tree("attributes_dense", [group("/", *numbered), group("/g", *numbered[:9], creation_order=True)]),
        tree(
            "attributes_large",
            [
                group("/", attribute("big", integer(4), [10_000], *range(10_000))),
                group("/many", *(attribute(f"big {i}", integer(8), [700], *range(i, i + 700)) for i in range(20))),
            ],
        ),
    ]


def main(arguments):
    command, *rest = arguments or ["help"]
    everything = {entry["name"]: entry for entry in cases() + trees()}
    assert len(everything) == len(cases()) + len(trees()), "two cases have one name"
    if command in ("check", "dump") or command in BOUNDS:
        directory, *rest = rest
    names = rest or list(everything)
    unknown = [name for name in names if name not in everything]
    if unknown:
        sys.exit(f"no such case: {', '.join(unknown)}")
    chosen = [everything[name] for name in names]
    match command:
        case "list":
            listed = [entry | {"type": plain.in_file(entry["type"])} for entry in cases()]
            print(json.dumps({"cases": listed, "trees": trees()}))
        case "expected":
            print(json.dumps({entry["name"]: matrix.expected(entry) for entry in chosen if "type" in entry}))
        case _ if command in BOUNDS:
            for entry in chosen:
                matrix.write(directory, entry, BOUNDS[command])
        case "check" | "dump":
            judge = matrix.check if command == "check" else matrix.dump
            report = [{"name": entry["name"], "error": matrix.verdict(judge, directory, entry)} for entry in chosen]
            print(json.dumps(report))
            sys.exit(any(line["error"] for line in report))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
