//! Kernels of the built-in architectures: `cargo bench -p gauntlet-autograd`. `gauntlet bench ops` holds the same
//! against the measured peak.
#![allow(missing_docs, clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gauntlet_autograd::kernels::work;
use gauntlet_autograd::{Graph, Var, grad};
use std::hint::black_box;
use std::time::Duration;

fn leaf(dims: &[usize]) -> Var {
    Var::leaf(Tensor::randn(0f32, 1f32, dims, &Device::Cpu).unwrap())
}

/// One benchmark with its arithmetic as throughput (elements are floating-point operations).
fn measure(c: &mut Criterion, group: &str, what: &str, mut f: impl FnMut() -> Var) {
    let before = work::flops();
    f();
    let flops = work::flops() - before;
    let mut group = c.benchmark_group(group);
    if flops > 0 {
        group.throughput(Throughput::Elements(flops));
    }
    group.bench_function(BenchmarkId::from_parameter(what), |b| b.iter(|| black_box(f())));
    group.finish();
}

fn convolutions(c: &mut Criterion) {
    for (what, n, from, side, to, k, stride, padding) in [
        ("lenet-small 1", 128, 1, 28, 16, 4, 2, 1),
        ("lenet-small 2", 128, 16, 14, 32, 4, 2, 1),
        ("madry-cnn 1", 128, 1, 28, 32, 5, 1, 2),
        ("madry-cnn 2", 128, 32, 14, 64, 5, 1, 2),
        ("preactresnet18 64", 32, 64, 32, 64, 3, 1, 1),
        ("preactresnet18 64-128", 32, 64, 32, 128, 3, 2, 1),
        ("preactresnet18 512", 32, 512, 4, 512, 3, 1, 1),
    ] {
        let (x, w) = (leaf(&[n, from, side, side]), leaf(&[to, from, k, k]));
        measure(c, "conv2d", what, || x.detach().conv2d(&w.detach(), None, stride, padding).unwrap());
        let y = x.conv2d(&w, None, stride, padding).unwrap();
        measure(c, "input gradient", what, || grad(&y, &[&x], Graph::Free).unwrap().swap_remove(0));
        measure(c, "weight gradient", what, || grad(&y, &[&w], Graph::Free).unwrap().swap_remove(0));
    }
}

fn products(c: &mut Criterion) {
    for (what, n, from, to) in [("lenet-small fc1", 128, 1568, 100), ("madry-cnn fc1", 128, 3136, 1024)] {
        let (x, w) = (leaf(&[n, from]), leaf(&[to, from]));
        measure(c, "linear", what, || x.detach().linear(&w.detach(), None).unwrap());
        let y = x.linear(&w, None).unwrap();
        measure(c, "linear input gradient", what, || grad(&y, &[&x], Graph::Free).unwrap().swap_remove(0));
        measure(c, "linear weight gradient", what, || grad(&y, &[&w], Graph::Free).unwrap().swap_remove(0));
    }
}

fn memory(c: &mut Criterion) {
    let x = leaf(&[128, 32, 28, 28]);
    measure(c, "relu", "128x32x28x28", || x.detach().relu().unwrap());
    measure(c, "max-pool", "128x32x28x28", || x.detach().max_pool2d(2, 2).unwrap());
    let y = x.max_pool2d(2, 2).unwrap();
    measure(c, "max-pool gradient", "128x32x28x28", || grad(&y, &[&x], Graph::Free).unwrap().swap_remove(0));
    let (gamma, beta) = (leaf(&[32]), leaf(&[32]));
    measure(c, "batch norm", "128x32x28x28", || x.detach().batch_norm_train(&gamma, &beta, 1e-5).unwrap().0);
    let (y, _, _) = x.batch_norm_train(&gamma, &beta, 1e-5).unwrap();
    measure(c, "batch norm gradient", "128x32x28x28", || {
        grad(&y, &[&x, &gamma, &beta], Graph::Free).unwrap().swap_remove(0)
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = convolutions, products, memory
}
criterion_main!(benches);
