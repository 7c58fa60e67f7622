//! Matrix products over the last two axes.

use gauntlet_autograd::Var;
use gauntlet_core::{Error, Result};

/// a · b; each comes with whether it has a batch in front. What goes together is what [`crate::Layer::MatMul`] says.
pub(crate) fn matmul((a, first): (&Var, bool), (b, second): (&Var, bool)) -> Result<Var> {
    if first == second {
        return each(a, b);
    }
    if first {
        // (.., K) · (K, P): all rows at once.
        let (k, p) = (b.dim(0)?, b.dim(1)?);
        let lead = a.dims()[..a.dims().len() - 1].to_vec();
        let rows: usize = lead.iter().product();
        return Ok(a.reshape(&[rows, k])?.matmul(b)?.reshape(&[&lead[..], &[p]].concat())?);
    }
    // A · B = (Bᵀ · Aᵀ)ᵀ
    let rank = b.dims().len();
    let product = matmul((&b.transpose(rank - 2, rank - 1)?, true), (&a.transpose(0, 1)?, false))?;
    Ok(product.transpose(rank - 2, rank - 1)?)
}

/// The product of every pair of matrices.
fn each(a: &Var, b: &Var) -> Result<Var> {
    let (&[.., m, k], &[.., _, p]) = (a.dims(), b.dims()) else {
        return Err(Error::Message(format!("no matrices: {:?}, {:?}", a.dims(), b.dims())));
    };
    let lead = a.dims()[..a.dims().len() - 2].to_vec();
    if lead.is_empty() {
        return Ok(a.matmul(b)?);
    }
    let count: usize = lead.iter().product();
    let (a, b) = (a.reshape(&[count * m, k])?, b.reshape(&[count * k, p])?);
    let products = (0..count).map(|i| Ok(a.narrow(0, i * m, m)?.matmul(&b.narrow(0, i * k, k)?)?));
    let products = products.collect::<Result<Vec<Var>>>()?;
    let all = Var::cat(&products.iter().collect::<Vec<_>>(), 0)?;
    Ok(all.reshape(&[&lead[..], &[m, p]].concat())?)
}
