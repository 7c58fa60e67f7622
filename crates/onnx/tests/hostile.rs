//! Files that are damaged or lie: an error in words, no panic, no memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod file;

use file::proto::{NodeProto, TensorProto};
use file::*;
use gauntlet_onnx::{Options, import, open};
use proptest::prelude::*;

fn said(bytes: Vec<u8>) -> String {
    import(bytes, "net.onnx", &Options::default()).unwrap_err().to_string()
}

#[test]
fn files_that_are_cut_off_are_an_error_in_words() {
    let whole = small().bytes();
    for length in 0..whole.len() {
        let Err(e) = import(whole[..length].to_vec(), "net.onnx", &Options::default()) else {
            // Cut between two messages of the outermost level, e.g. before the opsets: it lacks something.
            panic!("{length} of {} bytes are a network", whole.len());
        };
        assert!(e.to_string().starts_with("net.onnx: "), "{e}");
    }
}

#[test]
fn circles_and_values_from_nowhere_are_refused() {
    let mut file = small();
    file.graph().node[0].input[0] = "r".into();
    let text = said(file.bytes());
    assert!(text.contains("wait for one another in a circle"), "{text}");
    let mut file = small();
    file.graph().node[2].input[0] = "r".into();
    assert!(said(file.bytes()).contains("wait for one another in a circle"));
    let mut file = small();
    file.graph().node[2].input[0] = "nobody".into();
    assert!(said(file.bytes()).contains("node \"Relu_2\" reads \"nobody\", which nothing makes"));
    let mut file = small();
    file.graph().node[2].output[0] = "c".into();
    assert!(said(file.bytes()).contains("the value \"c\" is made twice"));
    let mut file = small();
    file.graph().output[0].name = "nobody".into();
    assert!(said(file.bytes()).contains("nothing makes the output \"nobody\""));
    let mut file = small();
    file.graph().output[0].name = "fc.bias".into();
    assert!(said(file.bytes()).contains("does not depend on the images"));
}

#[test]
fn a_chain_of_a_hundred_thousand_nodes_is_no_recursion() {
    let mut file = File::new(17, &[-1, 1, 1, 2]);
    let count = 100_000;
    for i in 0..count {
        let name = |i: usize| {
            if i == 0 {
                "x".to_string()
            } else if i == count {
                "y".into()
            } else {
                format!("v{i}")
            }
        };
        let (input, output) = (vec![name(i)], vec![name(i + 1)]);
        file.graph().node.push(NodeProto { input, output, op_type: "Identity".into(), ..Default::default() });
    }
    let net = import(file.bytes(), "net", &Options::default()).unwrap();
    assert_eq!((net.nodes, net.graph.nodes().len()), (count, 2));
}

