"""Files of every kind that gauntlet reads, sound and harmful, with nothing but the standard library."""

import gzip
import io
import json
import pickle
import struct
import sys
import types
import zipfile
import zlib

# --- Images and data sets -------------------------------------------------------------------------------------------------------------

SIDE = 4


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width=SIDE, height=SIDE, extra=b"", rows=None):
    """A grey picture; `extra`: chunks before the pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(range(width)) for _ in range(height)) if rows is None else rows
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def idx(dims, body):
    return bytes([0, 0, 8, len(dims)]) + b"".join(struct.pack(">I", d) for d in dims) + body


# --- Parquet: one row group of one page for each column, plain encoding ---------------------------------------------------------------


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


class Thrift:
    """A structure in Thrift's compact protocol, built field by field."""

    def __init__(self):
        self.out, self.last = b"", 0

    def field(self, number, kind, body):
        self.out += bytes([(number - self.last) << 4 | kind]) + body
        self.last = number
        return self

    def number(self, number, value, kind=5):
        return self.field(number, kind, varint(value * 2 if value >= 0 else -value * 2 - 1))

    def text(self, number, value):
        return self.field(number, 8, varint(len(value)) + value)

    def structure(self, number, value):
        return self.field(number, 12, value.end())

    def list(self, number, kind, items):
        return self.field(number, 9, bytes([min(len(items), 15) << 4 | kind]) + (varint(len(items)) if len(items) > 14 else b"") + b"".join(items))

    def end(self):
        return self.out + b"\0"


PLAIN, GZIP, RLE = 0, 2, 3


def parquet(images, labels, codec=PLAIN, unpacked=None, rows=None):
    """`unpacked`, `rows`: what it says of the first page's length and of its number of rows, if not the truth."""
    n = len(images) if rows is None else rows
    out = io.BytesIO(b"PAR1")
    out.seek(4)
    columns = []
    bodies = [b"".join(struct.pack("<I", len(i)) + i for i in images), b"".join(struct.pack("<q", l) for l in labels)]
    for which, body in enumerate(bodies):
        packed = gzip.compress(body, 9, mtime=0) if codec == GZIP else body
        length = unpacked if unpacked is not None and which == 0 else len(body)
        data = Thrift().number(1, n).number(2, 0).number(3, RLE).number(4, RLE)
        header = Thrift().number(1, 0).number(2, length).number(3, len(packed)).structure(5, data).end()
        at = out.tell()
        out.write(header + packed)
        name = [b"image", b"label"][which]
        meta = Thrift().number(1, [6, 2][which]).list(2, 5, [varint(0)]).list(3, 8, [varint(len(name)) + name])
        meta = meta.number(4, codec).number(5, n, 6).number(6, len(header) + length, 6).number(7, len(header) + len(packed), 6).number(9, at, 6)
        columns.append(Thrift().number(2, at, 6).structure(3, meta).end())
    schema = [
        Thrift().text(4, b"schema").number(5, 2).end(),
        Thrift().number(1, 6).number(3, 0).text(4, b"image").end(),
        Thrift().number(1, 2).number(3, 0).text(4, b"label").end(),
    ]
    group = Thrift().list(1, 12, columns).number(2, sum(map(len, bodies)), 6).number(3, n, 6).end()
    footer = Thrift().number(1, 1).list(2, 12, schema).number(3, n, 6).list(4, 12, [group]).end()
    out.write(footer + struct.pack("<I", len(footer)) + b"PAR1")
    return out.getvalue()


# --- Checkpoints ----------------------------------------------------------------------------------------------------------------------


