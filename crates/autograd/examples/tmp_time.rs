#![allow(missing_docs, clippy::unwrap_used)]
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::kernels::conv::*;
use std::time::Instant;
fn best(mut f: impl FnMut()) -> f64 {
    f();
    let mut b = f64::MAX;
    for _ in 0..7 { let s = Instant::now(); f(); b = b.min(s.elapsed().as_secs_f64()); }
    b
}
fn rnd(d: &[usize]) -> Tensor { Tensor::randn(0f32, 1f32, d, &Device::Cpu).unwrap() }
fn err(a: &Tensor, b: &Tensor) -> f64 {
    let d = (a.to_dtype(DType::F64).unwrap() - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap();
    let s = (b.sqr().unwrap().mean_all().unwrap()).to_scalar::<f64>().unwrap().sqrt();
    d / s
}
fn main() {
    let t: usize = std::env::args().nth(1).map_or(1, |s| s.parse().unwrap());
    rayon::ThreadPoolBuilder::new().num_threads(t).build_global().unwrap();
    {
        let (a, b) = (rnd(&[1024, 1024]), rnd(&[1024, 1024]));
        for (ta, tb) in [(false, false), (false, true), (true, false)] {
            let s = best(|| { gauntlet_autograd::kernels::matmul::matmul::<f32>("m", &a, &b, (ta, tb), None, false).unwrap(); });
            println!("matmul 1024 {ta} {tb}: {:.1} GF/s", 2.0 * 1024f64.powi(3) / s / 1e9);
        }
        let (x, w, d) = (rnd(&[128, 3136]), rnd(&[1024, 3136]), rnd(&[128, 1024]));
        let f = 2.0 * 128.0 * 3136.0 * 1024.0 / 1e9;
        let m = |a: &Tensor, b: &Tensor, t| best(|| { gauntlet_autograd::kernels::matmul::matmul::<f32>("m", a, b, t, None, false).unwrap(); });
        println!("fc1 fwd {:.1} dx {:.1} dw {:.1}", f / m(&x, &w, (false, true)), f / m(&d, &w, (false, false)), f / m(&d, &x, (true, false)));
        let (x, w, d) = (rnd(&[128, 1568]), rnd(&[100, 1568]), rnd(&[128, 100]));
        let f = 2.0 * 128.0 * 1568.0 * 100.0 / 1e9;
        println!("lenet fc1 fwd {:.1} dx {:.1} dw {:.1}", f / m(&x, &w, (false, true)), f / m(&d, &w, (false, false)), f / m(&d, &x, (true, false)));
    }
    for (name, n, c, h, o, k, s, p) in [
        ("lenet1", 128, 1, 28, 16, 4, 2, 1), ("lenet2", 128, 16, 14, 32, 4, 2, 1),
        ("madry1", 128, 1, 28, 32, 5, 1, 2), ("madry2", 128, 32, 14, 64, 5, 1, 2),
        ("trades1", 128, 1, 28, 32, 3, 1, 0), ("trades2", 128, 32, 26, 32, 3, 1, 0), ("trades3", 128, 32, 12, 64, 3, 1, 0), ("trades4", 128, 64, 10, 64, 3, 1, 0),
        ("pre0", 32, 3, 32, 64, 3, 1, 1), ("pre1", 32, 64, 32, 64, 3, 1, 1), ("pre2s", 32, 64, 32, 128, 3, 2, 1), ("pre2", 32, 128, 16, 128, 3, 1, 1),
        ("pre3s", 32, 128, 16, 256, 3, 2, 1), ("pre3", 32, 256, 8, 256, 3, 1, 1), ("pre4s", 32, 256, 8, 512, 3, 2, 1), ("pre4", 32, 512, 4, 512, 3, 1, 1), ("pre2x", 32, 64, 32, 128, 1, 2, 0), ("pre4x", 32, 256, 8, 512, 1, 2, 0),
    ] {
        let (x, w) = (rnd(&[n, c, h, h]), rnd(&[o, c, k, k]));
        let g = Geometry::new("t", x.dims(), w.dims(), s, p).unwrap();
        let y = conv2d::<f32>(&g, &x, &w, None, false).unwrap();
        let d = rnd(y.dims());
        let f = 2.0 * (n * o * g.oh * g.ow * c * k * k) as f64 / 1e9;
        let (a, b, e) = (
            best(|| { conv2d::<f32>(&g, &x, &w, None, false).unwrap(); }),
            best(|| { conv2d_input_grad::<f32>(&g, &d, &w).unwrap(); }),
            best(|| { conv2d_weight_grad::<f32>(&g, &x, &d).unwrap(); }),
        );
        println!("{name:8} fwd {:6.2} ms {:6.1}  dx {:6.2} ms {:6.1}  dw {:6.2} ms {:6.1} GF/s", 1e3*a, f / a, 1e3*b, f / b, 1e3*e, f / e);
        if std::env::args().nth(2).is_some() {
            let q = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let (x6, w6, d6) = (q(&x), q(&w), q(&d));
            println!("   errors {:.1e} {:.1e} {:.1e}", err(&y, &conv2d::<f64>(&g, &x6, &w6, None, false).unwrap()),
              err(&conv2d_input_grad::<f32>(&g, &d, &w).unwrap(), &conv2d_input_grad::<f64>(&g, &d6, &w6).unwrap()),
              err(&conv2d_weight_grad::<f32>(&g, &x, &d).unwrap(), &conv2d_weight_grad::<f64>(&g, &x6, &d6).unwrap()));
        }
    }
}
