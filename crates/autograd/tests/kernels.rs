//! What the kernels promise: the right values, PyTorch's conventions at kinks, rows that do not depend on the batch,
//! and results that do not depend on the number of threads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};

fn pseudo(dims: &[usize], seed: u64) -> Tensor {
    let n: usize = dims.iter().product();
    let mut s = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let v: Vec<f64> = (0..n)
        .map(|_| {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((s >> 33) as f64) / f64::from(1u32 << 31) * 2.0 - 1.0
        })
        .collect();
    Tensor::from_vec(v, dims, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The definition, in seven loops.
#[allow(clippy::many_single_char_names)]
fn conv_by_definition(x: &Tensor, w: &Tensor, stride: usize, padding: usize) -> Vec<f64> {
    let (n, c, h, wd) = x.dims4().unwrap();
    let (o, _, kh, kw) = w.dims4().unwrap();
    let (oh, ow) = ((h + 2 * padding - kh) / stride + 1, (wd + 2 * padding - kw) / stride + 1);
    let (x, w) = (flat(x), flat(w));
    let mut out = Vec::new();
    for i in 0..n {
        for f in 0..o {
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut sum = 0.0;
                    for ch in 0..c {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (y, xx) = (oy * stride + ky, ox * stride + kx);
                                if y >= padding && xx >= padding && y - padding < h && xx - padding < wd {
                                    sum += x[((i * c + ch) * h + y - padding) * wd + xx - padding]
                                        * w[((f * c + ch) * kh + ky) * kw + kx];
                                }
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
    }
    out
}

#[test]
fn conv2d_is_its_definition_for_many_geometries() {
    for (i, &(c, h, w, o, k, stride, padding)) in [
        (1, 28, 28, 16, 4, 2, 1),
        (3, 9, 7, 5, 3, 1, 1),
        (2, 8, 8, 4, 3, 2, 1),
        (2, 7, 9, 3, 1, 2, 0),
        (2, 5, 5, 3, 5, 1, 2),
        (1, 4, 4, 2, 4, 3, 3),
        (4, 3, 3, 2, 3, 1, 0),
    ]
    .iter()
    .enumerate()
    {
        for n in [1, 3, 20] {
            let x = pseudo(&[n, c, h, w], i as u64);
            let f = pseudo(&[o, c, k, k], 100 + i as u64);
            let want = conv_by_definition(&x, &f, stride, padding);
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
                let y = Var::constant(x.to_dtype(dtype).unwrap())
                    .conv2d(&Var::constant(f.to_dtype(dtype).unwrap()), None, stride, padding)
                    .unwrap();
                let got = flat(y.tensor());
                assert_eq!(got.len(), want.len());
                let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < tolerance * (c * k * k) as f64, "geometry {i}, N = {n}, {dtype:?}: off by {worst:e}");
            }
        }
    }
}

fn leaf(values: &[f64], dims: &[usize]) -> Var {
    Var::leaf(Tensor::from_vec(values.to_vec(), dims, &Device::Cpu).unwrap())
}

fn slope(f: impl Fn(&Var) -> Var, at: &[f64]) -> Vec<f64> {
    let x = leaf(at, &[at.len()]);
    flat(grad(&f(&x), &[&x], Graph::Free).unwrap()[0].tensor())
}

#[test]
fn kinks_follow_pytorch() {
    assert_eq!(slope(|x| x.relu().unwrap(), &[-1.0, 0.0, 1.0]), [0.0, 0.0, 1.0]);
    assert_eq!(slope(|x| x.abs().unwrap(), &[-2.0, 0.0, 3.0]), [-1.0, 0.0, 1.0]);
    assert_eq!(slope(|x| x.clamp(0.0, 1.0).unwrap(), &[-0.1, 0.0, 0.5, 1.0, 1.1]), [0.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!(slope(|x| x.softplus().unwrap(), &[21.0]), [1.0]);
    let ties = leaf(&[1.0, 1.0, 1.0, 1.0], &[1, 1, 2, 2]);
    let g = grad(&ties.max_pool2d(2, 2).unwrap(), &[&ties], Graph::Free).unwrap();
    assert_eq!(flat(g[0].tensor()), [1.0, 0.0, 0.0, 0.0], "ties go to the first maximum");
    let zero = leaf(&[0.0; 4], &[1, 1, 2, 2]);
    let g = grad(&zero.norm_l2_per_example().unwrap(), &[&zero], Graph::Free).unwrap();
    assert_eq!(flat(g[0].tensor()), [0.0; 4], "the norm's subgradient at 0 is 0");
    let rows = leaf(&[1.0, -3.0, 2.0, f64::NAN, 1e-20, 0.0], &[3, 2]);
    let negligible = rows.negligible_per_example().unwrap();
    assert_eq!(flat(negligible.tensor()), [0.0, 0.0, 1.0], "a NaN is not negligible");
    let nan = leaf(&[f64::NAN, 1.0], &[2]);
    assert!(flat(nan.relu().unwrap().tensor())[0].is_nan(), "a NaN does not become a harmless zero");
}

/// Large enough for the algorithms with fewer multiplications: outputs, input gradients, and weight gradients.
fn wide(x: &Tensor) -> (Vec<Vec<u64>>, Vec<u64>) {
    let n = x.dim(0).unwrap();
    let p = |dims: &[usize], seed| Var::leaf((pseudo(dims, seed) * 0.2).unwrap().to_dtype(DType::F32).unwrap());
    let x = Var::leaf(x.clone());
    let (a, b, c) = (p(&[32, 16, 5, 5], 1), p(&[40, 32, 3, 3], 2), p(&[16, 40, 3, 3], 3));
    let y = x.conv2d_relu(&a, Some(&p(&[32], 4)), 1, 2).unwrap().conv2d(&b, None, 1, 0).unwrap();
    let y = y.max_pool2d(2, 2).unwrap().conv2d(&c, None, 1, 1).unwrap();
    let loss = y.sqr().unwrap().sum_per_example().unwrap();
    let g = grad(&loss, &[&x, &a, &b, &c], Graph::Free).unwrap();
    let bits = |t: &Tensor| flat(t).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let row = |i: usize| [bits(&y.tensor().get(i).unwrap()), bits(&g[0].tensor().get(i).unwrap())].concat();
    ((0..n).map(row).collect(), g[1..].iter().flat_map(|g| bits(g.tensor())).collect())
}

#[test]
fn fewer_multiplications_keep_both_promises() {
    let x = pseudo(&[70, 16, 12, 12], 3).to_dtype(DType::F32).unwrap();
    let run =
        |threads, x: &Tensor| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| wide(x));
    let (rows, weights) = run(2, &x);
    for threads in [1, 3, 4] {
        let (again, same) = run(threads, &x);
        assert!(again == rows && same == weights, "{threads} threads");
    }
    for (start, n) in [(0, 1), (69, 1), (3, 5), (20, 33)] {
        let (some, _) = run(4, &x.narrow(0, start, n).unwrap());
        assert!(some[..] == rows[start..start + n], "rows {start} to {}", start + n);
    }
}

/// A network with every batch kernel: logits and input gradients.
fn network(x: &Tensor) -> Vec<Vec<u8>> {
    let dtype = x.dtype();
    let p = |dims: &[usize], seed| Var::constant((pseudo(dims, seed) * 0.2).unwrap().to_dtype(dtype).unwrap());
    let n = x.dim(0).unwrap();
    let x = Var::leaf(x.clone());
    let y = x.conv2d(&p(&[16, 1, 4, 4], 1), Some(&p(&[16], 2)), 2, 1).unwrap().relu().unwrap();
    let y = y.conv2d(&p(&[8, 16, 3, 3], 3), Some(&p(&[8], 4)), 1, 1).unwrap().gelu().unwrap();
    let y = y.max_pool2d(2, 2).unwrap().avg_pool2d(2, 1).unwrap().flatten().unwrap();
    let y = y.linear(&p(&[100, 288], 5), Some(&p(&[100], 6))).unwrap().softplus().unwrap();
    let z = y.linear(&p(&[10, 100], 7), None).unwrap();
    let loss = z.cross_entropy(&Tensor::zeros(n, DType::U32, &Device::Cpu).unwrap()).unwrap();
    let g = grad(&loss, &[&x], Graph::Free).unwrap().swap_remove(0);
    (0..n)
        .map(|i| {
            let row = |t: &Tensor| {
                flat(&t.get(i).unwrap()).iter().flat_map(|v| v.to_bits().to_le_bytes()).collect::<Vec<_>>()
            };
            [row(z.tensor()), row(loss.tensor()), row(g.tensor())].concat()
        })
        .collect()
}

#[test]
fn an_example_does_not_depend_on_its_batch() {
    for dtype in [DType::F32, DType::F64] {
        let x = pseudo(&[256, 1, 28, 28], 9).to_dtype(dtype).unwrap();
        let all = network(&x);
        for n in [1, 7, 26, 64, 65] {
            let start = 256 - n;
            let some = network(&x.narrow(0, start, n).unwrap());
            for (i, row) in some.iter().enumerate() {
                assert!(
                    *row == all[start + i],
                    "row {i} of N = {n} differs from the same example in N = 256 ({dtype:?})"
                );
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let x = Var::leaf(pseudo(&[130, 3, 16, 16], 1).to_dtype(DType::F32).unwrap());
            let w = Var::leaf((pseudo(&[24, 3, 3, 3], 2) * 0.3).unwrap().to_dtype(DType::F32).unwrap());
            let f = Var::leaf((pseudo(&[300, 1536], 3) * 0.1).unwrap().to_dtype(DType::F32).unwrap());
            let y = x.conv2d(&w, None, 1, 1).unwrap().relu().unwrap().max_pool2d(2, 2).unwrap();
            let z = y.flatten().unwrap().linear(&f, None).unwrap();
            let loss = z.cross_entropy(&Tensor::ones(130, DType::U32, &Device::Cpu).unwrap()).unwrap();
            let g = grad(&loss, &[&x], Graph::Keep).unwrap().swap_remove(0);
            let total =
                loss.mean_all().unwrap().add(&g.sqr().unwrap().sum_per_example().unwrap().mean_all().unwrap()).unwrap();
            let grads = grad(&total, &[&w, &f], Graph::Free).unwrap();
            grads.iter().flat_map(|g| flat(g.tensor())).map(f64::to_bits).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(4));
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let x = Var::constant(pseudo(&[2, 3, 8, 8], 0));
    for (result, needle) in [
        (x.conv2d(&Var::constant(pseudo(&[4, 2, 3, 3], 0)), None, 1, 1), "input has 3 channels, weight expects 2"),
        (x.conv2d(&Var::constant(pseudo(&[4, 3, 9, 9], 0)), None, 1, 0), "does not fit an image of 8×8"),
        (x.max_pool2d(9, 2), "9×9 window"),
        (x.flatten().unwrap().linear(&Var::constant(pseudo(&[5, 7], 0)), None), "cannot multiply 2×192 by 7×5"),
        (x.flatten().unwrap().cross_entropy(&Tensor::new(&[0u32, 192], &Device::Cpu).unwrap()), "up to 192 for 2 rows"),
        (x.add(&Var::constant(pseudo(&[2, 3, 8, 7], 0))), "shapes differ"),
        (Var::constant(Tensor::new(&[1u32], &Device::Cpu).unwrap()).exp(), "use f32 or f64"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(needle), "{message:?} lacks {needle:?}");
    }
}

/// Batch norm with the rectifier in the same pass: the bits of the two operations one after the other, values and both orders.
#[test]
fn a_rectified_batch_norm_has_the_bits_of_two_operations() {
    let numbers = |dims: &[usize], salt: usize| {
        let n: usize = dims.iter().product();
        let v: Vec<f32> = (0..n).map(|i| ((i * 7919 + salt * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect();
        Var::leaf(Tensor::from_vec(v, dims, &Device::Cpu).unwrap())
    };
    let bits = |fused: bool, train: bool| -> Vec<Vec<u32>> {
        let (x, gamma, beta) = (numbers(&[6, 5, 7, 9], 1), numbers(&[5], 2), numbers(&[5], 3));
        let (mean, var) = (numbers(&[5], 4), numbers(&[5], 5).sqr().unwrap());
        let y = match (fused, train) {
            (true, true) => x.batch_norm_relu_train(&gamma, &beta, 1e-5).unwrap().0,
            (false, true) => x.batch_norm_train(&gamma, &beta, 1e-5).unwrap().0.relu().unwrap(),
            (true, false) => x.batch_norm_relu_eval(&gamma, &beta, mean.tensor(), var.tensor(), 1e-5).unwrap(),
            (false, false) => {
                x.batch_norm_eval(&gamma, &beta, mean.tensor(), var.tensor(), 1e-5).unwrap().relu().unwrap()
            }
        };
        let loss = y.sqr().unwrap().mul(&numbers(&[6, 5, 7, 9], 6)).unwrap().sum_all().unwrap();
        let first = grad(&loss, &[&x, &gamma, &beta], Graph::Keep).unwrap();
        let again = first[0].sqr().unwrap().sum_all().unwrap();
        let second = grad(&again, &[&x, &gamma], Graph::Free).unwrap();
        let once = grad(&y.sum_all().unwrap(), &[&x, &gamma, &beta], Graph::Free).unwrap();
        let all = std::iter::once(&y).chain(&first).chain(&second).chain(&once);
        let read = |v: &Var| v.tensor().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        all.map(|v| read(v).into_iter().map(f32::to_bits).collect()).collect()
    };
    for train in [true, false] {
        assert_eq!(bits(true, train), bits(false, train), "train: {train}");
    }
}
