//! The defects of candle's own `backward` that made this crate necessary: each test fails when upstream mends one.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::disallowed_methods, reason = "the defects of this very method are what is tested")]

use candle_core::{Device, Tensor, Var};

fn slope(f: impl Fn(&Tensor) -> Tensor, at: &[f64], dims: &[usize]) -> Vec<f64> {
    let x = Var::from_tensor(&Tensor::from_vec(at.to_vec(), dims, &Device::Cpu).unwrap()).unwrap();
    let gradients = f(x.as_tensor()).sum_all().unwrap().backward().unwrap();
    gradients.get(x.as_tensor()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn the_gradient_of_max_pooling_is_divided_by_the_window() {
    let got = slope(|x| x.max_pool2d(2).unwrap(), &[1.0, 2.0, 3.0, 4.0], &[1, 1, 2, 2]);
    assert_eq!(got, [0.0, 0.0, 0.0, 0.25], "a unique maximum must get 1");
}

#[test]
fn the_derivative_of_relu_at_zero_is_one() {
    assert_eq!(slope(|x| x.relu().unwrap(), &[-1.0, 0.0, 1.0], &[3]), [0.0, 1.0, 1.0]);
}

#[test]
fn second_derivatives_are_wrong_rather_than_missing() {
    let x = Var::new(0.7f64, &Device::Cpu).unwrap();
    let cube = x.as_tensor().mul(x.as_tensor()).unwrap().mul(x.as_tensor()).unwrap();
    let first = cube.backward().unwrap().get(x.as_tensor()).unwrap().clone();
    let second = first.backward().unwrap().get(x.as_tensor()).map(|g| g.to_scalar::<f64>().unwrap());
    // d²(x³)/dx² = 6x = 4.2.
    assert!(second.is_none_or(|s| (s - 4.2).abs() > 0.1), "{second:?}");
}
