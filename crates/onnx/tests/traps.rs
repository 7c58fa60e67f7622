//! What exporters do behind one's back: the traps of batch norm, dropout, ties, batches, external data; what is trained.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod file;

use candle_core::{DType, Device, Tensor};
use file::proto::TensorProto;
use file::*;
use gauntlet_autograd::Var;
use gauntlet_core::{Init, Key, Network, Pass, Purpose};
use gauntlet_graph::{Interpreter, Layer};
use gauntlet_onnx::{Imported, Layout, Options, import, open};

fn read(file: &File) -> Imported {
    import(file.bytes(), "net", &Options::default()).unwrap()
}

fn said(file: &File) -> String {
    import(file.bytes(), "net.onnx", &Options::default()).unwrap_err().to_string()
}

fn trained(net: &Imported) -> Vec<&str> {
    net.weights.iter().filter(|w| w.2).map(|w| w.0).collect()
}

fn buffers(net: &Imported) -> Vec<&str> {
    net.weights.iter().filter(|w| !w.2).map(|w| w.0).collect()
}

fn forward(net: &Imported, pixels: &[f32], pass: &mut Pass<'_>) -> Vec<Vec<f32>> {
    let (c, h, w) = net.graph.interface().input;
    let x = Tensor::from_slice(pixels, (pixels.len() / (c * h * w), c, h, w), &Device::Cpu).unwrap();
    let network = Interpreter::new(net.graph.clone());
    let z = network.forward(&net.weights.constants(), &Var::constant(x), pass).unwrap();
    z.tensor().to_dtype(DType::F32).unwrap().to_vec2().unwrap()
}

#[test]
fn parameters_have_their_names_and_pytorchs_initialisers() {
    let net = read(&small());
    assert_eq!(trained(&net), ["conv.weight", "conv.bias", "bn.weight", "bn.bias", "fc.weight", "fc.bias"],);
    assert_eq!(buffers(&net), ["bn.running_mean", "bn.running_var"]);
    let inits: Vec<Init> = net.graph.params().iter().map(|p| p.init).collect();
    let (conv, fc) = (Init::TorchDefault { fan_in: 9 }, Init::TorchDefault { fan_in: 32 });
    let constant = Init::Constant;
    let bn = [constant(1.0), constant(0.0), constant(0.0), constant(1.0)];
    assert_eq!(inits, [&[conv, conv][..], &bn, &[fc, fc]].concat());
    let found: Vec<f32> = net.weights.get("fc.weight").unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found, numbers(320, 2));
    let kinds: Vec<&str> = net.graph.nodes().iter().map(|n| n.op.kind()).collect();
    assert_eq!(kinds, ["input", "conv2d", "batch norm", "relu", "flatten", "linear"]);
    assert_eq!((net.graph.interface().input, net.graph.interface().classes), ((1, 4, 4), 10));
    assert_eq!((net.producer.as_str(), net.opset, net.nodes), ("test", 17, 5));
}

#[test]
fn batch_norm_has_the_mode_of_the_pass_whatever_mode_was_exported() {
    let mut eval = small();
    let pixels = numbers(5 * 16, 9);
    let ids = [0, 1, 2, 3, 4];
    let wanted = forward(&read(&eval), &pixels, &mut Pass::eval(&ids));
    eval.graph().node[1].attribute.push(int("training_mode", 1));
    let mut training = eval.clone();
    training.graph().node[1].output.extend(["mean".to_string(), "var".to_string()]);
    let net = read(&training);
    assert_eq!(forward(&net, &pixels, &mut Pass::eval(&ids)), wanted);
    assert!(net.notes.iter().any(|n| n.contains("exported in training mode")), "{:?}", net.notes);
    // In training it moves the running statistics, under the names that the weights have.
    let mut pass = Pass::train(&ids, Key::new(1, Purpose::Dropout));
    assert_ne!(forward(&net, &pixels, &mut pass), wanted);
    let stats = &pass.stats[0];
    assert_eq!((stats.layer.as_str(), stats.momentum), ("bn", 0.1));
    let Some(Layer::BatchNorm { eps, momentum }) = net.graph.nodes().iter().map(|n| n.op.clone()).nth(2) else {
        panic!()
    };
    assert_eq!((eps, momentum), (1e-5, 0.1));
}