def safetensors(tensors):
    """`tensors`: (name, shape), all zeros."""
    header, at = {}, 0
    for name, shape in tensors:
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def stand_in_for_torch():
    """Modules of PyTorch's names, so that the pickles name what PyTorch's do."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    class FloatStorage:
        pass

    def _rebuild_tensor_v2(*_):
        return None

    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    return FloatStorage, _rebuild_tensor_v2


class Storage:
    def __init__(self, key, elements):
        self.key, self.elements = key, elements


class Tensor:
    def __init__(self, rebuild, key, shape):
        self.rebuild, self.key, self.shape = rebuild, key, shape
        self.elements = 1
        for side in shape:
            self.elements *= side

    def __reduce__(self):
        strides, step = [], 1
        for side in reversed(self.shape):
            strides.insert(0, step)
            step *= side
        return self.rebuild, (Storage(self.key, self.elements), 0, tuple(self.shape), tuple(strides), False, {})


def state_dict(tensors):
    """The pickle of a state dict, as torch.save writes it."""
    kind, rebuild = stand_in_for_torch()

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", kind, value.key, "cpu", value.elements) if isinstance(value, Storage) else None

    out = io.BytesIO()
    Pickler(out, 2).dump({name: Tensor(rebuild, str(i), shape) for i, (name, shape) in enumerate(tensors)})
    return out.getvalue()


def zipped(pickled, storages=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in [("data.pkl", pickled), *((f"data/{i}", bytes(4 * n)) for i, n in enumerate(storages))]:
            archive.writestr(zipfile.ZipInfo("m/" + name), body)
    return out.getvalue()


def torch_file(tensors):
    sizes = []
    for _, shape in tensors:
        size = 1
        for side in shape:
            size *= side
        sizes.append(size)
    return zipped(state_dict(tensors), sizes)


def laughs(levels=200):
    """Ten levels of ten and more: lists of lists of lists, each of which is written down once."""
    out = b"\x80\x02}X\x01\0\0\0a]q\0"
    for level in range(levels):
        out += b"0](" + bytes([ord("h"), level]) * 10 + b"eq" + bytes([level + 1])
    return out + b"s."


def nested(depth):
    return b"\x80\x02}X\x01\0\0\0a" + b"]" * depth + b"a" * (depth - 1) + b"s."


def tuples(depth):
    return b"\x80\x02}X\x01\0\0\0aN" + b"\x85" * depth + b"s."


# --- What happens to them -------------------------------------------------------------------------------------------------------------

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def harmed(rng, bytes_):
    """Bytes with one to four things done to them."""
    out = bytearray(bytes_)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(len(out), 1))
        kind = rng.randrange(6)
        if kind == 0 and out:
            out[at] = rng.randrange(256)
        elif kind == 1 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(NUMBERS))
        elif kind == 3:
            del out[at : at + rng.choice([1, 2, 8, 64, len(out)])]
        elif kind == 4:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 16)))
        else:
            out[at:at] = out[at : at + rng.randint(1, 256)] * rng.choice([1, 2, 50])
    return bytes(out)


VALUES = [
    "0", "-1", "1", "1e300", "-1e300", "nan", "inf", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "0.1", '""', '"x"',
    '"../../../etc/passwd"', '"\\u001b[2J"', '"<script>"', "[]", "[[]]", "{}", "true", '"' + "a" * 300 + '"', '"8/0"', '"1/3"', "[1, 2, 3]",
    "[-1]", "1000000000000", '"\\u0000"', '"ce"', '"pgd"', "[0, 0]", "{ name = 1 }", '{ name = "mlp", hidden = [65536, 65536] }',
]


def mutated(rng, text, values=VALUES, mark="="):
    """Text with one to three things done to its lines, values and letters."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind <= 3:
            valued = [i for i, l in enumerate(lines) if mark in l]
            if valued:
                at = rng.choice(valued)
                before, _, after = lines[at].partition(mark)
                comma = "," if after.endswith(",") else ""
                lines[at] = f"{before}{mark} {rng.choice(values)}{comma}"
        elif kind == 4:
            del lines[at]
            lines = lines or [""]
        elif kind == 5:
            lines[at:at] = [lines[at]] * rng.choice([1, 1, 3, 100])
        elif kind == 6 and lines[at]:
            i = rng.randrange(len(lines[at]))
            lines[at] = lines[at][:i] + rng.choice("\"'[]{}=,.\n\t\0\x1b\u202eé0-9") + lines[at][i + 1 :]
        else:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)
