//! Matrix products.

use super::elementwise;
use crate::lowering::{Lowering, Op, stem};
use crate::value::{Computed, Role, Value, Weight};
use gauntlet_core::Init;
use gauntlet_graph::{Binary, Function, Layer};

/// α · A · B + β · C.
pub(super) fn gemm(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let (alpha, beta) = (a.float("alpha")?.unwrap_or(1.0), a.float("beta")?.unwrap_or(1.0));
    let (left, right) = (a.int("transA")?.unwrap_or(0) != 0, a.int("transB")?.unwrap_or(0) != 0);
    a.int("broadcast")?;
    let x = g.anywhere(op.input(0)?)?;
    if g.rank(&x) != 2 {
        return Err(format!("its input has {} axes, not two", g.rank(&x)));
    }
    if left {
        return Err("transA = 1 mixes the examples of a batch".into());
    }
    g.axis(&x, -1)?;
    // One row of values: what a linear layer takes.
    let row = match x.apart()[..] {
        [n] => Some(n),
        [1, n] if g.lead == 0 => Some(n),
        _ => None,
    };
    if let (true, Some(inputs), Some(Value::Weight(weight))) = (right, row.filter(|_| x.batched), op.optional(1)) {
        let bias = match op.optional(2) {
            Some(Value::Weight(bias)) if Some(&bias.dims[..]) == weight.dims.get(..1) => Some(bias),
            _ => None,
        };
        let whole = bias.is_some() || op.optional(2).is_none();
        if alpha == 1.0
            && (beta == 1.0 || bias.is_none())
            && whole
            && weight.dims.len() == 2
            && weight.dims[1] == inputs
        {
            let name = g.free(stem(&weight.name));
            let specs = g.weights(weight, bias);
            let input = g.node(&Computed { shape: vec![inputs], ..x.clone() })?;
            let made = g.builder.layer_with(Layer::Linear, &[input], name, specs).map_err(|e| e.to_string())?;
            let mut y = g.given(made, false)?;
            if x.shape.len() == 2 {
                y.shape.insert(0, 1);
            }
            return Ok(vec![Value::Computed(y)]);
        }
    }
    let mut b = matrix(g, op.input(1)?)?;
    if right {
        b = g.layer(Layer::Transpose(vec![1, 0]), &b)?;
    }
    let mut y = product(g, &x, &b)?;
    if alpha != 1.0 {
        y = g.layer(Layer::Map(Function::Affine { mul: alpha, add: 0.0 }), &y)?;
    }
    let Some(c) = op.optional(2) else { return Ok(vec![Value::Computed(y)]) };
    let mut c = g.computed(c)?;
    if beta != 1.0 {
        c = g.layer(Layer::Map(Function::Affine { mul: beta, add: 0.0 }), &c)?;
    }
    Ok(vec![Value::Computed(elementwise::both(g, Binary::Add, y, c)?)])
}

/// A matrix of parameters `(in, out)` starts as a linear layer's. Where an exporter turned a layer's weight round, the file does not
/// name it as a parameter, and it is one all the same.
fn matrix(g: &mut Lowering, value: &Value) -> Result<Computed, String> {
    match value {
        Value::Weight(w) if w.dims.len() == 2 => {
            let role = if w.role == Role::Unsaid { Role::Parameter } else { w.role };
            g.parameter(&Weight { role, ..w.clone() }, Init::TorchDefault { fan_in: w.dims[0].max(1) }, true)
        }
        other => g.anywhere(other),
    }
}

pub(super) fn matmul(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (matrix(g, op.input(0)?)?, matrix(g, op.input(1)?)?);
    Ok(vec![Value::Computed(product(g, &a, &b)?)])
}

fn product(g: &mut Lowering, a: &Computed, b: &Computed) -> Result<Computed, String> {
    let (mut a, mut b) = (a.clone(), b.clone());
    // Rows and columns belong to one example; before a matrix without a batch its rows may be those of all.
    let places = |first: bool, alone: bool| if first && alone { &[-1i64][..] } else { &[-1, -2][..] };
    for (x, places) in [(&a, places(true, !b.batched)), (&b, places(false, !a.batched))] {
        for place in places.iter().filter(|p| p.unsigned_abs() as usize <= g.rank(x)) {
            g.axis(x, *place)?;
        }
    }
    if a.batched && b.batched {
        if a.batch != b.batch {
            return Err("the examples of a batch stand at two places: they would be mixed".into());
        }
        if a.shape.len() != b.shape.len() {
            let rank = a.shape.len().max(b.shape.len());
            if g.lead == 1 {
                return Err(format!("of {:?} and {:?} for every example", a.shape, b.shape));
            }
            for x in [&mut a, &mut b] {
                x.shape = [vec![1; rank - x.shape.len()], x.shape.clone()].concat();
            }
        }
    }
    let inputs = [g.node(&a)?, g.node(&b)?];
    let id = g.push(Layer::MatMul, &inputs)?;
    g.kept(id, if a.batched { &a } else { &b }, false)
}
