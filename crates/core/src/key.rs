//! What a random stream is for: seed and purpose make a key, example and step make a counter.

use crate::philox;

/// Every purpose that draws random numbers. Two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial weights, one stream per parameter name.
    Init = 1,
    /// Order of the training examples.
    Shuffle = 2,
    /// Crops and flips.
    Augment = 3,
    /// Dropout masks.
    Dropout = 4,
    /// Random starts of attacks.
    AttackStart = 5,
    /// Directions and other draws of a recipe.
    Recipe = 6,
    /// Random subset of a split.
    Sample = 7,
    /// The embedded data set.
    Glyphs = 8,
    /// Attacks inside a recipe.
    RecipeAttack = 9,
    /// Noise attacks.
    Noise = 10,
    /// Monitoring during training.
    Monitor = 11,
}

/// A 64-bit Philox key: hash(seed, purpose, labels...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of `purpose` under `seed`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Key(mix(mix(0x6761_756e_746c_6574, seed), purpose as u64))
    }
    /// A key of its own below this one, by number.
    pub fn child(self, n: u64) -> Self {
        Key(mix(self.0, n))
    }
    /// A key of its own below this one, by name (FNV-1a of the bytes).
    pub fn named(self, name: &str) -> Self {
        let h = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Key(mix(self.0, h))
    }
    /// The stream of one example at one epoch (or restart) and step.
    pub fn stream(self, example: u64, epoch: u32, step: u32) -> philox::Stream {
        philox::Stream::new(self.0, example, epoch, step)
    }
    /// The raw key.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// SplitMix64's finaliser over a combination of both words.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(25) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_purposes_and_children_differ() {
        let keys = [
            Key::new(0, Purpose::Init),
            Key::new(1, Purpose::Init),
            Key::new(0, Purpose::Shuffle),
            Key::new(0, Purpose::Init).child(0),
            Key::new(0, Purpose::Init).child(1),
            Key::new(0, Purpose::Init).named("0.weight"),
            Key::new(0, Purpose::Init).named("0.bias"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
