//! conv2d, its input gradient and its weight gradient: three bilinear maps, each made of the other two's derivatives.

use super::mask::{Mask, piece_hash};
use crate::kernels::by_dtype;
use crate::kernels::conv::{Geometry, conv2d, conv2d_input_grad, conv2d_weight_grad};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

/// y = x ⋆ w (+ b), rectified if asked. Inputs x, w and, if there is one, the bias.
#[derive(Clone, Copy)]
struct Conv2d {
    stride: usize,
    padding: usize,
    relu: bool,
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, w, bias) = (inputs[0], inputs[1], inputs.get(2).copied());
        let geometry = Geometry::new("conv2d", x.dims(), w.dims(), self.stride, self.padding)?;
        if let Some(b) = bias.filter(|b| b.dims() != [geometry.o]) {
            return Err(crate::error::shape(
                "conv2d",
                format!("bias {:?} for {} output channels", b.dims(), geometry.o),
            ));
        }
        Ok((by_dtype!("conv2d", x, T => conv2d::<T>(&geometry, x, w, bias, self.relu))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        if self.relu { Saves::inputs_and_output(&[0, 1]) } else { Saves::inputs(&[0, 1]) }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let geometry = Geometry::new("conv2d", saved.dims(0), saved.dims(1), self.stride, self.padding)?;
        let masked;
        let g = if self.relu {
            masked = g.mask(Mask::positive(saved.output()?.tensor())?)?;
            &masked
        } else {
            g
        };
        let mut out = vec![
            needed[0].then(|| Var::apply(InputGrad(geometry), &[g, &saved.input(1)?])).transpose()?,
            needed[1].then(|| Var::apply(WeightGrad(geometry), &[&saved.input(0)?, g])).transpose()?,
        ];
        if let Some(needed) = needed.get(2) {
            out.push(needed.then(|| g.sum_channels()).transpose()?);
        }
        Ok(out)
    }
    fn pieces(&self, output: Option<&Tensor>, _: &[Tensor]) -> Result<Option<u64>> {
        output.filter(|_| self.relu).map(|y| piece_hash(&y.sign()?)).transpose()
    }
}

/// dx of (cotangent, weight).
struct InputGrad(Geometry);

impl Op for InputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!(self.name(), inputs[0], T => conv2d_input_grad::<T>(&self.0, inputs[0], inputs[1]))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let conv = Conv2d { stride: self.0.stride, padding: self.0.padding, relu: false };
        Ok(vec![
            needed[0].then(|| Var::apply(conv, &[g, &saved.input(1)?])).transpose()?,
            needed[1].then(|| Var::apply(WeightGrad(self.0), &[g, &saved.input(0)?])).transpose()?,
        ])
    }
}

/// dw of (input, cotangent).
struct WeightGrad(Geometry);

impl Op for WeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!(self.name(), inputs[0], T => conv2d_weight_grad::<T>(&self.0, inputs[0], inputs[1]))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let conv = Conv2d { stride: self.0.stride, padding: self.0.padding, relu: false };
        Ok(vec![
            needed[0].then(|| Var::apply(InputGrad(self.0), &[&saved.input(1)?, g])).transpose()?,
            needed[1].then(|| Var::apply(conv, &[&saved.input(0)?, g])).transpose()?,
        ])
    }
}

impl Var {
    /// Cross-correlation, as PyTorch's conv2d: `(N, C, H, W)`, weight `(O, C, KH, KW)`, bias `(O,)`.
    pub fn conv2d(&self, weight: &Var, bias: Option<&Var>, stride: usize, padding: usize) -> Result<Var> {
        self.convolve(weight, bias, Conv2d { stride, padding, relu: false })
    }
    /// max(0, conv2d), in one pass over the result.
    pub fn conv2d_relu(&self, weight: &Var, bias: Option<&Var>, stride: usize, padding: usize) -> Result<Var> {
        self.convolve(weight, bias, Conv2d { stride, padding, relu: true })
    }
    fn convolve(&self, weight: &Var, bias: Option<&Var>, conv: Conv2d) -> Result<Var> {
        match bias {
            None => Var::apply(conv, &[self, weight]),
            Some(b) => Var::apply(conv, &[self, weight, b]),
        }
    }
}
