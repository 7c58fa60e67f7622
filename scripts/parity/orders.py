"""Which sha256 a checkpoint's file can have: every order of its header's metadata before the same weights.

    orders.py FILE SUM...    says which of the sums (or beginnings of sums) some order has

Before metadata were sorted, each save drew an order anew; this tells whether a sum from then is of the same weights.
"""
import hashlib
import itertools
import json
import struct
import sys
from pathlib import Path

path, *wanted = sys.argv[1:]
content = Path(path).read_bytes()
length = struct.unpack("<Q", content[:8])[0]
header, weights = json.loads(content[8:8 + length]), content[8 + length:]
metadata = header.pop("__metadata__")
tensors = json.dumps(header, separators=(",", ":"))[1:]
found = {}
for order in itertools.permutations(sorted(metadata)):
    text = json.dumps({key: metadata[key] for key in order}, separators=(",", ":"), ensure_ascii=False)
    head = f'{{"__metadata__":{text},{tensors}'.encode()
    head += b" " * (-len(head) % 8)
    found[hashlib.sha256(struct.pack("<Q", len(head)) + head + weights).hexdigest()] = ", ".join(order)
for one in wanted:
    orders = [order for sum_, order in found.items() if sum_.startswith(one)]
    print(one, f"of these weights, metadata in the order {orders[0]}" if orders else "of other weights")
print(f"{len(found)} orders")
sys.exit(any(not any(sum_.startswith(one) for sum_ in found) for one in wanted))
