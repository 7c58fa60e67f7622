//! The steps of `gauntlet bench step --model lenet-small` by candle's own layers and `backward`, for counting what it launches
//! (scripts/cuda/launches.py). `ce` and `grad-norm` stop at the gradients: no optimiser.
//!
//! candle_steps ce|grad-norm|attack STEPS

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module, loss};

const N: usize = 128;

struct LenetSmall {
    convolutions: [Conv2d; 2],
    linears: [Linear; 2],
    variables: Vec<Var>,
}

impl LenetSmall {
    fn new(device: &Device) -> Result<Self> {
        let mut variables = Vec::new();
        let mut variable = |dims: &[usize]| -> Result<Tensor> {
            let var = Var::from_tensor(&Tensor::zeros(dims, DType::F32, device)?)?;
            variables.push(var.clone());
            Ok(var.as_tensor().clone())
        };
        let config = Conv2dConfig { stride: 2, padding: 1, ..Conv2dConfig::default() };
        let convolutions = [
            Conv2d::new(variable(&[16, 1, 4, 4])?, Some(variable(&[16])?), config),
            Conv2d::new(variable(&[32, 16, 4, 4])?, Some(variable(&[32])?), config),
        ];
        let linears = [
            Linear::new(variable(&[100, 32 * 7 * 7])?, Some(variable(&[100])?)),
            Linear::new(variable(&[10, 100])?, Some(variable(&[10])?)),
        ];
        Ok(LenetSmall { convolutions, linears, variables })
    }
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.convolutions[0].forward(x)?.relu()?;
        let y = self.convolutions[1].forward(&y)?.relu()?.flatten_from(1)?;
        self.linears[1].forward(&self.linears[0].forward(&y)?.relu()?)
    }
}

#[expect(clippy::disallowed_methods, reason = "what is counted is candle's own backward")]
fn step(what: &str, model: &LenetSmall, x: &Var, y: &Tensor) -> Result<()> {
    let ce = loss::cross_entropy(&model.forward(x.as_tensor())?, y)?;
    let gradients = ce.backward()?;
    let input = gradients.get(x.as_tensor()).cloned();
    match (what, input) {
        ("grad-norm", Some(g)) => {
            let penalty = (g.sqr()?.sum_all()? * 0.1)?;
            let gradients = (ce + penalty)?.backward()?;
            assert!(model.variables.iter().all(|v| gradients.get(v).is_some()), "every parameter has a gradient");
        }
        ("attack", Some(g)) => {
            let moved = (x.as_tensor() + (g.sign()? * 0.01)?)?;
            let low = (x.as_tensor() - 0.1)?;
            let high = (x.as_tensor() + 0.1)?;
            x.set(&moved.maximum(&low)?.minimum(&high)?.clamp(0.0, 1.0)?)?;
        }
        _ => assert!(model.variables.iter().all(|v| gradients.get(v).is_some()), "every parameter has a gradient"),
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, steps] = arguments.as_slice() else { candle_core::bail!("candle_steps ce|grad-norm|attack STEPS") };
    let steps: usize = steps.parse().map_err(candle_core::Error::wrap)?;
    let device = Device::new_cuda_with_stream(0)?;
    let model = LenetSmall::new(&device)?;
    let x = Var::from_tensor(&Tensor::zeros((N, 1, 28, 28), DType::F32, &device)?)?;
    let y = Tensor::zeros(N, DType::U32, &device)?;
    for _ in 0..steps {
        step(what, &model, &x, &y)?;
    }
    Ok(())
}
