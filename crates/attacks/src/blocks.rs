//! Block shuffle and rotation: an image cut into blocks that change places and are turned.

use crate::warp::Warp;
use gauntlet_core::philox::Stream;

/// Lengths of `blocks` parts of `n` pixels, in proportion to uniform draws; what rounding leaves goes to the longest.
fn lengths(n: usize, blocks: usize, stream: &mut Stream) -> Vec<usize> {
    let draws: Vec<f64> = (0..blocks).map(|_| stream.uniform()).collect();
    let sum: f64 = draws.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut parts: Vec<usize> = draws.iter().map(|d| (d / sum * n as f64).round() as usize).collect();
    let longest = (0..blocks).fold(0, |best, k| if parts[k] > parts[best] { k } else { best });
    let others: usize = parts.iter().sum::<usize>() - parts[longest];
    // Rounding gives the others at most half a pixel each, so they may be as long as the image.
    parts[longest] = n.saturating_sub(others);
    let mut left = n;
    for part in &mut parts {
        *part = (*part).min(left);
        left -= *part;
    }
    parts
}

/// (begin, length) of the parts in a random order.
fn shuffled(n: usize, blocks: usize, stream: &mut Stream) -> Vec<(usize, usize)> {
    let mut begin = 0;
    let mut parts: Vec<(usize, usize)> = lengths(n, blocks, stream)
        .into_iter()
        .map(|length| {
            begin += length;
            (begin - length, length)
        })
        .collect();
    stream.shuffle(&mut parts);
    parts
}

/// A draw of Wang et al. 2024: strips along one side change places, the blocks of every strip among themselves, and every block is
/// turned about its middle by at most `most` radians.
pub(crate) fn draw((_, h, w): (usize, usize, usize), blocks: usize, most: f64, stream: &mut Stream) -> Warp {
    let rows_first = stream.next_u32() & 1 == 0;
    let (long, across) = if rows_first { (h, w) } else { (w, h) };
    let mut whole = Warp::sample(h * w, (h, w), |_| (-9.0, -9.0));
    let mut strip_at = 0;
    for (strip, width) in shuffled(long, blocks, stream) {
        let mut block_at = 0;
        for (block, length) in shuffled(across, blocks, stream) {
            let angle = most * (2.0 * stream.uniform() - 1.0);
            let (down, right) = if rows_first { (width, length) } else { (length, width) };
            let turned = Warp::rigid((down, right), angle, (0.0, 0.0));
            let corner = |strip: usize, block: usize| if rows_first { (strip, block) } else { (block, strip) };
            let place = |(top, left): (usize, usize), p: usize| (top + p / right.max(1)) * w + left + p % right.max(1);
            let (to, of) = (corner(strip_at, block_at), corner(strip, block));
            whole.join(&turned.embed(h * w, |p| place(to, p), |q| place(of, q)));
            block_at += length;
        }
        strip_at += width;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn lengths_fill_the_side() {
        let mut stream = Key::new(1, Purpose::Sample).stream(0, 0, 0);
        for (n, blocks) in [(28, 3), (5, 5), (2, 6), (32, 1)] {
            for _ in 0..200 {
                let parts = lengths(n, blocks, &mut stream);
                assert_eq!((parts.len(), parts.iter().sum::<usize>()), (blocks, n));
            }
        }
    }

    #[test]
    fn unturned_blocks_are_a_permutation_of_the_pixels() {
        let mut stream = Key::new(3, Purpose::Sample).stream(0, 0, 0);
        let mut moved = 0;
        for _ in 0..50 {
            let mut x: Vec<f64> = (1..=70).map(f64::from).collect();
            let clean = x.clone();
            draw((1, 7, 10), 3, 0.0, &mut stream).forward(&mut x);
            moved += usize::from(x != clean);
            x.sort_by(f64::total_cmp);
            assert_eq!(x, clean);
        }
        assert!(moved > 30, "{moved}");
    }
}
