//! `gauntlet inspect`: networks of ONNX files.

use crate::sandbox::Sandbox;

/// sub – conv – batch norm – relu – flatten – gemm on images (1, 4, 4), three classes.
const NET: &[u8] = include_bytes!("golden/net.onnx");

#[test]
fn a_file_is_told_layer_by_layer() {
    let sandbox = Sandbox::new();
    sandbox.write("net.onnx", NET);
    let text = sandbox.ok("inspect net.onnx").out;
    for words in [
        "net.onnx: hand 1, opset 17, 6 nodes",
        "images 1 × 4 × 4, 3 classes",
        "conv   conv2d 3×3, stride 2, padding 1  2×2×2",
        "parameters: 51 numbers in 6 tensors",
        "buffers: 5 numbers in 3 tensors\n  mean, bn.running_mean, bn.running_var",
        "note: mean normalises the image and is not trained",
        "torch.onnx.export(copy.deepcopy(model).train(), x, \"net.onnx\", dynamo=True, optimize=False,",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    let found = sandbox.json("inspect net.onnx");
    assert_eq!((&found["classes"], &found["input"]), (&3.into(), &serde_json::json!([1, 4, 4])));
    assert_eq!(found["parameters"]["names"][0], "conv.weight");
    assert_eq!(found["layers"].as_array().unwrap().last().unwrap()["layer"], "linear");
}

#[test]
fn what_cannot_be_imported_is_named_with_its_node() {
    let sandbox = Sandbox::new();
    // The same length: messages stay whole.
    let swap = |from: &[u8], to: &[u8]| -> Vec<u8> {
        let at: Vec<usize> = (0..NET.len() - from.len()).filter(|i| NET[*i..].starts_with(from)).collect();
        let mut bytes = NET.to_vec();
        at.iter().for_each(|i| bytes[*i..][..to.len()].copy_from_slice(to));
        bytes
    };
    sandbox.write("net.onnx", swap(b"Flatten", b"Compres"));
    let said = sandbox.run("inspect net.onnx").expect(2);
    said.says(&["net.onnx: node \"Compres_4\" (Compres): the operator is not supported"]);
    sandbox.write("cut.onnx", &NET[..NET.len() / 2]);
    sandbox.run("inspect cut.onnx").expect(2).says(&["cut.onnx: it is cut off, or no ONNX file"]);
    sandbox.run("inspect gone.onnx").expect(2).says(&["gone.onnx"]);
}
