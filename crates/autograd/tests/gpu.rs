//! Every operation on a GPU: the CPU's values and derivatives of both orders.
//!
//! Runs on whatever driver is found: a real one, or the emulated one of scripts/cuda, which runs the same kernels on the CPU.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::cuda;
use gauntlet_autograd::kernels::border::Border;
use gauntlet_autograd::kernels::images::crop_flip;
use gauntlet_autograd::selftest::cases;
use gauntlet_autograd::{Graph, Var, grad};

fn gpu() -> Device {
    cuda::open(0, false).unwrap()
}

fn numbers(dims: &[usize], salt: usize) -> Tensor {
    let n: usize = dims.iter().product();
    let v: Vec<f64> = (0..n).map(|i| (((i * 7919 + salt * 104_729) % 2003) as f64 / 1001.5) - 1.0).collect();
    Tensor::from_vec(v, dims, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.dims(), b.dims());
    for (i, (a, b)) in flat(a).iter().zip(&flat(b)).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "entry {i}: {a} instead of {b}");
    }
}

#[test]
fn every_operation_has_the_cpus_values_and_derivatives_of_both_orders() {
    let device = gpu();
    let mut failures = Vec::new();
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-4)] {
        for case in cases().unwrap() {
            match case.difference(&device, dtype) {
                Ok(difference) if difference <= tolerance => {}
                Ok(difference) => failures.push(format!("{} in {dtype:?}: {difference:e}", case.name)),
                Err(error) => failures.push(format!("{} in {dtype:?}: {error}", case.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Convolutions of the models' shapes, batch norm of several blocks, a sum in two stages: larger than the cases.
#[test]
fn larger_shapes_agree_too() {
    let device = gpu();
    let run = |device: &Device, dtype: DType| {
        let here = |t: Tensor| Var::leaf(t.to_dtype(dtype).unwrap().to_device(device).unwrap());
        let (x, w, b) = (here(numbers(&[5, 3, 16, 16], 1)), here(numbers(&[8, 3, 5, 5], 2)), here(numbers(&[8], 3)));
        let (gamma, beta) = (here(numbers(&[8], 4)), here(numbers(&[8], 5)));
        let y = x.conv2d(&w, Some(&b), 1, 2).unwrap();
        let (y, mean, var) = y.batch_norm_train(&gamma, &beta, 1e-5).unwrap();
        let z = y.relu().unwrap().max_pool2d(3, 2).unwrap().flatten().unwrap();
        let v = here(numbers(&[10, 8 * 7 * 7], 6));
        let labels = Tensor::new(&[1u32, 9, 0, 3, 3], device).unwrap();
        let loss = z.linear(&v, None).unwrap().cross_entropy(&labels).unwrap();
        let g = grad(&loss, &[&x], Graph::Keep).unwrap().swap_remove(0);
        let penalty = g.norm_l2_per_example().unwrap().sum_all().unwrap().add(&loss.mean_all().unwrap()).unwrap();
        let slopes = grad(&penalty, &[&w, &b, &gamma, &beta, &v], Graph::Free).unwrap();
        let whole = x.sqr().unwrap().affine(1.0, 0.5).unwrap();
        let twice = Var::cat(&[&whole, &whole, &whole, &whole, &whole, &whole], 0).unwrap();
        let mut found: Vec<Tensor> = slopes.iter().map(|v| v.tensor().clone()).collect();
        found.extend([loss.tensor().clone(), g.tensor().clone(), mean, var, twice.sum_all().unwrap().tensor().clone()]);
        found
    };
    let want = run(&Device::Cpu, DType::F64);
    for (got, want) in run(&device, DType::F64).iter().zip(&want) {
        close(got, want, 1e-10);
    }
    for (got, want) in run(&device, DType::F32).iter().zip(&want) {
        close(got, want, 2e-4);
    }
}

/// Three directions of every shape that goes through products of transformed tiles, and what surrounds them: borders that no
/// tile fills, every padding, one image, parts of a batch, biases and the rectifier.
#[test]
fn convolutions_of_fewer_multiplications_agree() {
    let device = gpu();
    for (n, c, h, w, o, k, padding) in [
        (1, 16, 4, 4, 16, 3, 1),
        (3, 16, 9, 11, 20, 3, 1),
        (5, 17, 8, 8, 16, 3, 0),
        (4, 33, 7, 6, 18, 3, 2),
        (16, 16, 32, 32, 16, 3, 1),
        (2, 16, 14, 14, 24, 5, 2),
        (6, 18, 9, 8, 16, 5, 0),
        (8, 16, 15, 13, 16, 5, 4),
    ] {
        let run = |device: &Device, dtype: DType| {
            let here = |t: Tensor| Var::leaf(t.to_dtype(dtype).unwrap().to_device(device).unwrap());
            let (x, weight) = (here(numbers(&[n, c, h, w], 1)), here(numbers(&[o, c, k, k], 2)));
            let bias = here(numbers(&[o], 3));
            // The rectifier by its values only: roundings decide its slope at 0.
            let rectified = x.conv2d_relu(&weight, None, 1, padding).unwrap();
            let y = x.conv2d(&weight, Some(&bias), 1, padding).unwrap();
            let t = here(numbers(y.dims(), 4));
            let loss = y.mul(&t).unwrap().sum_all().unwrap();
            let slopes = grad(&loss, &[&x, &weight, &bias], Graph::Free).unwrap();
            let mut found = vec![y.tensor().clone(), rectified.tensor().clone()];
            found.extend(slopes.iter().map(|v| v.tensor().clone()));
            found
        };
        let (got, want) = (run(&device, DType::F32), run(&Device::Cpu, DType::F64));
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.dims(), want.dims());
            let (got, want) = (flat(got), flat(want));
            let rms = (want.iter().map(|v| v * v).sum::<f64>() / want.len() as f64).sqrt();
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / rms;
            // A NaN is not less than anything.
            assert!(worst < 2e-4, "{n} images {c}x{h}x{w}, {o} kernels of {k}, padding {padding}, map {i}: {worst:e}");
        }
    }
}

/// Sums of several parts, planes that are read four numbers at a time and such that cannot be, windows with a rest.
#[test]
fn many_images_and_odd_planes_agree() {
    let device = gpu();
    for dims in [[24, 5, 16, 16], [80, 3, 9, 9], [700, 4, 3, 3], [6, 2, 7, 11]] {
        let run = |device: &Device, dtype: DType| {
            let here = |t: Tensor| Var::leaf(t.to_dtype(dtype).unwrap().to_device(device).unwrap());
            // Far from 0, where sums of squares would lose everything.
            let x = here((numbers(&dims, 1) + 100.0).unwrap());
            let (gamma, beta) = (here(numbers(&[dims[1]], 2)), here(numbers(&[dims[1]], 3)));
            let (y, mean, var) = x.batch_norm_train(&gamma, &beta, 1e-5).unwrap();
            let (z, _, _) = x.batch_norm_relu_train(&gamma, &beta, 1e-5).unwrap();
            let pooled = y.max_pool2d(2, 2).unwrap().sqr().unwrap().sum_all().unwrap();
            let loss = z.mul(&here(numbers(&dims, 4))).unwrap().sum_all().unwrap().add(&pooled).unwrap();
            let slopes = grad(&loss, &[&x, &gamma, &beta], Graph::Free).unwrap();
            let sums = x.sum_channels().unwrap().tensor().clone();
            let mut found: Vec<Tensor> = slopes.iter().map(|v| v.tensor().clone()).collect();
            found.extend([y.tensor().clone(), mean, var, sums]);
            found
        };
        let (got, want) = (run(&device, DType::F64), run(&Device::Cpu, DType::F64));
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let (got, want) = (flat(got), flat(want));
            let size = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= 1e-9 * size, "{dims:?}, result {i}: off by {worst:e} of {size}");
        }
    }
}

/// Without the driver's two functions in its own hands, nothing is recorded.
#[test]
#[cfg(not(feature = "interpose"))]
fn nothing_is_recorded_where_memory_is_the_drivers() {
    let device = gpu();
    let point = Var::constant(numbers(&[6, 5], 1).to_device(&device).unwrap());
    assert!(cuda::record(&device, || point.affine(2.0, 0.0).map(drop)).unwrap().is_none());
}

#[test]
#[cfg(feature = "interpose")]
fn a_recorded_step_is_repeated_and_others_are_not_recorded() {
    let device = gpu();
    let point = Var::constant(numbers(&[6, 5], 1).to_device(&device).unwrap()).affine(1.0, 0.0).unwrap();
    let before = flat(point.tensor());
    let step = || {
        let next = point.affine(2.0, 0.0)?.affine(1.0, 1.0)?;
        cuda::overwrite_each(&[(point.tensor(), next.tensor())])
    };
    // Kernels are loaded by then: that cannot be recorded.
    cuda::overwrite_each(&[(point.tensor(), point.affine(1.0, 0.0).unwrap().tensor())]).unwrap();
    let graph = cuda::record(&device, step).unwrap().expect("kernels alone");
    assert_eq!(flat(point.tensor()), before, "recording runs nothing");
    for _ in 0..3 {
        graph.launch().unwrap();
    }
    let want: Vec<f64> = before.iter().map(|v| 8.0 * v + 7.0).collect();
    assert_eq!(flat(point.tensor()), want);
    // A buffer that outlives the recording would be given to somebody else while the graph writes to it.
    let mut kept = None;
    let keeps = cuda::record(&device, || {
        kept = Some(point.affine(2.0, 0.0)?);
        Ok(())
    });
    assert!(keeps.unwrap().is_none());
    // What is sent from the host would be read again when it is long gone.
    let sends = cuda::record(&device, || Ok(Tensor::new(&[1.0f64, 2.0], &device).map(drop)?));
    assert!(sends.unwrap().is_none());
    // And an error is no graph; afterwards everything works as before.
    let fails = cuda::record(&device, || point.affine(2.0, 0.0)?.reshape(&[7]).map(drop));
    assert!(fails.unwrap().is_none());
    graph.launch().unwrap();
    assert_eq!(flat(point.tensor())[0], 2.0 * want[0] + 1.0);
}

#[test]
fn repetitions_give_the_same_bits() {
    let device = gpu();
    let once = || {
        let x = Var::leaf(numbers(&[4, 3, 9, 9], 1).to_dtype(DType::F32).unwrap().to_device(&device).unwrap());
        let w = Var::leaf(numbers(&[6, 3, 3, 3], 2).to_dtype(DType::F32).unwrap().to_device(&device).unwrap());
        let y = x.conv2d_relu(&w, None, 2, 1).unwrap().sqr().unwrap().sum_all().unwrap();
        flat(grad(&y, &[&w], Graph::Free).unwrap()[0].tensor())
    };
    assert_eq!(once(), once());
}

#[test]
fn a_label_that_is_no_class_is_not_a_number() {
    let device = gpu();
    let z = Var::leaf(numbers(&[3, 4], 1).to_device(&device).unwrap());
    let labels = Tensor::new(&[1u32, 4, 0], &device).unwrap();
    let loss = flat(z.cross_entropy(&labels).unwrap().tensor());
    assert!(loss[0].is_finite() && loss[1].is_nan() && loss[2].is_finite(), "{loss:?}");
    let few = Tensor::new(&[1u32], &device).unwrap();
    assert!(z.cross_entropy(&few).is_err());
}

#[test]
fn images_come_from_the_resident_data_set() {
    let device = gpu();
    let data: Vec<u8> = (0..2 * 3 * 2 * 2).map(|i| i * 10).collect();
    let data = Tensor::from_vec(data, (2, 3, 2, 2), &device).unwrap();
    let rows = Tensor::new(&[1u32, 0, 1], &device).unwrap();
    let x = flat(&cuda::pixels::<f32>(&data, &rows).unwrap());
    let want = |row: usize, i: usize| f64::from(((row * 12 + i) * 10) as f32 / 255.0);
    for (n, row) in [1, 0, 1].into_iter().enumerate() {
        for i in 0..12 {
            assert_eq!(x[n * 12 + i], want(row, i));
        }
    }
    // Down 3, right 5 with padding 4: one row up, one column to the right; then mirrored.
    let image = Tensor::arange(1f32, 10.0, &Device::Cpu).unwrap().reshape((1, 1, 3, 3)).unwrap();
    let image = image.to_device(&device).unwrap();
    let crops = |draw: u32| Tensor::new(&[draw], &device).unwrap();
    let shown = |draw: u32| flat(&cuda::crop_flip::<f32>(&image, &crops(draw), 4, Border::Zeros).unwrap());
    assert_eq!(shown(4 | 4 << 8), (1..10).map(f64::from).collect::<Vec<_>>());
    assert_eq!(shown(3 | 5 << 8), [0.0, 0.0, 0.0, 2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
    assert_eq!(shown(3 | 5 << 8 | 1 << 16), [0.0, 0.0, 0.0, 0.0, 3.0, 2.0, 0.0, 6.0, 5.0]);
    // Mirrored at the edges: every crop as on the CPU.
    let colour = numbers(&[2, 3, 5, 6], 3);
    for draw in
        (0..=8u32).flat_map(|down| (0..=8).flat_map(move |right| [down | right << 8, down | right << 8 | 1 << 16]))
    {
        for border in [Border::Zeros, Border::Reflect] {
            let on = |device: &Device| {
                let crops = Tensor::new(&[draw, 8 | 1 << 16], device).unwrap();
                flat(&crop_flip(&colour.to_device(device).unwrap(), &crops, 4, border).unwrap())
            };
            assert_eq!(on(&device), on(&Device::Cpu), "{draw:#x} {border:?}");
        }
    }
}