#[test]
fn statistics_of_other_tools_get_names_that_training_finds() {
    let mut file = small();
    for (i, name) in [(4, "const_fold_opt__7"), (5, "const_fold_opt__8")] {
        file.graph().initializer[i].name = name.into();
        file.graph().node[1].input[i - 1] = name.into();
    }
    let net = read(&file);
    assert_eq!(buffers(&net), ["bn.running_mean", "bn.running_var"]);
    assert!(net.notes.iter().any(|n| n == "const_fold_opt__7 is called bn.running_mean here"), "{:?}", net.notes);
    assert_eq!(
        forward(&net, &numbers(16, 9), &mut Pass::eval(&[0])),
        forward(&read(&small()), &numbers(16, 9), &mut Pass::eval(&[0]))
    );
}

#[test]
fn folded_batch_norm_is_told_with_the_line_that_exports_it() {
    let mut file = small();
    for node in &mut file.graph().node {
        node.input.iter_mut().filter(|i| *i == "conv.weight").for_each(|i| *i = "onnx::Conv_193".into());
    }
    file.graph().initializer[0].name = "onnx::Conv_193".into();
    let notes = read(&file).notes;
    let said = notes.iter().find(|n| n.contains("folded batch norm")).expect("a note");
    assert!(said.starts_with("1 weights and biases") && said.contains("optimize=False"), "{said}");
    assert!(!read(&small()).notes.iter().any(|n| n.contains("folded")));
}

#[test]
fn what_normalises_the_image_is_frozen_and_what_the_file_says_is_believed() {
    let normalised = |file: File| {
        file.node("Sub", "x mean", "d", vec![])
            .node("Div", "d std", "n", vec![])
            .node("Flatten", "n", "f", vec![])
            .node("MatMul", "f w", "m", vec![])
            .node("Add", "m b", "y", vec![])
            .initialiser(floats("mean", &[2, 1, 1], &[0.1, 0.2]))
            .initialiser(floats("std", &[2, 1, 1], &[0.5, 0.4]))
            .initialiser(floats("w", &[8, 10], &numbers(80, 1)))
            .initialiser(floats("b", &[10], &numbers(10, 2)))
    };
    let mut file = normalised(File::new(17, &[-1, 2, 2, 2]));
    let net = read(&file);
    assert_eq!((trained(&net), buffers(&net)), (vec!["w", "b"], vec!["mean", "std"]));
    assert!(net.notes.iter().any(|n| n == "mean normalises the image and is not trained"), "{:?}", net.notes);
    let pixels = numbers(8, 3);
    let z = forward(&net, &pixels, &mut Pass::eval(&[0]));
    let n: Vec<f32> = pixels.iter().enumerate().map(|(i, x)| (x - [0.1, 0.2][i / 4]) / [0.5, 0.4][i / 4]).collect();
    let (w, b) = (numbers(80, 1), numbers(10, 2));
    for (k, z) in z[0].iter().enumerate() {
        let wanted: f64 =
            n.iter().enumerate().map(|(i, n)| f64::from(*n) * f64::from(w[i * 10 + k])).sum::<f64>() + f64::from(b[k]);
        assert!((f64::from(*z) - wanted).abs() < 1e-5, "{z} {wanted}");
    }
    // PyTorch's newer exporter says which is which.
    for (name, kind) in [("b", "BUFFER"), ("w", "PARAMETER")] {
        let mut value = info(name, &[]);
        value.metadata_props.push(entry("pkg.torch.export.graph_signature.InputSpec.kind", kind));
        file.graph().value_info.push(value);
    }
    let net = read(&file);
    assert_eq!((trained(&net), buffers(&net)), (vec!["w"], vec!["mean", "std", "b"]));
    // What it does not name then is a constant of its own.
    file.graph().value_info.retain(|v| v.name != "b");
    let net = read(&file);
    assert_eq!((trained(&net), buffers(&net)), (vec!["w"], vec!["mean", "std", "b"]));
    assert!(
        net.notes.iter().any(|n| n.starts_with("b is none of the parameters that the file names")),
        "{:?}",
        net.notes
    );
    // But for a matrix, which an exporter turns round.
    file.graph().value_info.retain(|v| v.name != "w");
    let mut value = info("b", &[]);
    value.metadata_props.push(entry("pkg.torch.export.graph_signature.InputSpec.kind", "PARAMETER"));
    file.graph().value_info.push(value);
    assert_eq!(trained(&read(&file)), ["w", "b"]);
    let frozen = Options { frozen: vec!["w".into()], ..Options::default() };
    let net = import(file.bytes(), "net", &frozen).unwrap();
    assert_eq!(trained(&net), ["b"]);
}

