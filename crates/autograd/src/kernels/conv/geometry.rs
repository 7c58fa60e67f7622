//! The shapes of a convolution.

use crate::Result;

/// The shapes of one convolution: input `(N, C, H, W)`, weight `(O, C, KH, KW)`, output `(N, O, OH, OW)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Geometry {
    pub n: usize,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    pub o: usize,
    pub kh: usize,
    pub kw: usize,
    pub stride: usize,
    pub padding: usize,
    pub oh: usize,
    pub ow: usize,
}

impl Geometry {
    /// Checks shapes and computes the output's.
    pub fn new(op: &'static str, x: &[usize], weight: &[usize], stride: usize, padding: usize) -> Result<Self> {
        let (&[n, c, h, w], &[o, wc, kh, kw]) = (x, weight) else {
            return Err(crate::error::shape(
                op,
                format!("expected (N, C, H, W) and (O, C, KH, KW), got {x:?} and {weight:?}"),
            ));
        };
        if c != wc {
            return Err(crate::error::shape(
                op,
                format!("input has {c} channels, weight expects {wc} ({x:?}, {weight:?})"),
            ));
        }
        if stride == 0 || kh == 0 || kw == 0 || h + 2 * padding < kh || w + 2 * padding < kw {
            return Err(crate::error::shape(
                op,
                format!("a {kh}×{kw} kernel (stride {stride}, padding {padding}) does not fit an image of {h}×{w}"),
            ));
        }
        let (oh, ow) = ((h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1);
        Ok(Geometry { n, c, h, w, o, kh, kw, stride, padding, oh, ow })
    }
    /// Whether a CPU may compute a convolution in f32 by Winograd's algorithms, whose rounding is another than that of sums of products:
    /// kernels of 3×3 or 5×5 of stride 1 between at least 16 channels. Whoever accounts for rounding goes by this.
    pub fn winograd((kh, kw): (usize, usize), stride: usize, (from, to): (usize, usize)) -> bool {
        stride == 1 && kh == kw && matches!(kh, 3 | 5) && from.min(to) >= 16
    }
    /// Multiplications of the whole.
    pub(crate) fn multiplications(&self) -> usize {
        self.n * self.o * self.area() * self.k()
    }
    /// Multiplications per output element.
    pub(crate) fn k(&self) -> usize {
        self.c * self.kh * self.kw
    }
    /// Output positions of an image.
    pub(crate) fn area(&self) -> usize {
        self.oh * self.ow
    }
    /// Elements of an input image.
    pub(crate) fn image(&self) -> usize {
        self.c * self.h * self.w
    }
    /// Height and width of what the kernel reads of an input channel, padding included.
    pub(crate) fn padded(&self) -> (usize, usize) {
        ((self.oh - 1) * self.stride + self.kh, (self.ow - 1) * self.stride + self.kw)
    }
}
