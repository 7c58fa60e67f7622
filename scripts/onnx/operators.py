#!/usr/bin/env python3
"""Small networks, one for every operator and its settings, with what ONNX Runtime computes: crates/onnx/tests/golden/operators.json.

Usage: operators.py OUT.json
"""

import base64
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

CASES = []
RANDOM = np.random.RandomState(7)


def values(*shape, low=-1.0, high=1.0):
    """Numbers of few digits: short in the file, exact in float32."""
    return (RANDOM.randint(0, 129, shape) / 128 * (high - low) + low).astype(np.float32)


def ints(*v):
    return np.array(v, dtype=np.int64)


def case(name, nodes, weights=None, shape=(3, 6, 6), opset=17, low=-1.0, high=1.0, batch="N", outputs="y"):
    """`nodes`: (operator, inputs, outputs, attributes); the image is x, the result y."""
    made = [helper.make_node(op, i.split(), o.split(), **(a[0] if a else {})) for op, i, o, *a in nodes]
    dims = ([batch] if batch is not None else []) + list(shape)
    graph = helper.make_graph(
        made,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(outputs, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in (weights or {}).items()],
    )
    # The smallest IR that the opset goes with: ONNX Runtime reads no newer ones than it knows.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 20 else 9)
    model.producer_name = ""
    examples = 1 if batch in (1, None) else 2
    x = values(*([examples] if batch is not None else []), *shape, low=low, high=high)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y = session.run([outputs], {"x": x})[0]
    y = y.reshape(examples, -1)
    assert np.isfinite(y).all(), name
    CASES.append({
        "name": f"{name} ({opset})",
        "file": base64.b64encode(model.SerializeToString()).decode(),
        "shape": list(shape),
        "x": [float(v) for v in x.ravel()],
        "y": [[float(f"{v:.7g}") for v in row] for row in y],
    })


def conv(name, weight, opset=17, shape=(3, 6, 6), bias=True, **attributes):
    w = {"conv.weight": values(*weight, low=-0.5, high=0.5)}
    if bias:
        w["conv.bias"] = values(weight[0])
    case(name, [("Conv", "x conv.weight" + (" conv.bias" if bias else ""), "y", attributes)], w, shape, opset)


def unary(op, opset=17, low=-3.0, high=3.0, **attributes):
    case(op, [(op, "x", "y", attributes)], None, (1, 3, 4), opset, low, high)


