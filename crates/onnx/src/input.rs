//! What a network is shown: the file's input as images (C, H, W).

use crate::proto::ValueInfoProto;

/// Where the channels of an image stand in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Behind height and width where the last axis is 1 or 3 and the second is neither; else in front.
    #[default]
    Auto,
    /// (N, C, H, W), as PyTorch has it.
    ChannelsFirst,
    /// (N, H, W, C), as TensorFlow has it.
    ChannelsLast,
}

/// How images become the file's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Images as gauntlet has them.
    pub(crate) image: (usize, usize, usize),
    /// One example in the file, without a batch.
    pub(crate) shape: Vec<usize>,
    /// Whether channels come last there.
    pub(crate) last: bool,
    /// Axes that are the batch: 1 or 0.
    pub(crate) lead: usize,
    /// Whether the file says that there is one example.
    pub(crate) single: bool,
}

/// The sizes of a value as the file says them; `None`: one that it leaves open.
pub(crate) fn sizes(value: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = value.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let size = |v: i64| usize::try_from(v).ok().filter(|v| *v > 0);
    Some(shape.dim.iter().map(|d| d.dim_value.and_then(size)).collect())
}

/// Sides of an image beyond which none is read.
const LARGEST: usize = 1 << 14;

impl Input {
    /// `image`: the shape of the images where it is known from outside.
    pub(crate) fn of(
        value: &ValueInfoProto,
        layout: Layout,
        image: Option<(usize, usize, usize)>,
    ) -> Result<Self, String> {
        let name = &value.name;
        let sizes =
            sizes(value).ok_or_else(|| format!("the input {name:?} has no shape: export the network with one"))?;
        let open = |from: usize| {
            let known: Option<Vec<usize>> = sizes[from..].iter().copied().collect();
            known.ok_or_else(|| format!("the input {name:?} is {}: only the batch may be left open", written(&sizes)))
        };
        let (lead, single) = match sizes[..] {
            [] => return Err(format!("the input {name:?} is one number")),
            [Some(_)] => (0, false),
            [None, ..] => (1, false),
            [Some(1), ..] => (1, true),
            // Channels or rows of one image: a batch of 3 would have four axes.
            [Some(_), _, _] => (0, false),
            [Some(n), ..] => {
                return Err(format!(
                    "the input {name:?} is {}: a batch of {n} is baked in; export the network with a dynamic batch \
                     (dynamic_axes or dynamic_shapes)",
                    written(&sizes)
                ));
            }
        };
        let shape = open(lead)?;
        let count =
            shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b)).filter(|_| shape.iter().all(|n| *n < LARGEST));
        let count = count.ok_or_else(|| format!("the input {name:?} is {}: too large", written(&sizes)))?;
        let last = match (layout, &shape[..]) {
            (Layout::ChannelsLast, [_, _, _]) => true,
            // A row of pixels: the image says how many channels it has.
            (Layout::ChannelsLast, _) => image.is_some_and(|(c, _, _)| c > 1),
            (Layout::Auto, [first, _, last]) => [1, 3].contains(last) && ![1, 3].contains(first),
            _ => false,
        };
        let found = match shape[..] {
            [h, w, c] if last => (c, h, w),
            // A column of pixels is no image.
            [c, h, w] if !(w == 1 && h == 1) || count == 1 => (c, h, w),
            [h, w] if h > 1 && w > 1 => (1, h, w),
            _ => match image {
                Some(image) => image,
                None if count == 784 => (1, 28, 28),
                None if count == 3072 => (3, 32, 32),
                None => (1, 1, count),
            },
        };
        if let Some(image) = image.filter(|i| i.0 * i.1 * i.2 != count || (shape.len() == 3 && *i != found)) {
            let (c, h, w) = image;
            return Err(format!("the images are {c}×{h}×{w}, and the input {name:?} is {}", written(&sizes)));
        }
        Ok(Input { image: found, shape, last, lead, single })
    }
}

/// `N×3×32×32`, a size that is open being N.
pub(crate) fn written(sizes: &[Option<usize>]) -> String {
    sizes.iter().map(|n| n.map_or("N".into(), |n| n.to_string())).collect::<Vec<_>>().join("×")
}
