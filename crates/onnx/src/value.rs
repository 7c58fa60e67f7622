//! What flows between the nodes while a file is read.

use gauntlet_graph::NodeId;
use std::rc::Rc;

/// An integer of shape arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Known(i64),
    /// That many times the number of examples, which the file does not know.
    Batches(i64),
}

/// Integers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Whole {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<Count>,
}

impl Whole {
    /// The integers, where none hangs on the number of examples.
    pub(crate) fn known(&self) -> Result<Vec<i64>, String> {
        let known = self.values.iter().map(|v| match v {
            Count::Known(v) => Ok(*v),
            Count::Batches(_) => Err("a number of examples stands where a fixed number is needed".to_string()),
        });
        known.collect()
    }
}

/// Floats that are no parameters: constants of the file, and what is computed of them alone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) name: String,
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Numbers {
    /// The only entry.
    pub(crate) fn one(&self) -> Option<f64> {
        match self.values[..] {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// What the file says of an initialiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Parameter,
    Buffer,
    Unsaid,
}

/// An initialiser of floats: a parameter or buffer as soon as it is used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Rc<Vec<f32>>,
    pub(crate) role: Role,
}

/// Where the batch stands among the axes of a value in the file, and what the file has in one axis with it: axis `axis` there is
/// `before` × batch × `after`. Attention moves it: `(N, L, D)` is `(L, N, D)` or `(N · heads, L, D / heads)` at times. In the graph
/// it is always in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) axis: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Batch {
    /// An axis of its own, the first one.
    pub(crate) const FRONT: Batch = Batch { axis: 0, before: 1, after: 1 };

    /// Axes of one example that share the batch's.
    pub(crate) fn with(&self) -> Vec<usize> {
        [self.before, self.after].into_iter().filter(|n| *n != 1).collect()
    }
}

/// The value of a node of the graph, perhaps in another shape: that costs nothing until somebody needs the shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Computed {
    pub(crate) id: NodeId,
    /// The file's axes but the batch's; all of them where there is no batch.
    pub(crate) shape: Vec<usize>,
    pub(crate) batched: bool,
    pub(crate) batch: Batch,
    /// Whether it is the image, moved or normalised but nothing else.
    pub(crate) image: bool,
}

impl Computed {
    /// The axes of one example in the graph.
    pub(crate) fn apart(&self) -> Vec<usize> {
        let (front, behind) = self.shape.split_at(if self.batched { self.batch.axis.min(self.shape.len()) } else { 0 });
        let with = if self.batched { self.batch.with() } else { Vec::new() };
        [front, &with, behind].concat()
    }

    /// Which of [`Computed::apart`] axis i of the shape is.
    pub(crate) fn inner(&self, axis: usize) -> usize {
        if self.batched && axis >= self.batch.axis { axis + self.batch.with().len() } else { axis }
    }

    /// Without axis i of the shape, which has one entry.
    pub(crate) fn without(mut self, axis: usize) -> Self {
        self.shape.remove(axis);
        if self.batched && axis < self.batch.axis {
            self.batch.axis -= 1;
        }
        self
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Computed(Computed),
    /// A value without a batch, repeated for every example: the batch is an axis of the file that the shape leaves out.
    Repeated(Computed),
    /// 1 where a comparison holds, 0 elsewhere.
    Mask(Computed),
    Weight(Weight),
    Numbers(Numbers),
    Whole(Whole),
}

/// The places of the entries that are taken of an axis, in the order of the result.
pub(crate) fn taken(dims: &[usize], axis: usize, of: &[usize]) -> Vec<usize> {
    let inner: usize = dims[axis + 1..].iter().product();
    let outer: usize = dims[..axis].iter().product();
    let rows = (0..outer).flat_map(|o| of.iter().map(move |i| o * dims[axis] + i));
    rows.flat_map(|row| row * inner..(row + 1) * inner).collect()
}

/// The places of all entries when axis i of the result is axis `order[i]`.
pub(crate) fn permuted(dims: &[usize], order: &[usize]) -> Vec<usize> {
    let step = |axis: usize| dims[axis + 1..].iter().product::<usize>();
    let mut places = vec![0];
    for axis in order {
        places = places.iter().flat_map(|p| (0..dims[*axis]).map(move |i| p + i * step(*axis))).collect();
    }
    places
}

/// A shape, and for every entry its places in two values.
pub(crate) type Pairs = (Vec<usize>, Vec<(usize, usize)>);

/// Both shapes repeated to one by numpy's rules, and the places of every entry in both.
pub(crate) fn pairs(a: &[usize], b: &[usize]) -> Result<Pairs, String> {
    let rank = a.len().max(b.len());
    let entry = |x: &[usize], i: usize| (i + x.len()).checked_sub(rank).map_or(1, |i| x[i]);
    let mut dims = Vec::new();
    for i in 0..rank {
        let (p, q) = (entry(a, i), entry(b, i));
        if p != q && p != 1 && q != 1 {
            return Err(format!("{a:?} and {b:?} do not go together"));
        }
        dims.push(if p == 1 { q } else { p });
    }
    let count: usize = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
    if count > 1 << 24 {
        return Err(format!("{dims:?} is too large for a constant"));
    }
    let place = |x: &[usize], mut at: usize| {
        let (mut place, mut step) = (0, 1);
        for i in (0..rank).rev() {
            let (here, size) = (at % dims[i], entry(x, i));
            at /= dims[i];
            if size > 1 {
                place += here * step;
            }
            step *= size;
        }
        place
    };
    Ok((dims.clone(), (0..count).map(|at| (place(a, at), place(b, at))).collect()))
}