#[test]
fn equal_tensors_that_an_exporter_merged_are_parameters_of_their_own() {
    let file = File::new(17, &[-1, 1, 1, 3])
        .node("Flatten", "x", "f", vec![])
        .node("Identity", "fc1.bias", "fc2.bias", vec![])
        .node("Gemm", "f fc1.weight fc1.bias", "a", vec![int("transB", 1)])
        .node("Gemm", "a fc2.weight fc2.bias", "y", vec![int("transB", 1)])
        .initialiser(floats("fc1.weight", &[2, 3], &numbers(6, 1)))
        .initialiser(floats("fc1.bias", &[2], &[0.0, 0.0]))
        .initialiser(floats("fc2.weight", &[2, 2], &numbers(4, 2)));
    let net = read(&file);
    assert_eq!(trained(&net), ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
    assert!(net.notes.iter().any(|n| n.contains("fc2.bias was stored as fc1.bias")), "{:?}", net.notes);
    // One initialiser in two places is tied on purpose.
    let tied = File::new(17, &[-1, 1, 1, 2])
        .node("Flatten", "x", "f", vec![])
        .node("Gemm", "f w b", "a", vec![int("transB", 1)])
        .node("Gemm", "a w b", "y", vec![int("transB", 1)])
        .initialiser(floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .initialiser(floats("b", &[2], &[0.5, -0.5]));
    let net = read(&tied);
    assert_eq!(trained(&net), ["w", "b"]);
    assert!(net.notes.iter().any(|n| n.starts_with("2 parameters belong to several nodes") && n.contains("(b, w)")));
    // (1, 1) → (3.5, 6.5) → (17, 36).
    assert_eq!(forward(&net, &[1.0, 1.0], &mut Pass::eval(&[0])), [[17.0, 36.0]]);
}

#[test]
fn dropout_is_left_out_and_told() {
    let mut file = small();
    file.graph().node[4].input[0] = "d".into();
    let file = file
        .node("Dropout", "f ratio train", "d mask", vec![])
        .initialiser(TensorProto { dims: vec![], ..floats("ratio", &[], &[0.25]) })
        .initialiser(TensorProto {
            data_type: 9,
            dims: vec![],
            int32_data: vec![1],
            name: "train".into(),
            ..Default::default()
        });
    let net = read(&file);
    assert!(net.notes.iter().any(|n| n.contains("dropout 0.25 (Dropout_5) is left out")), "{:?}", net.notes);
    let pixels = numbers(16, 9);
    assert_eq!(forward(&net, &pixels, &mut Pass::eval(&[0])), forward(&read(&small()), &pixels, &mut Pass::eval(&[0])));
}

#[test]
fn a_batch_of_one_becomes_any_batch_and_a_baked_in_one_is_refused() {
    let with = |input: &[i64], target: &[i64]| {
        File::new(17, input)
            .node("Reshape", "x s", "f", vec![])
            .node("Gemm", "f w", "y", vec![int("transB", 1)])
            .initialiser(ints("s", target))
            .initialiser(floats("w", &[10, 8], &numbers(80, 1)))
    };
    let pixels = numbers(24, 3);
    let wanted = forward(&read(&with(&[-1, 2, 2, 2], &[-1, 8])), &pixels, &mut Pass::eval(&[0, 1, 2]));
    for file in [with(&[1, 2, 2, 2], &[1, -1]), with(&[1, 2, 2, 2], &[1, 8]), with(&[-1, 2, 2, 2], &[0, -1])] {
        assert_eq!(forward(&read(&file), &pixels, &mut Pass::eval(&[0, 1, 2])), wanted);
    }
    let baked = said(&with(&[2, 2, 2, 2], &[2, -1]));
    assert!(
        baked.contains("net.onnx: the input \"x\" is 2×2×2×2: a batch of 2 is baked in")
            && baked.contains("dynamic_axes"),
        "{baked}"
    );
    for target in [[2, -1], [4, -1]] {
        let mixed = said(&with(&[1, 2, 2, 2], &target));
        assert!(
            mixed.contains("node \"Reshape_0\" (Reshape)") && mixed.contains("the batch is baked in or mixed"),
            "{mixed}"
        );
    }
    // Two rows for every example are nothing unusual; ten of eight numbers do not go with them.
    let rows = said(&with(&[1, 2, 2, 2], &[-1, 4]));
    assert!(rows.contains("(Gemm)") && rows.contains("the product of 2×4 and 8×10: inner sizes differ"), "{rows}");
}

#[test]
fn inputs_of_other_shapes_are_images() {
    let flat = |dims: &[i64], count: i64| {
        File::new(17, dims)
            .node("Flatten", "x", "f", vec![])
            .node("Gemm", "f w", "y", vec![int("transB", 1)])
            .initialiser(floats("w", &[10, count], &numbers(10 * count as usize, 1)))
    };
    let image = |file: &File| read(file).graph.interface().input;
    assert_eq!(image(&flat(&[1, 784, 1], 784)), (1, 28, 28));
    assert_eq!(image(&flat(&[-1, 3072], 3072)), (3, 32, 32));
    assert_eq!(image(&flat(&[-1, 7, 9], 63)), (1, 7, 9));
    assert_eq!(image(&flat(&[-1, 12], 12)), (1, 1, 12));
    let options = Options { image: Some((3, 2, 2)), ..Options::default() };
    let net = import(flat(&[-1, 12], 12).bytes(), "net", &options).unwrap();
    assert_eq!(net.graph.interface().input, (3, 2, 2));
    let other = Options { image: Some((1, 2, 2)), ..Options::default() };
    let said = import(flat(&[-1, 12], 12).bytes(), "net", &other).unwrap_err().to_string();
    assert!(said.contains("the images are 1×2×2, and the input \"x\" is N×12"), "{said}");
    // Channels last: pixel (c, h, w) is entry (h, w, c) of the file.
    let net = read(&flat(&[1, 4, 5, 3], 60));
    assert_eq!(net.graph.interface().input, (3, 4, 5));
    let pixels = numbers(60, 5);
    let z = forward(&net, &pixels, &mut Pass::eval(&[0]));
    let w = numbers(600, 1);
    let place = |i: usize| (i % 20 / 5 * 5 + i % 5) * 3 + i / 20;
    let wanted: f64 = (0..60).map(|i| f64::from(pixels[i]) * f64::from(w[place(i)])).sum();
    assert!((f64::from(z[0][0]) - wanted).abs() < 1e-5);
    let first = Options { layout: Layout::ChannelsFirst, ..Options::default() };
    assert_eq!(import(flat(&[1, 4, 5, 3], 60).bytes(), "net", &first).unwrap().graph.interface().input, (4, 5, 3));
}

#[test]
fn data_beside_the_file_is_read_from_its_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("nets");
    std::fs::create_dir(&inside).unwrap();
    let bytes: Vec<u8> = numbers(330, 2).iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(inside.join("net.data"), &bytes).unwrap();
    std::fs::write(folder.path().join("secret"), &bytes).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
    let path = inside.join("net.onnx");
    let with = |location: &str, offset: &str, length: &str| {
        let mut file = small();
        let tensor = &mut file.graph().initializer[6];
        tensor.raw_data = Default::default();
        tensor.data_location = 1;
        tensor.external_data = vec![entry("location", location), entry("offset", offset), entry("length", length)];
        std::fs::write(&path, file.bytes()).unwrap();
        open(&path, &Options::default())
    };
    let net = with("net.data", "40", "1280").unwrap();
    let found: Vec<f32> = net.weights.get("fc.weight").unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found, numbers(330, 2)[10..]);
    assert_eq!(net.external.len(), 1);
    let absolute = folder.path().join("secret");
    for (location, offset, length, words) in [
        ("../secret", "0", "1280", "only files beside the network are read"),
        (absolute.to_str().unwrap(), "0", "1280", "only files beside the network are read"),
        ("link", "0", "1280", "a link out of the folder"),
        ("", "0", "1280", "only files beside the network are read"),
        ("gone", "0", "1280", "cannot read \"gone\" beside the network"),
        (".", "0", "1280", ""),
        ("net.data", "44", "1280", "has 1320 bytes, 1280 from 44 on are wanted"),
        ("net.data", "18446744073709551615", "1280", "1280 from 18446744073709551615 on are wanted"),
        ("net.data", "0", "2147483648", "its dimensions are 1280 bytes, and it has 2147483648"),
        ("net.data", "-4", "1280", "offset \"-4\" of its data is no number"),
    ] {
        let said = with(location, offset, length).unwrap_err().to_string();
        assert!(said.contains("initialiser \"fc.weight\"") && said.contains(words), "{location}: {said}");
    }
    let mut file = small();
    file.graph().initializer[6].data_location = 1;
    assert!(said(&file).contains("does not say where"));
}

