//! Foreign modules under attack: logits and gradients of candle's layers, in blocks and on threads of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, IndexOp, Module, ModuleT, Tensor};
use candle_nn::{BatchNorm, Conv2d, Conv2dConfig, Dropout, Linear};
use gauntlet_core::{Key, Purpose, Target};
use gauntlet_models::CandleModule;
use std::num::NonZeroUsize;

fn numbers(name: &str, dims: &[usize], dtype: DType) -> Tensor {
    let mut stream = Key::new(5, Purpose::Sample).named(name).stream(0, 0, 0);
    let n: usize = dims.iter().product();
    let values: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn centred(name: &str, dims: &[usize], dtype: DType) -> Tensor {
    numbers(name, dims, dtype).affine(1.0, -0.5).unwrap()
}

fn layers(dtype: DType) -> (Conv2d, Linear) {
    let same = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
    let conv = Conv2d::new(centred("w", &[4, 1, 3, 3], dtype), Some(centred("b", &[4], dtype)), same);
    let linear = Linear::new(centred("v", &[5, 4 * 36], dtype), Some(centred("c", &[5], dtype)));
    (conv, linear)
}

/// conv → softplus-like smooth activation → linear on (1, 6, 6).
fn smooth(dtype: DType) -> impl Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync {
    let (conv, linear) = layers(dtype);
    move |x| conv.forward(x)?.tanh()?.flatten_from(1)?.apply(&linear)
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(t: &Tensor) -> Vec<u32> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn pulls_are_the_derivative_as_often_as_wanted() {
    let model = CandleModule::new("smooth", (1, 6, 6), 5, smooth(DType::F64));
    let x = numbers("x", &[3, 1, 6, 6], DType::F64);
    let linear = model.linearise(&x).unwrap();
    assert_eq!(flat(linear.logits()), flat(&model.logits(&x).unwrap()));
    for round in 0..2 {
        for class in 0..5 {
            let rows: Vec<f64> = (0..15).map(|i| if i % 5 == class { 1.0 } else { 0.0 }).collect();
            let pulled = flat(&linear.pull(&Tensor::from_vec(rows, (3, 5), &Device::Cpu).unwrap()).unwrap());
            for pixel in [0, 17, 36 + 8, 72 + 35] {
                let shifted = |h: f64| {
                    let mut v = flat(&x);
                    v[pixel] += h;
                    let x = Tensor::from_vec(v, (3, 1, 6, 6), &Device::Cpu).unwrap();
                    model.logits(&x).unwrap().i((pixel / 36, class)).unwrap().to_scalar::<f64>().unwrap()
                };
                let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!((pulled[pixel] - slope).abs() < 1e-8, "round {round}, class {class}, pixel {pixel}");
            }
        }
    }
}

#[test]
fn in_blocks_an_example_does_not_depend_on_the_others() {
    let eight = NonZeroUsize::new(8).unwrap();
    let model = CandleModule::new("smooth", (1, 6, 6), 5, smooth(DType::F32)).in_blocks(eight);
    let x = numbers("x", &[21, 1, 6, 6], DType::F32);
    let c = centred("cotangent", &[21, 5], DType::F32);
    let (z, g) = (bits(&model.logits(&x).unwrap()), bits(&model.linearise(&x).unwrap().pull(&c).unwrap()));
    for (start, n) in [(0, 1), (0, 8), (3, 9), (20, 1)] {
        let some = x.narrow(0, start, n).unwrap();
        assert_eq!(bits(&model.logits(&some).unwrap()), z[start * 5..(start + n) * 5], "{n} from {start}");
        let pulled = model.linearise(&some).unwrap().pull(&c.narrow(0, start, n).unwrap()).unwrap();
        assert_eq!(bits(&pulled), g[start * 36..(start + n) * 36], "{n} from {start}");
    }
}

/// Batch norm and dropout, which differ between training and evaluation.
struct Trained {
    norm: BatchNorm,
    dropout: Dropout,
    linear: Linear,
}
impl ModuleT for Trained {
    fn forward_t(&self, x: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let x = self.dropout.forward(&self.norm.forward_t(x, train)?, train)?;
        x.flatten_from(1)?.apply(&self.linear)
    }
}

#[test]
fn a_module_with_modes_is_attacked_in_eval_mode() {
    let ones = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
    let norm = BatchNorm::new(1, (&ones * 0.5).unwrap(), (&ones * 4.0).unwrap(), ones.clone(), ones, 0.0).unwrap();
    let linear = Linear::new(centred("v", &[5, 36], DType::F32), None);
    let plain = linear.clone();
    let model =
        CandleModule::of_module_t("trained", (1, 6, 6), 5, Trained { norm, dropout: Dropout::new(0.5), linear });
    let x = numbers("x", &[3, 1, 6, 6], DType::F32);
    // (x − 0.5) / 2 · 1 + 1
    let by_hand = x.affine(0.5, 0.75).unwrap().flatten_from(1).unwrap().apply(&plain).unwrap();
    for (a, b) in flat(&model.logits(&x).unwrap()).iter().zip(flat(&by_hand)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_module_that_is_bound_to_its_thread_has_one_of_its_own() {
    let build = || {
        let (conv, linear) = layers(DType::F32);
        Ok(candle_nn::seq().add(conv).add_fn(|x| x.tanh()).add_fn(|x| x.flatten_from(1)).add(linear))
    };
    let model = CandleModule::built_by("sequential", (1, 6, 6), 5, build).unwrap();
    let plain = CandleModule::new("smooth", (1, 6, 6), 5, smooth(DType::F32));
    let x = numbers("x", &[4, 1, 6, 6], DType::F32);
    let c = centred("cotangent", &[4, 5], DType::F32);
    let pull = |m: &CandleModule| bits(&m.linearise(&x).unwrap().pull(&c).unwrap());
    std::thread::scope(|s| {
        let others: Vec<_> = (0..3).map(|_| s.spawn(|| pull(&model))).collect();
        others.into_iter().for_each(|o| assert_eq!(o.join().unwrap(), pull(&plain)));
    });
    let fails = || Err::<candle_nn::Sequential, _>(candle_core::Error::Msg("no such weight".into()));
    let error = CandleModule::built_by("none", (1, 6, 6), 5, fails).err().unwrap().to_string();
    assert!(error.contains("no such weight"), "{error}");
}

#[test]
fn what_is_no_classifier_of_such_images_is_told_so() {
    let model = CandleModule::new("image", (1, 6, 6), 5, |x| Ok(x.clone()));
    let x = numbers("x", &[2, 1, 6, 6], DType::F32);
    let error = model.logits(&x).unwrap_err().to_string();
    assert!(error.contains("image: answers [2, 1, 6, 6] of type f32, logits are floats [2, 5]"), "{error}");
    let model = CandleModule::new("smooth", (1, 6, 6), 5, smooth(DType::F32));
    let error = model.linearise(&x.i((.., .., 1..)).unwrap()).err().unwrap().to_string();
    assert!(error.contains("expects images (N, 1, 6, 6), got [2, 1, 5, 6]"), "{error}");
}

#[test]
fn where_candle_knows_no_gradient_the_pull_is_zero() {
    let (_, linear) = layers(DType::F32);
    let model = CandleModule::new("cut", (4, 6, 6), 5, move |x| x.detach().flatten_from(1)?.apply(&linear));
    let x = numbers("x", &[2, 4, 6, 6], DType::F32);
    let pulled = model.linearise(&x).unwrap().pull(&centred("cotangent", &[2, 5], DType::F32)).unwrap();
    assert!(flat(&pulled).iter().all(|v| *v == 0.0));
}