#[test]
fn sizes_that_are_no_sizes_are_refused_before_anything_is_made_of_them() {
    let with = |change: &dyn Fn(&mut TensorProto)| {
        let mut file = small();
        change(&mut file.graph().initializer[6]);
        said(file.bytes())
    };
    // 2 GiB of float32.
    let text = with(&|t| t.dims = vec![1 << 15, 1 << 14]);
    assert!(text.contains("initialiser \"fc.weight\"") && text.contains("and there are 1280 bytes"), "{text}");
    for dims in [vec![i64::MAX, 4], vec![-10, 32], vec![1 << 32, 1 << 32], vec![1; 9]] {
        let text = with(&|t| t.dims = dims.clone());
        assert!(text.contains("are none"), "{text}");
    }
    let text = with(&|t| t.float_data = vec![1.0]);
    assert!(text.contains("has its values twice"), "{text}");
    let text = with(&|t| t.dims = vec![10, 33]);
    assert!(text.contains("are 330 values of 4 bytes"), "{text}");
    // What a constant, a pad or a shape would make.
    let huge = |file: File| said(file.bytes());
    let text = huge(
        File::new(17, &[-1, 1, 2, 2])
            .node("ConstantOfShape", "s", "c", vec![])
            .node("Add", "x c", "y", vec![])
            .initialiser(ints("s", &[1 << 20, 1 << 20])),
    );
    assert!(text.contains("too large"), "{text}");
    let text = huge(
        File::new(17, &[-1, 1, 2, 2])
            .node("Pad", "x p", "y", vec![])
            .initialiser(ints("p", &[0, 0, 60000, 60000, 0, 0, 0, 0])),
    );
    assert!(text.contains("too large"), "{text}");
    let text = huge(
        File::new(17, &[-1, 1, 1, 1])
            .node("Expand", "x s", "y", vec![])
            .initialiser(ints("s", &[1, 1 << 20, 1 << 20, 1])),
    );
    assert!(text.contains("too large"), "{text}");
    let text = huge(File::new(17, &[-1, 1, 4, 4]).node(
        "MaxPool",
        "x",
        "y",
        vec![list("kernel_shape", &[2, 2]), list("strides", &[i64::MAX, 1])],
    ));
    assert!(text.contains("strides"), "{text}");
    // Transposed convolutions: nothing left, far too much, what is not done here.
    let transposed = |attributes| {
        let file = File::new(17, &[-1, 1, 4, 4]).node("ConvTranspose", "x w", "y", attributes);
        huge(file.initialiser(floats("w", &[1, 1, 2, 2], &[1.0; 4])))
    };
    let text = transposed(vec![list("pads", &[3, 3, 2, 2])]);
    assert!(text.contains("makes nothing of an image of 4×4"), "{text}");
    let text = transposed(vec![list("strides", &[60000, 60000])]);
    assert!(text.contains("too large"), "{text}");
    let text = transposed(vec![list("output_padding", &[1, 1])]);
    assert!(text.contains("makes nothing"), "{text}");
    let text = transposed(vec![list("output_shape", &[8, 8])]);
    assert!(text.contains("output_shape 8 where 5 are made"), "{text}");
    let text = transposed(vec![int("group", 3)]);
    assert!(text.contains("do not make 3 groups"), "{text}");
    let row = File::new(17, &[-1, 2, 9]).node("Conv", "x w", "y", vec![list("pads", &[1, 1, 1, 1])]);
    let text = huge(row.initialiser(floats("w", &[1, 2, 3], &[1.0; 6])));
    assert!(text.contains("pads [1, 1, 1, 1]"), "{text}");
}

#[test]
fn a_few_bytes_do_not_become_gigabytes() {
    // Two million empty nodes are 4 MB of file and would be 300 MB of nodes.
    let mut graph = Vec::new();
    for _ in 0..2_000_000 {
        graph.extend([0x0a, 0x00]);
    }
    let mut bytes = vec![0x3a];
    let mut length = graph.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(graph);
    assert!(said(bytes).contains("it holds more than 1048576 messages"));
}

#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let gone = open(&folder.path().join("gone.onnx"), &Options::default()).unwrap_err().to_string();
    assert!(gone.contains("gone.onnx"), "{gone}");
    let directory = open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(directory.contains(folder.path().to_str().unwrap()), "{directory}");
    let text = folder.path().join("text.onnx");
    std::fs::write(&text, "import torch\n").unwrap();
    assert!(open(&text, &Options::default()).unwrap_err().to_string().contains("text.onnx: it is"));
    std::fs::write(&text, "").unwrap();
    assert!(open(&text, &Options::default()).unwrap_err().to_string().contains("does not say which opset"));
}

/// Every network of the goldens and one more, damaged anywhere.
fn networks() -> Vec<Vec<u8>> {
    use base64::Engine;
    let all: Vec<serde_json::Value> = serde_json::from_str(include_str!("golden/operators.json")).unwrap();
    let decode = |c: &serde_json::Value| base64::prelude::BASE64_STANDARD.decode(c["file"].as_str().unwrap()).unwrap();
    all.iter().map(decode).chain([small().bytes()]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn damaged_files_are_an_error_or_a_network(which in 0usize..10_000, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        static NETWORKS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let networks = NETWORKS.get_or_init(networks);
        let mut bytes = networks[which % networks.len()].clone();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Err(e) = import(bytes, "net.onnx", &Options::default()) {
            prop_assert!(e.to_string().starts_with("net.onnx: "));
        }
    }
}