#[test]
fn all_that_is_not_supported_is_told_at_once() {
    let mut file = small();
    file.graph().node[2].op_type = "Einsum".into();
    file.graph().node[0].attribute.push(int("surprise", 1));
    file.graph().node[3].domain = "com.microsoft".into();
    let mut random = small();
    random.graph().node[2].op_type = "RandomUniformLike".into();
    assert!(
        said(&random)
            .contains("not supported: it draws (stochastic depth, dropout): export the network with model.eval()")
    );
    let text = said(&file);
    assert!(text.contains("net.onnx: 3 nodes cannot be imported:"), "{text}");
    for words in [
        "node \"Conv_0\" (Conv): attribute surprise is not supported",
        "(Einsum): the operator is not supported",
        "(Flatten): an operator of the domain \"com.microsoft\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let says = |change: &dyn Fn(&mut File), words: &str| {
        let mut file = small();
        change(&mut file);
        let text = said(&file);
        assert!(text.contains(words), "{words}: {text}");
    };
    says(&|f| f.0.opset_import[0].version = 23, "it is of opset 23; opsets 8 to 22 are read");
    says(&|f| f.0.opset_import[0].version = 7, "it is of opset 7");
    says(&|f| f.0.opset_import.clear(), "does not say which opset");
    says(&|f| f.0.graph = None, "it holds no network");
    says(&|f| f.graph().input.push(info("z", &[-1, 3])), "it has 2 inputs [\"x\", \"z\"]");
    says(&|f| f.graph().output.push(info("r", &[-1, 3])), "it has 2 outputs [\"y\", \"r\"]");
    says(&|f| f.graph().input[0] = info("x", &[-1, 1, -1, 4]), "only the batch may be left open");
    says(&|f| f.graph().initializer[0].data_type = 10, "its elements are float16");
    says(&|f| f.graph().initializer[0].data_type = 3, "its elements are int8");
    says(
        &|f| f.graph().node[4].attribute.push(int("transA", 1)),
        "node \"Gemm_4\" (Gemm): transA = 1 mixes the examples",
    );
    says(&|f| f.graph().node[3].attribute[0].i = 2, "the product of 2×16 and 32×10: inner sizes differ");
    says(&|f| f.graph().node[0].attribute[0].ints = vec![5, 5], "kernel_shape (5, 5) for a kernel of 3×3");
}
