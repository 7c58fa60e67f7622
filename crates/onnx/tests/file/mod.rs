//! ONNX files written by the tests.
#![allow(dead_code, clippy::unwrap_used)]

#[path = "../../src/proto.rs"]
pub mod proto;

use prost::Message;
use proto::*;

/// A network of one input `x` and one output `y`.
#[derive(Clone)]
pub struct File(pub ModelProto);

pub fn dimensions(dims: &[i64]) -> Vec<DimensionProto> {
    let dimension = |d: &i64| match d {
        // Open.
        -1 => DimensionProto { dim_value: None, dim_param: Some("N".into()) },
        d => DimensionProto { dim_value: Some(*d), dim_param: None },
    };
    dims.iter().map(dimension).collect()
}

pub fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let shape = Some(TensorShapeProto { dim: dimensions(dims) });
    let tensor_type = Some(TensorTypeProto { elem_type: element::FLOAT, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }), metadata_props: Vec::new() }
}

pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into() }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: element::FLOAT, raw_data, ..Default::default() }
}

pub fn ints(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![values.len() as i64];
    TensorProto {
        name: name.into(),
        dims,
        data_type: element::INT64,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute::INT, i, ..Default::default() }
}

pub fn list(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute::INTS, ints: ints.to_vec(), ..Default::default() }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), kind: attribute::FLOAT, f, ..Default::default() }
}

impl File {
    pub fn new(opset: i64, input: &[i64]) -> File {
        let graph = GraphProto {
            name: "net".into(),
            input: vec![info("x", input)],
            output: vec![info("y", &[-1, 10])],
            ..Default::default()
        };
        File(ModelProto {
            ir_version: 8,
            producer_name: "test".into(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
            ..Default::default()
        })
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.as_mut().unwrap()
    }

    /// Inputs and outputs in a row, separated by spaces.
    pub fn node(mut self, op: &str, inputs: &str, outputs: &str, attribute: Vec<AttributeProto>) -> File {
        let names = |s: &str| {
            s.split(' ').filter(|s| !s.is_empty()).map(|s| if s == "_" { "" } else { s }.to_string()).collect()
        };
        let name = format!("{op}_{}", self.graph().node.len());
        let node = NodeProto {
            input: names(inputs),
            output: names(outputs),
            name,
            op_type: op.into(),
            attribute,
            domain: String::new(),
        };
        self.graph().node.push(node);
        self
    }

    pub fn initialiser(mut self, tensor: TensorProto) -> File {
        self.graph().initializer.push(tensor);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }
}

/// Numbers between −1 and 1.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (s >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// conv – batch norm – relu – flatten – gemm on images (1, 4, 4).
pub fn small() -> File {
    File::new(17, &[-1, 1, 4, 4])
        .node("Conv", "x conv.weight conv.bias", "c", vec![list("kernel_shape", &[3, 3]), list("pads", &[1, 1, 1, 1])])
        .node(
            "BatchNormalization",
            "c bn.weight bn.bias bn.running_mean bn.running_var",
            "n",
            vec![float("momentum", 0.9)],
        )
        .node("Relu", "n", "r", vec![])
        .node("Flatten", "r", "f", vec![int("axis", 1)])
        .node("Gemm", "f fc.weight fc.bias", "y", vec![int("transB", 1)])
        .initialiser(floats("conv.weight", &[2, 1, 3, 3], &numbers(18, 1)))
        .initialiser(floats("conv.bias", &[2], &[0.1, -0.2]))
        .initialiser(floats("bn.weight", &[2], &[0.9, 1.1]))
        .initialiser(floats("bn.bias", &[2], &[0.05, -0.05]))
        .initialiser(floats("bn.running_mean", &[2], &[0.2, 0.1]))
        .initialiser(floats("bn.running_var", &[2], &[0.8, 1.2]))
        .initialiser(floats("fc.weight", &[10, 32], &numbers(320, 2)))
        .initialiser(floats("fc.bias", &[10], &numbers(10, 3)))
}
