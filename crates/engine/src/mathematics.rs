//! The mathematical functions of the platform, told apart by what they give.

use gauntlet_records::file::hex;
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::sync::OnceLock;

/// Arguments of every function: where one implementation rounds differently from another, some of them show it.
const ARGUMENTS: u32 = 4096;

/// The first 16 hex digits of the sha256 over the bits of exp, ln, ln(1 + x), tanh, cos and xʸ, in f32 and f64, at fixed
/// arguments.
///
/// They are what trainings and attacks take from the platform: a C library computes them, in its own way for every version
/// and, where that is faster, for CPUs that have fused multiply-add. All else is rounded in one defined way. So two machines
/// of one architecture that agree here give the same bits, whatever their makes.
pub fn mathematics() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut bytes = Vec::new();
        for i in 0..ARGUMENTS {
            // From −16 to 16, below 0 as often as above; the compiler must not know them.
            let x = black_box((f64::from(i) + 0.37) / f64::from(ARGUMENTS) * 32.0 - 16.0);
            let size = x.abs();
            for y in [x.exp(), size.ln(), size.ln_1p(), x.tanh(), x.cos(), 0.999f64.powf(size * 64.0)] {
                bytes.extend(y.to_le_bytes());
            }
            let (x, size) = (x as f32, size as f32);
            for y in [x.exp(), size.ln(), size.ln_1p(), x.tanh()] {
                bytes.extend(y.to_le_bytes());
            }
        }
        hex(&Sha256::digest(&bytes)[..8])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_name_of_sixteen_digits_that_stays() {
        let found = mathematics();
        assert!(found.len() == 16 && found.bytes().all(|b| b.is_ascii_hexdigit()), "{found}");
        assert_eq!(mathematics(), found);
    }
}
