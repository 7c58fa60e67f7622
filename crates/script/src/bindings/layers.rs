//! Products, convolutions, pooling, and what is done to logits.

use super::binder::Binder;
use super::step::Labels;
use super::values::whole;
use crate::loan::{growing, operation};
use gauntlet_autograd::Var;

pub(super) fn bind(b: &mut Binder<'_>) {
    b.bind("log_softmax(z)", "log-probabilities of logits `(N, K)`", |z: Var| operation(|| z.log_softmax()));
    b.bind("softmax(z)", "probabilities of logits `(N, K)`", |z: Var| operation(|| z.softmax()));
    b.bind("cross_entropy(z, labels)", "−log softmax(z)_y per example, `(N, K)` to `(N,)`", |z: Var, y: Labels| {
        operation(|| z.cross_entropy(&y.0))
    });
    b.bind("gather_labels(z, labels)", "entry y of every row, `(N, K)` to `(N,)`", |z: Var, y: Labels| {
        operation(|| z.gather_labels(&y.0))
    });
    b.bind("matmul(x, y)", "`(M, K) · (K, N)`", |x: Var, y: Var| growing(product(&x, &y, 1), || x.matmul(&y)));
    b.bind("linear(x, weight)", "x · weightᵀ, `(N, in)` and `(out, in)`", |x: Var, weight: Var| {
        growing(product(&x, &weight, 0), || x.linear(&weight, None))
    });
    b.bind("linear(x, weight, bias)", "x · weightᵀ + bias", |x: Var, weight: Var, bias: Var| {
        growing(product(&x, &weight, 0), || x.linear(&weight, Some(&bias)))
    });
    b.bind("linear_relu(x, weight, bias)", "max(0, x · weightᵀ + bias)", |x: Var, weight: Var, bias: Var| {
        growing(product(&x, &weight, 0), || x.linear_relu(&weight, &bias))
    });
    b.bind(
        "conv2d(x, weight, stride, padding)",
        "convolution of `(N, C, H, W)` with `(O, C, k, k)`",
        |x: Var, weight: Var, stride: i64, padding: i64| {
            let (stride, padding) = (whole("stride", stride)?, whole("padding", padding)?);
            growing(convolved(&x, &weight, padding), || x.conv2d(&weight, None, stride, padding))
        },
    );
    b.bind(
        "conv2d_relu(x, weight, stride, padding)",
        "max(0, convolution)",
        |x: Var, weight: Var, stride: i64, padding: i64| {
            let (stride, padding) = (whole("stride", stride)?, whole("padding", padding)?);
            growing(convolved(&x, &weight, padding), || x.conv2d_relu(&weight, None, stride, padding))
        },
    );
    b.bind("max_pool2d(x, k, stride)", "largest of every k × k window", |x: Var, k: i64, stride: i64| {
        let (k, stride) = (whole("k", k)?, whole("stride", stride)?);
        operation(|| x.max_pool2d(k, stride))
    });
    b.bind("avg_pool2d(x, k, stride)", "mean of every k × k window", |x: Var, k: i64, stride: i64| {
        let (k, stride) = (whole("k", k)?, whole("stride", stride)?);
        operation(|| x.avg_pool2d(k, stride))
    });
    b.bind(
        "channel_affine(x, scale, shift)",
        "scale · x + shift channel by channel, `(C,)` each",
        |x: Var, scale: Var, shift: Var| operation(|| x.channel_affine(&scale, &shift)),
    );
}

/// The shape of a product of matrices: the rows of x, and the columns that y has along `columns`.
fn product(x: &Var, y: &Var, columns: usize) -> Option<Vec<usize>> {
    Some(vec![*x.dims().first()?, *y.dims().get(columns)?])
}

/// A shape that holds both the padded images and what becomes of them at a stride of one.
fn convolved(x: &Var, weight: &Var, padding: usize) -> Option<Vec<usize>> {
    let ([n, c, h, w], [o, ..]) = (x.dims(), weight.dims()) else { return None };
    let padded = |side: &usize| side.saturating_add(padding.saturating_mul(2));
    Some(vec![*n, *c.max(o), padded(h), padded(w)])
}
