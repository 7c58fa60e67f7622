"""A classifier behind a pipe, as docs/models.md tells of it: a line of JSON with images in, a line with their classes out.

    gauntlet attack --model '{ name = "command", command = ["python3", "scripts/black-box/black_box.py", "net.onnx"] }' \
        --data glyphs --attack hopskipjump --norm l2 --eps 0.5

The network is computed by ONNX Runtime; whatever else maps images to classes takes the place of `classify`.
"""

import json
import sys

import numpy
import onnxruntime

SESSION = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
LOGITS = "--logits" in sys.argv


def classify(images: numpy.ndarray) -> numpy.ndarray:
    """Logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
    return SESSION.run(None, {SESSION.get_inputs()[0].name: images})[0]


for line in sys.stdin:
    question = json.loads(line)
    images = numpy.array(question["images"], dtype=numpy.float32).reshape(question["shape"])
    logits = classify(images)
    answer = {"logits": logits.tolist()} if LOGITS else {"labels": logits.argmax(axis=1).tolist()}
    print(json.dumps({"id": question["id"], **answer}), flush=True)
