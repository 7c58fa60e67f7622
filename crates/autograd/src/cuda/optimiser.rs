//! Optimisers over all parameters: a launch per group of them.

use super::arg::{Arg, GROUP, Group};
use super::launch::{Grid, device, launch, of, place, place_of, tensor, unwritten};
use super::{Element, dense, int, number};
use crate::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaDevice, DType, Device, Tensor};

/// An optimiser's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Update {
    /// Stochastic gradient descent; no momentum where that is 0.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// μ.
        momentum: f64,
        /// λ.
        decay: f64,
        /// Nesterov's variant.
        nesterov: bool,
        /// The buffer is still to be filled: it becomes the first gradient.
        begins: bool,
    },
    /// Adam, or AdamW where `decoupled`.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
        /// λ.
        decay: f64,
        /// Weight decay shrinks the parameter directly.
        decoupled: bool,
    },
}

/// A parameter with its gradient and its moments (as many as the optimiser keeps).
#[derive(Debug, Clone)]
pub struct Moments {
    /// The parameter.
    pub parameter: Tensor,
    /// Its gradient.
    pub gradient: Tensor,
    /// Momentum, or first and second moment.
    pub moments: Vec<Tensor>,
}

/// What remembers, on the device, the first step whose gradient was not finite. From then on nothing moves.
#[derive(Debug, Clone)]
pub struct Alarm(Tensor);

impl Alarm {
    /// No alarm yet, for this many parameters.
    ///
    /// # Errors
    /// No memory.
    pub fn new(device: &Device, parameters: usize) -> Result<Self> {
        Ok(Alarm(Tensor::zeros(1 + parameters, DType::U32, device)?))
    }
    /// The step and the parameters of the alarm, if there was one. Waits for the device.
    ///
    /// # Errors
    /// A failed copy.
    pub fn read(&self) -> Result<Option<(u32, Vec<usize>)>> {
        let found: Vec<u32> = self.0.to_vec1()?;
        let bad = found.iter().skip(1).enumerate().filter(|(_, b)| **b != 0).map(|(i, _)| i).collect();
        Ok(found.first().filter(|step| **step != 0).map(|step| (*step, bad)))
    }
}

struct Made<T> {
    parameter: CudaSlice<T>,
    moments: Vec<CudaSlice<T>>,
    dims: Vec<usize>,
}

/// One step, number `t` from 1, of parameters with the arithmetic of each lot: new parameters and moments, in order.
///
/// # Errors
/// A failed launch.
pub fn update<T: Element>(parts: &[(Update, &[Moments])], t: u64, alarm: &Alarm) -> Result<Vec<(Tensor, Vec<Tensor>)>> {
    let Some(first) = parts.iter().find_map(|(_, from)| from.first()) else { return Ok(Vec::new()) };
    let device = device(&first.parameter)?;
    let mut groups = Vec::new();
    let mut made = Vec::new();
    for (how, chunk) in parts.iter().flat_map(|(how, from)| from.chunks(GROUP).map(move |chunk| (*how, chunk))) {
        let place = made.len();
        let (group, new, kept) = group::<T>(&device, chunk)?;
        made.extend(new);
        groups.push((group, kept, how, place));
    }
    // All gradients are looked at before anything moves.
    for (group, _, _, place) in &groups {
        let n = group.start[group.count as usize] as usize;
        let args = [Arg::Group(group.clone()), int(*place), Arg::Int(t as u32), of::<u32>(&device, &alarm.0)?];
        launch::<T>(&device, "watch", Grid::Elements(n), &args)?;
    }
    for (group, _, how, _) in &groups {
        let n = group.start[group.count as usize] as usize;
        let mut args = vec![Arg::Group(group.clone())];
        let kernel = match *how {
            Update::Sgd { lr, momentum, decay, nesterov, begins } => {
                args.extend([lr, momentum, decay].map(number::<T>));
                args.extend([int(usize::from(nesterov)), int(usize::from(begins))]);
                "sgd"
            }
            Update::Adam { lr, beta1, beta2, eps, decay, decoupled } => {
                let size = lr / (1.0 - beta1.powf(t as f64));
                let root = 1.0 / (1.0 - beta2.powf(t as f64)).sqrt();
                let shrink = 1.0 - lr * decay;
                let numbers = [beta1, beta2, 1.0 - beta1, 1.0 - beta2, size, root, eps, decay, shrink];
                args.extend(numbers.map(number::<T>));
                args.push(int(usize::from(decoupled)));
                "adam"
            }
        };
        args.push(of::<u32>(&device, &alarm.0)?);
        launch::<T>(&device, kernel, Grid::Elements(n), &args)?;
    }
    let as_tensor = |buffer, dims: &[usize]| tensor(&device, buffer, dims);
    Ok(made
        .into_iter()
        .map(|m: Made<T>| {
            let moments = m.moments.into_iter().map(|b| as_tensor(b, &m.dims)).collect();
            (as_tensor(m.parameter, &m.dims), moments)
        })
        .collect())
}

