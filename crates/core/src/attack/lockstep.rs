//! The driver for attacks inside recipes.

use super::slots::Walks;
use super::{Attack, Backwards, Clean, Open, Slots, rows};
use crate::{Error, Key, Result, Target, ThreatModel};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::kernels;

/// Runs the first job of every example of a batch in step and returns the last iterates `(N, C, H, W)`.
///
/// For attacks inside recipes: every example takes every step, so that train-mode batch norm sees the whole batch.
/// `x (N, C, H, W)` in `[0, 1]`, `labels (N,)`, `ids` data set rows. Walks are taken on the CPU, wherever x lies.
///
/// # Errors
/// An attack that does not fit the model; a forward or backward that fails.
pub fn lockstep(
    attack: &dyn Attack,
    target: &dyn Target,
    x: &Tensor,
    labels: &[u32],
    ids: &[u64],
    threat: ThreatModel,
    key: Key,
) -> Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    let classes = target.info().classes;
    let open = Open { input: (c, h, w), classes, threat, key, lockstep: true, smallest: false, randomised: false };
    attack.fits(&open)?;
    let here = x.to_device(&Device::Cpu)?;
    let last = match x.dtype() {
        DType::F32 => run::<f32>(attack, target, &here, labels, ids, &open),
        DType::F64 => run::<f64>(attack, target, &here, labels, ids, &open),
        other => Err(Error::value("pixels", format!("must be f32 or f64, got {other:?}"))),
    }?;
    Ok(last.to_device(x.device())?)
}

fn run<T: Walks>(
    attack: &dyn Attack,
    target: &dyn Target,
    x: &Tensor,
    labels: &[u32],
    ids: &[u64],
    open: &Open,
) -> Result<Tensor> {
    let n = labels.len();
    let mut slots = Slots::<T>::new(n, open.input, open.classes);
    let clean = if attack.needs_clean() { rows(&target.logits(x)?)? } else { vec![Vec::new(); n] };
    {
        let x = x.contiguous()?;
        let pixels = kernels::values::<T>(&x)?;
        let each = pixels.len() / n.max(1);
        for (slot, logits) in clean.into_iter().enumerate() {
            let clean = Clean { index: slot, id: ids[slot], label: labels[slot], logits };
            let Some(job) = attack.jobs(&clean, &open.threat).into_iter().next() else {
                return Err(Error::Message(format!("attack {} has no job", attack.name())));
            };
            slots.load(slot, attack, open, &job, &clean, &pixels[slot * each..(slot + 1) * each]);
        }
    }
    let mut ends: Vec<Option<Tensor>> = vec![None; n];
    let mut left = n;
    while left > 0 {
        for outcome in slots.turn(target, attack.backwards() != Backwards::None)?.ended {
            ends[outcome.index] = Some(outcome.x_adv);
            left -= 1;
        }
    }
    let rows: Vec<Tensor> = ends.into_iter().flatten().collect();
    Ok(Tensor::stack(&rows, 0)?)
}