def convolutions():
    conv("Conv", (4, 3, 3, 3), pads=[1, 1, 1, 1])
    conv("Conv stride", (4, 3, 3, 3), opset=8, strides=[2, 2], kernel_shape=[3, 3], bias=False)
    conv("Conv rectangular kernel", (4, 3, 2, 3), pads=[0, 1, 0, 1])
    conv("Conv strides apart", (2, 3, 3, 2), strides=[2, 1], pads=[1, 0, 1, 0])
    conv("Conv pads on two sides", (4, 3, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2])
    conv("Conv dilation", (2, 3, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2])
    conv("Conv dilations apart", (2, 3, 2, 2), dilations=[1, 3])
    conv("Conv groups", (4, 2, 3, 3), shape=(4, 5, 5), group=2, pads=[1, 1, 1, 1])
    conv("Conv depthwise", (3, 1, 3, 3), group=3, pads=[1, 1, 1, 1], strides=[2, 2])
    conv("Conv depthwise dilated", (3, 1, 2, 2), group=3, dilations=[2, 2], bias=False)
    conv("Conv depthwise twice the channels", (6, 1, 3, 3), group=3)
    conv("Conv same upper", (2, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    conv("Conv same lower", (2, 3, 4, 4), auto_pad="SAME_LOWER", strides=[1, 1])
    conv("Conv valid", (2, 3, 3, 3), auto_pad="VALID")


def pools():
    for op in ["MaxPool", "AveragePool"]:
        pool = lambda name, opset=17, **a: case(f"{op} {name}", [(op, "x", "y", a)], None, (2, 7, 7), opset)
        pool("plain", kernel_shape=[2, 2], strides=[2, 2])
        pool("overlapping", 8, kernel_shape=[3, 3], strides=[2, 2])
        pool("pads", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        pool("ceil", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        pool("ceil and pads", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
        pool("ceil, stride larger", kernel_shape=[2, 2], strides=[4, 4], ceil_mode=1)
        pool("rectangular", kernel_shape=[2, 3], strides=[1, 2])
        pool("same", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
        pool("pads on two sides", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    case("AveragePool counts pads", [("AveragePool", "x", "y", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1))])
    case("AveragePool rectangular with pads", [("AveragePool", "x", "y", dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1]))])
    case("AveragePool counts pads, ceil", [("AveragePool", "x", "y", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1, ceil_mode=1))], None, (2, 6, 6), 19)
    case("GlobalAveragePool", [("GlobalAveragePool", "x", "y")])
    case("GlobalMaxPool", [("GlobalMaxPool", "x", "y")])
    case("GlobalMaxPool rectangular", [("GlobalMaxPool", "x", "y")], None, (2, 3, 4))


def linear():
    w = {"fc.weight": values(5, 12), "fc.bias": values(5)}
    flat = ("Flatten", "x", "f", {"axis": 1})
    case("Gemm", [flat, ("Gemm", "f fc.weight fc.bias", "y", dict(transB=1))], w, (1, 3, 4))
    case("Gemm without bias", [flat, ("Gemm", "f fc.weight", "y", dict(transB=1))], w, (1, 3, 4), 11)
    case("Gemm alpha beta", [flat, ("Gemm", "f fc.weight fc.bias", "y", dict(transB=1, alpha=0.5, beta=2.0))], w, (1, 3, 4))
    case("Gemm not transposed", [flat, ("Gemm", "f w b", "y")], {"w": values(12, 5), "b": values(1, 5)}, (1, 3, 4), 9)
    case("Gemm bias of one", [flat, ("Gemm", "f w b", "y", dict(transB=1))], {"w": values(5, 12), "b": values(1)}, (1, 3, 4))
    case("MatMul", [flat, ("MatMul", "f w", "m"), ("Add", "m b", "y")], {"w": values(12, 5), "b": values(5)}, (1, 3, 4))
    case("MatMul of rows", [("MatMul", "x w", "y")], {"w": values(4, 5)}, (2, 3, 4))
    case("MatMul weight first", [("MatMul", "w x", "y")], {"w": values(5, 3)}, (2, 3, 4))
    case("MatMul of two", [("Transpose", "x", "t", dict(perm=[0, 1, 3, 2])), ("MatMul", "x t", "y")], None, (2, 3, 4))
    case("MatMul transposed weight", [flat, ("Transpose", "w", "t", dict(perm=[1, 0])), ("MatMul", "f t", "y")], {"w": values(5, 12)}, (1, 3, 4))


def elementwise():
    for op in ["Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "Softplus", "Softsign", "HardSigmoid", "HardSwish",
               "Erf", "Exp", "Abs", "Neg", "LeakyRelu"]:
        unary(op)
    unary("Mish", 18)
    unary("Gelu", 20)
    unary("Gelu", 20, approximate="tanh")
    unary("LeakyRelu", alpha=0.3)
    unary("Elu", alpha=0.7)
    unary("Celu", alpha=0.7)
    unary("Selu", alpha=1.5, gamma=1.1)
    unary("HardSigmoid", alpha=1 / 6, beta=0.5)
    for op in ["Log", "Sqrt", "Reciprocal"]:
        unary(op, low=0.25, high=2.0)
    unary("Clip", 8, min=-0.5, max=0.75)
    case("Clip", [("Clip", "x lo hi", "y")], {"lo": np.float32(-0.5), "hi": np.float32(0.75)})
    case("Clip below", [("Clip", "x lo", "y")], {"lo": np.float32(-0.5)})
    for op in ["Add", "Sub", "Mul", "Div"]:
        c = {"c": values(3, 1, 1, low=0.5, high=1.5)}
        case(f"{op} channels", [(op, "x c", "y")], c)
        case(f"{op} channels first", [(op, "c x", "y")], c, low=0.5, high=1.5)
        case(f"{op} of batch 1", [(op, "x c", "y")], {"c": values(1, 3, 1, 1, low=0.5, high=1.5)})
        case(f"{op} number", [(op, "x c", "y")], {"c": np.float32(0.75)})
        case(f"{op} number first", [(op, "c x", "y")], {"c": np.float32(0.75)}, low=0.5, high=1.5)
        case(f"{op} of two", [("Exp", "x", "e"), (op, "x e", "y")])
        case(f"{op} of two shapes", [("ReduceMean", "x", "m", dict(axes=[2, 3])), ("Exp", "m", "e"), (op, "x e", "y")])
    case("Add constant node", [("Constant", "", "c", dict(value=numpy_helper.from_array(values(3, 1, 1)))), ("Add", "x c", "y")])
    case("Max, Min", [("Neg", "x", "n"), ("Max", "x n", "m"), ("Constant", "", "c", dict(value_float=0.5)), ("Min", "m c", "y")])
    case("Sum", [("Exp", "x", "e"), ("Sum", "x e x", "y")])
    for p in [2.0, 3.0, 1.0]:
        case(f"Pow {p}", [("Pow", "x p", "y")], {"p": np.float32(p)})
    for p in [0.5, -0.5, -1.0]:
        case(f"Pow {p}", [("Pow", "x p", "y")], {"p": np.float32(p)}, low=0.25, high=2.0)
    case("PRelu", [("PRelu", "x s", "y")], {"s": values(3, 1, 1)})
    case("PRelu one", [("PRelu", "x s", "y")], {"s": values(1)})
    case("Greater, Where", [("Greater", "x c", "g"), ("Exp", "x", "e"), ("Where", "g e x", "y")], {"c": np.float32(0.25)})
    case("Less, Where", [("Less", "x c", "g"), ("Exp", "x", "e"), ("Where", "g e d", "y")], {"c": values(3, 1, 1), "d": np.float32(-1.5)})
    case("ThresholdedRelu", [("ThresholdedRelu", "x", "y", dict(alpha=0.25))])
    case("CastLike", [("CastLike", "c x", "d"), ("Add", "x d", "y")], {"c": ints(1, 2, 3, 4, 5, 6)})
    case("folded constants", [
        ("Constant", "", "a", dict(value_float=2.0)), ("Sqrt", "a", "r"), ("Constant", "", "b", dict(value_floats=[1.0, 2.0, 4.0, 8.0])),
        ("Div", "b r", "c"), ("Neg", "c", "n"), ("Mul", "x n", "y")], None, (1, 3, 4))


def normalisations():
    bn = {"bn.weight": values(3, low=0.5, high=1.5), "bn.bias": values(3), "bn.running_mean": values(3), "bn.running_var": values(3, low=0.5, high=1.5)}
    names = "x bn.weight bn.bias bn.running_mean bn.running_var"
    case("BatchNormalization", [("BatchNormalization", names, "y", dict(epsilon=1e-3))], bn)
    case("BatchNormalization old", [("BatchNormalization", names, "y")], bn, opset=9)
    case("BatchNormalization of vectors", [("ReduceMean", "x", "m", dict(axes=[2, 3], keepdims=0)), ("BatchNormalization", names.replace("x ", "m "), "y")], bn)
    case("BatchNormalization of rows", [("Reshape", "x s", "r"), ("BatchNormalization", names.replace("x ", "r "), "y")], {**bn, "s": ints(0, 3, 36)})
    case("LayerNormalization", [("LayerNormalization", "x w b", "y", dict(axis=-1))], {"w": values(6), "b": values(6)})
    case("LayerNormalization of images", [("LayerNormalization", "x w", "y", dict(axis=1, epsilon=1e-2))], {"w": values(3, 6, 6)})
    case("InstanceNormalization", [("InstanceNormalization", "x w b", "y")], {"w": values(3), "b": values(3)})
    case("GroupNormalization", [("GroupNormalization", "x w b", "y", dict(num_groups=2))], {"w": values(4), "b": values(4)}, (4, 3, 3), 21)


def reductions():
    for op in ["ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare"]:
        as_input = lambda opset: opset >= (13 if op == "ReduceSum" else 18)
        for opset in [11, 18]:
            for name, axes, keep in [("images", [2, 3], 1), ("last", [-1], 0), ("channels", [1], 1)]:
                if as_input(opset):
                    case(f"{op} {name}", [(op, "x a", "y", dict(keepdims=keep))], {"a": ints(*axes)}, opset=opset)
                else:
                    case(f"{op} {name}", [(op, "x", "y", dict(axes=axes, keepdims=keep))], opset=opset)
    for op in ["Softmax", "LogSoftmax"]:
        case(op, [(op, "x", "y")], None, (2, 3, 4))
        case(f"{op} channels", [(op, "x", "y", dict(axis=1))], None, (2, 3, 4))
        case(f"{op} old", [(op, "x", "y", dict(axis=2))], None, (2, 3, 4), 11)
        case(f"{op} old default", [(op, "x", "y")], None, (2, 3, 4), 8)


def shapes():
    case("Flatten", [("Flatten", "x", "y")])
    for name, target in [("open", [0, -1]), ("batch open", [-1, 108]), ("apart", [0, 3, 4, -1])]:
        case(f"Reshape {name}", [("Reshape", "x s", "y")], {"s": ints(*target)})
    case("Reshape one example", [("Reshape", "x s", "y")], {"s": ints(1, -1)}, batch=1)
    case("Reshape by its own shape", [
        ("Shape", "x", "s"), ("Constant", "", "zero", dict(value_int=0)), ("Gather", "s zero", "n"),
        ("Unsqueeze", "n axes", "n1"), ("Constant", "", "rest", dict(value_ints=[-1])), ("Concat", "n1 rest", "target", dict(axis=0)),
        ("Reshape", "x target", "y")], {"axes": ints(0)})
    case("Reshape by arithmetic of shapes", [
        ("Shape", "x", "s"), ("Slice", "s a b", "tail"), ("ReduceProd", "tail", "p", dict(keepdims=1)), ("Slice", "s zero a", "n"),
        ("Cast", "p", "pf", dict(to=1)), ("Cast", "pf", "pi", dict(to=7)), ("Concat", "n pi", "t", dict(axis=0)), ("Reshape", "x t", "y")],
        {"a": ints(1), "b": ints(4), "zero": ints(0)})
    case("Squeeze, Unsqueeze", [("Unsqueeze", "x a", "u"), ("Squeeze", "u b", "y")], {"a": ints(2, -1), "b": ints(2)})
    case("Squeeze, Unsqueeze", [("Unsqueeze", "x", "u", dict(axes=[2, 5])), ("Squeeze", "u", "y", dict(axes=[2]))], opset=11)
    case("Transpose", [("Transpose", "x", "y", dict(perm=[0, 2, 3, 1]))], None, (2, 3, 4))
    case("Concat", [("Exp", "x", "e"), ("Concat", "x e x", "y", dict(axis=1))], None, (2, 3, 4))
    case("Concat last", [("Exp", "x", "e"), ("Concat", "x e", "y", dict(axis=-1))], None, (2, 3, 4))
    case("Slice", [("Slice", "x s e a", "y")], {"s": ints(1, 0), "e": ints(3, -1), "a": ints(1, 3)})
    case("Slice steps", [("Slice", "x s e a t", "y")], {"s": ints(1, 0), "e": ints(2**60, 2**60), "a": ints(2, 3), "t": ints(2, 3)})
    case("Slice", [("Slice", "x", "y", dict(starts=[0, 1], ends=[9223372036854775807, 4], axes=[1, 2]))], opset=9)
    case("Slice backwards", [("Slice", "x s e a t", "y")], {"s": ints(-1), "e": ints(-2**62), "a": ints(2), "t": ints(-1)})
    case("pads as PyTorch computes them", [
        ("Constant", "", "p", dict(value_ints=[1, 0, 2, 1])), ("Constant", "", "z", dict(value_ints=[0, 0, 0, 0])), ("Concat", "p z", "q", dict(axis=0)),
        ("Reshape", "q two", "m"), ("Slice", "m s e a t", "b"), ("Transpose", "b", "c", dict(perm=[1, 0])), ("Reshape", "c one", "d"),
        ("Cast", "d", "f", dict(to=7)), ("Pad", "x f v", "y", dict(mode="constant"))],
        {"two": ints(-1, 2), "s": ints(-1), "e": ints(-2**63), "a": ints(0), "t": ints(-1), "one": ints(-1), "v": np.float32(0)})
    case("Split", [("Split", "x", "a b c", dict(axis=1)), ("Concat", "c a b", "y", dict(axis=1))])
    case("Split sizes", [("Split", "x s", "a b", dict(axis=2)), ("Concat", "b a", "y", dict(axis=2))], {"s": ints(2, 4)})
    case("Split", [("Split", "x", "a b", dict(axis=2, split=[2, 4])), ("Concat", "b a", "y", dict(axis=2))], opset=11)
    case("Split uneven", [("Split", "x", "a b", dict(axis=3, num_outputs=2)), ("Concat", "b a", "y", dict(axis=3))], None, (1, 2, 5), 18)
    case("Gather one", [("Gather", "x i", "y", dict(axis=1))], {"i": np.array(-1, dtype=np.int64)})
    case("Gather several", [("Gather", "x i", "y", dict(axis=2))], {"i": ints(3, 4, 0, 0)})
    case("Pad", [("Pad", "x p", "y")], {"p": ints(0, 0, 1, 2, 0, 1, 0, 1)})
    case("Pad value", [("Pad", "x p v", "y")], {"p": ints(0, 0, 1, 0, 0, 0, 1, 1), "v": np.float32(-2.5)})
    case("Pad", [("Pad", "x", "y", dict(pads=[0, 0, 1, 0, 0, 0, 1, 1], value=0.5))], opset=10)
    case("Pad axes", [("Pad", "x p  a".replace("  ", " v "), "y")], {"p": ints(1, 2), "v": np.float32(0), "a": ints(3)}, opset=18)
    case("Pad reflect", [("Pad", "x p", "y", dict(mode="reflect"))], {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)})
    case("Pad edge", [("Pad", "x p", "y", dict(mode="edge"))], {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)})
    case("Expand", [("ReduceMean", "x", "m", dict(axes=[2, 3])), ("Shape", "x", "s"), ("Expand", "m s", "y")])
    case("Identity, Dropout, Cast", [("Identity", "x", "i"), ("Dropout", "i", "d"), ("Cast", "d", "y", dict(to=1))])
    case("Resize", [("Resize", "x  s".replace("  ", " r "), "y", dict(mode="nearest"))], {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 3], np.float32)})
    case("Resize", [("Resize", "x  s".replace("  ", " r "), "y", dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"))], {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)})
    case("Upsample", [("Upsample", "x s", "y", dict(mode="nearest"))], {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9)
    case("channels last", [("Transpose", "x", "t", dict(perm=[0, 3, 1, 2])), ("Conv", "t w", "y")], {"w": values(2, 3, 3, 3)}, (6, 6, 3))
    case("no batch", [("MatMul", "x w", "m"), ("Add", "m b", "y")], {"w": values(12, 5), "b": values(5)}, (12,), batch=None)
    case("no batch, a row", [("Reshape", "x s", "r"), ("Gemm", "r w b", "y", dict(transB=1))], {"s": ints(1, 12), "w": values(5, 12), "b": values(5)}, (12,), batch=None)
    case("no batch, images", [("Unsqueeze", "x a", "u"), ("Conv", "u w b", "c"), ("Relu", "c", "r"), ("GlobalAveragePool", "r", "p"), ("Flatten", "p", "f"), ("Gemm", "f v", "y")],
         {"a": ints(0), "w": values(2, 3, 3, 3), "b": values(2), "v": values(2, 4)}, (3, 5, 5), batch=None)


def transposed_and_rows():
    def back(name, weight, shape=(3, 5, 4), bias=True, **attributes):
        w = {"up.weight": values(*weight, low=-0.5, high=0.5)}
        if bias:
            w["up.bias"] = values(weight[1] * attributes.get("group", 1))
        case(name, [("ConvTranspose", "x up.weight" + (" up.bias" if bias else ""), "y", attributes)], w, shape)

    back("ConvTranspose", (3, 2, 3, 3))
    back("ConvTranspose stride, padding", (3, 2, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1], bias=False)
    back("ConvTranspose output_padding", (3, 2, 3, 3), strides=[2, 3], pads=[1, 1, 1, 1], output_padding=[1, 2], kernel_shape=[3, 3])
    back("ConvTranspose dilations", (3, 2, 2, 3), dilations=[2, 1], pads=[1, 0, 0, 1])
    back("ConvTranspose groups", (4, 3, 3, 3), (4, 4, 4), group=2, strides=[2, 2], pads=[1, 1, 0, 0])
    back("ConvTranspose depthwise", (3, 1, 3, 3), group=3, strides=[2, 2])
    back("ConvTranspose more padding than kernel", (3, 2, 2, 2), pads=[2, 1, 1, 2])

    def row(name, weight, opset=17, bias=True, **attributes):
        w = {"row.weight": values(*weight, low=-0.5, high=0.5)}
        if bias:
            w["row.bias"] = values(weight[0])
        case(name, [("Conv", "x row.weight" + (" row.bias" if bias else ""), "y", attributes)], w, (3, 9), opset)

    row("Conv of a row", (4, 3, 3), pads=[1, 1])
    row("Conv of a row, stride", (4, 3, 3), opset=8, strides=[2], kernel_shape=[3], pads=[0, 1], bias=False)
    row("Conv of a row, dilation", (2, 3, 2), dilations=[3])
    row("Conv of a row, groups", (3, 1, 3), group=3, auto_pad="SAME_UPPER")
    case("MaxPool of a row", [("MaxPool", "x", "y", dict(kernel_shape=[3], strides=[2]))], shape=(3, 9))
    case("AveragePool of a row", [("AveragePool", "x", "y", dict(kernel_shape=[3], strides=[2], pads=[1, 1]))], shape=(3, 9))
    case("GlobalAveragePool of a row", [("GlobalAveragePool", "x", "y")], shape=(3, 9))
    case("a row's network", [("Conv", "x w b", "c"), ("BatchNormalization", "c g h m v", "n"), ("Relu", "n", "r"), ("GlobalMaxPool", "r", "p"), ("Flatten", "p", "y")],
         {"w": values(4, 3, 3), "b": values(4), "g": values(4), "h": values(4), "m": values(4), "v": values(4, low=0.5)}, (3, 9))


def further_reductions():
    for op in ["ReduceMax", "ReduceMin", "ReduceL1", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp"]:
        low, high = (0.5, 1.5) if op in ["ReduceLogSum", "ReduceProd"] else (-1.0, 1.0)
        for opset in [11, 18]:
            for name, axes, keep in [("images", [2, 3], 1), ("last", [-1], 0), ("channels", [1], 0)]:
                if opset >= 18:
                    case(f"{op} {name}", [(op, "x a", "y", dict(keepdims=keep))], {"a": ints(*axes)}, opset=opset, low=low, high=high)
                else:
                    case(f"{op} {name}", [(op, "x", "y", dict(axes=axes, keepdims=keep))], opset=opset, low=low, high=high)


def resizing():
    def resize(name, scales=None, sizes=None, shape=(2, 4, 6), opset=17, **attributes):
        w = {"r": np.zeros(0, np.float32), "s": np.array(scales or [], np.float32)} | ({"n": ints(*sizes)} if sizes else {})
        if sizes:
            # The batch is one in the file.
            case(f"Resize {name}", [("Resize", "x r s n", "y", attributes)], w, shape, opset, batch=1)
        else:
            case(f"Resize {name}", [("Resize", "x r s", "y", attributes)], w, shape, opset)

    for place in ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]:
        resize(f"linear {place}", [1, 1, 2, 3], mode="linear", coordinate_transformation_mode=place)
        resize(f"linear down {place}", [1, 1, 0.5, 0.75], mode="linear", coordinate_transformation_mode=place)
        resize(f"cubic {place}", [1, 1, 2, 1.5], mode="cubic", coordinate_transformation_mode=place)
    resize("linear sizes", None, [1, 2, 7, 9], mode="linear", coordinate_transformation_mode="half_pixel")
    resize("linear one row", None, [1, 2, 1, 5], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    resize("cubic a", [1, 1, 2, 2], mode="cubic", cubic_coeff_a=-0.5)
    resize("linear old", [1, 1, 2, 2], opset=11, mode="linear")
    for rounding in ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]:
        resize(f"nearest {rounding}", [1, 1, 1.5, 0.5], mode="nearest", nearest_mode=rounding, coordinate_transformation_mode="asymmetric")
    resize("nearest sizes", None, [1, 2, 6, 4], mode="nearest")
    case("Resize axes", [("Resize", "x r s", "y", dict(mode="linear", axes=[2, 3]))], {"r": np.zeros(0, np.float32), "s": np.array([2, 0.5], np.float32)}, (2, 4, 6), 18)
    case("Upsample linear", [("Upsample", "x s", "y", dict(mode="linear"))], {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9)


def sized_and_uneven():
    def back(name, **attributes):
        case(f"ConvTranspose {name}", [("ConvTranspose", "x up.weight up.bias", "y", attributes)],
             {"up.weight": values(3, 2, 3, 3, low=-0.5, high=0.5), "up.bias": values(2)}, (3, 5, 4))

    back("output_shape", output_shape=[10, 8], strides=[2, 2])
    back("output_shape odd", output_shape=[10, 8], strides=[2, 2], auto_pad="SAME_UPPER")
    back("output_shape, output_padding", output_shape=[11, 9], strides=[2, 2], output_padding=[1, 1])
    back("same upper", strides=[2, 2], auto_pad="SAME_UPPER")
    back("same lower", strides=[2, 2], auto_pad="SAME_LOWER")
    pool = lambda name, shape=(2, 7, 7), **a: case(f"MaxPool {name}", [("MaxPool", "x", "y", a)], None, shape)
    pool("rectangular with pads", kernel_shape=[3, 2], pads=[1, 0, 1, 1])
    pool("strides apart with pads", kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 1, 1])
    pool("dilations with pads", (1, 5, 8), kernel_shape=[3, 3], dilations=[2, 1], pads=[1, 1, 1, 2])
    pool("rectangular, ceil", kernel_shape=[3, 2], strides=[2, 2], pads=[0, 1, 0, 0], ceil_mode=1)
    pool("of a row with pads", (3, 9), kernel_shape=[3], strides=[2], pads=[1, 1])


def known_when_read():
    case("Where of constants", [("Greater", "c d", "g"), ("Where", "g x e", "y")], {"c": values(6), "d": np.float32(0), "e": np.float32(-2)}, (3, 6))
    case("Not, And, Or", [("Greater", "c d", "g"), ("Less", "c e", "l"), ("And", "g l", "a"), ("Not", "a", "n"), ("Or", "n g", "o"), ("Where", "o f x", "y")],
         {"c": values(6), "d": np.float32(-0.5), "e": np.float32(0.5), "f": values(6)}, (3, 6))
    case("GreaterOrEqual, LessOrEqual", [("GreaterOrEqual", "x c", "g"), ("LessOrEqual", "x d", "l"), ("Exp", "x", "e"), ("Where", "g e x", "w"), ("Where", "l e w", "y")],
         {"c": np.float32(0.25), "d": np.float32(-0.25)}, (3, 6))
    case("truth values as floats", [("Greater", "x c", "g"), ("Not", "g", "n"), ("Cast", "n", "f", dict(to=1)), ("Mul", "x f", "y")], {"c": np.float32(0.25)}, (3, 6))
    case("ScatterND", [("ConstantOfShape", "s", "z"), ("ScatterND", "z i u", "m"), ("Add", "x m", "y")], {"s": ints(3, 6), "i": np.array([[0, 1], [2, 5], [1, -1]]), "u": values(3)}, (3, 6))
    case("ScatterND of rows", [("ConstantOfShape", "s", "z"), ("ScatterND", "z i u", "m"), ("Mul", "x m", "y")], {"s": ints(3, 6), "i": np.array([[0], [2]]), "u": values(2, 6)}, (3, 6))
    case("Mod", [("Shape", "x", "s"), ("Gather", "s last", "n"), ("Mod", "n four", "m"), ("Unsqueeze", "m zero", "u"), ("Slice", "x zero u axis", "y")],
         {"last": np.array(2, np.int64), "four": np.array(4, np.int64), "zero": ints(0), "axis": ints(2)}, (3, 6))
    case("Equal of constants, masked", [("Equal", "c d", "q"), ("Where", "q low x", "m"), ("Softmax", "m", "y", dict(axis=-1))],
         {"c": np.array([0, 1, 0, 0, 0, 2], np.float32), "d": np.float32(1), "low": np.float32(-np.inf)}, (3, 6))


def batches():
    """The batch behind other axes and in one axis with them, as attention has it."""
    w = {"w": values(6, 6, low=-0.5, high=0.5), "b": values(6)}
    turn = dict(perm=[1, 0, 2])
    case("batch behind", [("Transpose", "x", "t", turn), ("MatMul", "t w", "m"), ("Add", "m b", "a"), ("LayerNormalization", "a b", "n"), ("Relu", "n", "r"), ("Transpose", "r", "y", turn)], w, (4, 6))
    case("batch behind, first of it", [("Transpose", "x", "t", turn), ("Gather", "t i", "y", dict(axis=0))], {"i": np.array(1, np.int64)}, (4, 6))
    case("batch behind, mean", [("Transpose", "x", "t", turn), ("ReduceMean", "t", "y", dict(axes=[0], keepdims=0))], None, (4, 6))
    case("batch behind, largest kept", [("Transpose", "x", "t", turn), ("ReduceMax", "t", "m", dict(axes=[0])), ("Sub", "t m", "s"), ("Slice", "s a e a", "c"), ("Concat", "s c", "d", dict(axis=0)), ("Softmax", "d", "f", dict(axis=0)), ("Transpose", "f", "y", turn)],
         {"a": ints(0), "e": ints(2)}, (4, 6))
    case("batch behind, split and padded", [("Transpose", "x", "t", turn), ("Split", "t", "p q", dict(axis=0)), ("Mul", "p q", "m"), ("Pad", "m n", "z"), ("Unsqueeze", "z o", "u"), ("Squeeze", "u o", "v"), ("Transpose", "v", "y", turn)],
         {"n": ints(1, 0, 0, 0, 0, 2), "o": ints(0)}, (4, 6))
    # (N, L, D) to (L, N · heads, d) to (N · heads, L, d), as PyTorch's attention does it.
    heads = [("Shape", "x", "s"), ("Gather", "s zero", "n"), ("Mul", "n two", "h"), ("Unsqueeze", "h front", "hu"), ("Unsqueeze", "n front", "nu"),
             ("Concat", "four hu three", "split", dict(axis=0)), ("Concat", "nu two1 four four", "apart", dict(axis=0)), ("Concat", "rows six", "flat", dict(axis=0)),
             ("Concat", "four nu six", "whole", dict(axis=0))]
    known = {"zero": np.array(0, np.int64), "two": np.array(2, np.int64), "front": ints(0), "four": ints(4), "three": ints(3), "two1": ints(2), "rows": ints(-1), "six": ints(6)}
    case("attention", heads + [
        ("Transpose", "x", "t", turn), ("MatMul", "t w", "m"), ("Add", "m b", "a"),
        ("Reshape", "a split", "q"), ("Transpose", "q", "qt", turn), ("Transpose", "q", "kt", dict(perm=[1, 2, 0])), ("MatMul", "qt kt", "z"),
        ("Reshape", "z apart", "zh"), ("Add", "zh bias", "zb"), ("Softmax", "zb", "p", dict(axis=-1)),
        ("Reshape", "qt heads", "v"), ("MatMul", "p v", "o"), ("Transpose", "o", "ot", dict(perm=[2, 0, 1, 3])), ("Reshape", "ot flat", "f"),
        ("Gemm", "f w b", "g", dict(transB=1)), ("Reshape", "g whole", "r"), ("Transpose", "r", "y", turn)],
        {**known, **w, "heads": ints(-1, 2, 4, 3), "bias": values(1, 2, 4, 4)}, (4, 6))
    # Windows of an image, each with its own mask.
    case("windows", [
        ("Reshape", "x s1", "a"), ("Transpose", "a", "b", dict(perm=[0, 1, 3, 2, 4, 5])), ("Reshape", "b s2", "c"), ("MatMul", "c w", "d"),
        ("Reshape", "d s3", "e"), ("Add", "e mask", "f"), ("Reshape", "f s4", "g"), ("Softmax", "g", "h", dict(axis=-1)),
        ("Reshape", "h s5", "i"), ("Transpose", "i", "j", dict(perm=[0, 1, 3, 2, 4, 5])), ("Reshape", "j s6", "y")],
        {"s1": ints(-1, 2, 2, 2, 2, 3), "s2": ints(-1, 4, 3), "w": values(3, 5), "s3": ints(-1, 4, 4, 5), "mask": values(1, 4, 1, 5), "s4": ints(-1, 4, 5),
         "s5": ints(-1, 2, 2, 2, 2, 5), "s6": ints(-1, 4, 4, 5)}, (4, 4, 3))
    case("a token for every example", [
        ("Shape", "x", "s"), ("Slice", "s zero one", "n"), ("Concat", "n one six", "t", dict(axis=0)), ("Expand", "token t", "e"), ("Concat", "e x", "c", dict(axis=1)), ("Add", "c p", "y")],
        {"zero": ints(0), "one": ints(1), "six": ints(6), "token": values(1, 1, 6), "p": values(1, 5, 6)}, (4, 6))
    case("a token of one example", [("Concat", "token x", "y", dict(axis=1))], {"token": values(1, 1, 6)}, (4, 6), batch=1)
    case("places of two axes", [("Gather", "table i", "t", dict(axis=0)), ("Add", "x t", "y")],
         {"table": values(5), "i": np.array([[0, 1, 4, 2, 2, 1], [3, 0, 1, 1, 4, 2], [2, 2, 0, 1, 3, 4], [1, 1, 1, 0, 2, 3]])}, (4, 6))
    # Exported for one example, whose axis is moved: it is an axis of its values like any other.
    case("one example, heads", [
        ("Transpose", "x", "t", turn), ("MatMul", "t w", "m"), ("Reshape", "m s1", "q"), ("Transpose", "q", "qt", turn), ("Transpose", "q", "kt", dict(perm=[1, 2, 0])),
        ("MatMul", "qt kt", "z"), ("Softmax", "z", "p", dict(axis=-1)), ("MatMul", "p qt", "o"), ("Transpose", "o", "ot", turn), ("Reshape", "ot s2", "f"),
        ("Gemm", "f w b", "g", dict(transB=1)), ("Reshape", "g s3", "r"), ("Transpose", "r", "y", turn)],
        {**w, "s1": ints(4, 2, 3), "s2": ints(4, 6), "s3": ints(4, 1, 6)}, (4, 6), batch=1)


def main():
    convolutions()
    pools()
    linear()
    elementwise()
    normalisations()
    reductions()
    shapes()
    transposed_and_rows()
    further_reductions()
    resizing()
    sized_and_uneven()
    known_when_read()
    batches()
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]\n")
    print(len(CASES), "cases")


main()