/// p · a + q · b for every pair, a launch per group of them.
pub(crate) fn blend_each<T: Element>((p, q): (f64, f64), pairs: &[(&Tensor, &Tensor)]) -> Result<Vec<Tensor>> {
    let Some((first, _)) = pairs.first() else { return Ok(Vec::new()) };
    let device = device(first)?;
    let mut blended = Vec::new();
    for chunk in pairs.chunks(GROUP) {
        let pair = |(a, b): &(&Tensor, &Tensor)| Moments {
            parameter: (*a).clone(),
            gradient: (*b).clone(),
            moments: Vec::new(),
        };
        let (group, made, _kept) = group::<T>(&device, &chunk.iter().map(pair).collect::<Vec<_>>())?;
        let n = group.start[group.count as usize] as usize;
        let args = [Arg::Group(group), number::<T>(p), number::<T>(q)];
        launch::<T>(&device, "blend_each", Grid::Elements(n), &args)?;
        blended.extend(made.into_iter().map(|m| tensor(&device, m.parameter, &m.dims)));
    }
    Ok(blended)
}

/// Addresses of a chunk, its results, and what must live until the launch.
type Grouped<T> = (Box<Group>, Vec<Made<T>>, Vec<Tensor>);

fn group<T: Element>(device: &CudaDevice, chunk: &[Moments]) -> Result<Grouped<T>> {
    let mut group = Box::new(Group { count: chunk.len() as u32, ..Group::default() });
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    for (i, m) in chunk.iter().enumerate() {
        let n = m.parameter.elem_count();
        if m.gradient.elem_count() != n || m.moments.iter().any(|t| t.elem_count() != n) {
            return Err(crate::error::shape(
                "optimiser",
                format!("a gradient or moment is not {:?}", m.parameter.dims()),
            ));
        }
        let mut place_in = |t: &Tensor| -> Result<u64> {
            let t = dense(t)?;
            let place = place_of::<T>(device, &t);
            kept.push(t);
            place
        };
        group.parameter[i] = place_in(&m.parameter)?;
        group.gradient[i] = place_in(&m.gradient)?;
        let moments = [&mut group.first[i], &mut group.second[i]];
        for (to, moment) in moments.into_iter().zip(&m.moments) {
            *to = place_in(moment)?;
        }
        let new = Made {
            parameter: unwritten::<T>(device, n)?,
            moments: m.moments.iter().map(|_| unwritten::<T>(device, n)).collect::<Result<_>>()?,
            dims: m.parameter.dims().to_vec(),
        };
        group.new_parameter[i] = place(device, &new.parameter);
        for (to, buffer) in [&mut group.new_first[i], &mut group.new_second[i]].into_iter().zip(&new.moments) {
            *to = place(device, buffer);
        }
        group.start[i + 1] = group.start[i] + n as u32;
        made.push(new);
    }
    Ok((group, made, kept))
}
