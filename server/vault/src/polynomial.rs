//! The chunker polynomial of `config`: restic refuses a vault whose polynomial is not irreducible over GF(2).
//!
//! Our own cut points come from FastCDC, whose table takes the polynomial as its seed: cut points then tell nothing to
//! somebody who knows a file's content but not the vault.

use crate::Error;

const DEGREE: u32 = 53;

/// A random irreducible polynomial of degree 53; bit `n` is the coefficient of `x^n`.
pub(crate) fn random() -> Result<u64, Error> {
    loop {
        let mut bytes = [0; 8];
        crate::crypto::fill_random(&mut bytes)?;
        let candidate = u64::from_le_bytes(bytes) & ((1 << DEGREE) - 1) | (1 << DEGREE) | 1;
        if is_irreducible(candidate) {
            return Ok(candidate);
        }
    }
}

/// Ben-Or's test: no factor of degree `i` up to half of its own, because `x^(2^i) - x` shares none with it.
pub(crate) fn is_irreducible(f: u64) -> bool {
    let Some(degree) = f.checked_ilog2() else { return false };
    let mut power = 2;
    for _ in 0..degree / 2 {
        power = multiply(power, power, f);
        if greatest_common_divisor(f, power ^ 2) != 1 {
            return false;
        }
    }
    degree > 0
}

fn multiply(a: u64, b: u64, modulus: u64) -> u64 {
    let degree = modulus.ilog2();
    let (mut a, mut b, mut product) = (remainder(a, modulus), b, 0);
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        b >>= 1;
        a <<= 1;
        if a >> degree & 1 == 1 {
            a ^= modulus;
        }
    }
    product
}

fn remainder(mut a: u64, b: u64) -> u64 {
    let degree = b.ilog2();
    while let Some(top) = a.checked_ilog2().filter(|top| *top >= degree) {
        a ^= b << (top - degree);
    }
    a
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, remainder(a, b));
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_irreducible_ones() {
        // From restic's design document, and x^2+x+1.
        assert!(is_irreducible(0x25_b468_838d_cb75));
        assert!(is_irreducible(0b111));
        assert!(!is_irreducible(0b101)); // (x+1)^2
        assert!(!is_irreducible(0x25_b468_838d_cb74)); // divisible by x
    }
}
