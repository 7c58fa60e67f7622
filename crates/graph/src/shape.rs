//! The shape that a layer hands on.

use crate::Layer;
use gauntlet_autograd::kernels::conv::Geometry;
use gauntlet_autograd::kernels::window::pooled;

/// `(1, C, H, W)`: the kernels' shapes have a batch in front.
fn image(shape: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(shape.iter().copied()).collect()
}

/// e.g. `16×14×14`.
pub(crate) fn written(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// The shape of a layer's value for one example, from those of its inputs and its weight.
///
/// # Errors
/// What does not fit, in words. Convolutions and pools say what their kernels would say.
pub(crate) fn output(layer: &Layer, inputs: &[&[usize]], weight: Option<&[usize]>) -> Result<Vec<usize>, String> {
    let (&[x] | &[x, _]) = inputs else { return Err(format!("{} inputs where there can be one or two", inputs.len())) };
    let channels = || match x {
        &[c, h, w] => Ok((c, h, w)),
        _ => Err(format!("expects channels, height and width, its input is {}", written(x))),
    };
    let vector = || match x {
        &[n] => Ok(n),
        _ => Err(format!("expects a vector, its input is {}: flatten it before", written(x))),
    };
    Ok(match layer {
        Layer::Input | Layer::Act(_) | Layer::Dropout { .. } => x.to_vec(),
        Layer::Affine { scale, shift } => {
            let (c, _, _) = channels()?;
            if scale.len() != c || shift.len() != c {
                return Err(format!("{} factors and {} shifts for {c} channels", scale.len(), shift.len()));
            }
            x.to_vec()
        }
        Layer::Conv2d { stride, padding } => {
            channels()?;
            let weight = weight.unwrap_or_default();
            let g = Geometry::new("conv2d", &image(x), weight, *stride, *padding).map_err(|e| e.to_string())?;
            vec![g.o, g.oh, g.ow]
        }
        Layer::Linear => {
            vector()?;
            weight.unwrap_or_default()[..1].to_vec()
        }
        Layer::BatchNorm { .. } => {
            if x.len() != 1 {
                channels()?;
            }
            x.to_vec()
        }
        Layer::MaxPool { size, stride } => {
            let (c, _, _) = channels()?;
            let (h, w) = pooled("max pool", &image(x), *size, *stride).map_err(|e| e.to_string())?;
            vec![c, h, w]
        }
        Layer::GlobalAvgPool => vec![channels()?.0],
        Layer::Add => {
            let &[a, b] = inputs else { return Err("needs two inputs".into()) };
            if a != b {
                return Err(format!("its inputs are {} and {}, sums need one shape", written(a), written(b)));
            }
            a.to_vec()
        }
        Layer::Flatten => vec![x.iter().product()],
        Layer::Maxout { pieces } => {
            let n = vector()?;
            if *pieces == 0 || !n.is_multiple_of(*pieces) {
                return Err(format!("{n} values are not units of {pieces} pieces"));
            }
            vec![n / pieces]
        }
    })
}
