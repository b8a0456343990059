//! The kept corpora, and mutations of them, tried on a reader by an ordinary test: the same ones each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::{fs, panic};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Mutations for each reader, beside the files themselves.
const MUTATIONS: usize = 1500;

/// Tries on `reader` what lies in its corpus and what once brought it down, and what comes of these by small accidents.
/// The panic of a reader is told with the bytes that it came from. `fuzz` is the folder of the fuzz targets, seen from
/// `crate_root`.
pub fn survives(crate_root: &str, fuzz: &str, name: &str, reader: fn(&[u8])) {
    let fuzz = Path::new(crate_root).join(fuzz);
    let corpus = fs::read_to_string(fuzz.join("corpus").join(name)).unwrap();
    let mut inputs: Vec<Vec<u8>> = corpus.lines().map(|line| BASE64_STANDARD.decode(line).unwrap()).collect();
    assert!(inputs.len() > 5, "{} holds next to nothing for {name}", fuzz.display());
    let found = fs::read_dir(fuzz.join("found").join(name)).into_iter().flatten();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    inputs.extend(found.iter().map(|path| fs::read(path).unwrap()));
    let attempt = |bytes: &[u8], what: &dyn Fn() -> String| {
        if panic::catch_unwind(|| reader(bytes)).is_err() {
            panic!("{name}: {} brings it down:\n{}", what(), bytes.escape_ascii());
        }
    };
    for (number, bytes) in inputs.iter().enumerate() {
        attempt(bytes, &|| format!("input {number}"));
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..MUTATIONS {
        let (bytes, other) = (dice.pick(&inputs), dice.pick(&inputs));
        let mutated = mutate(&mut dice, bytes.clone(), other);
        attempt(&mutated, &|| format!("mutation {round}"));
    }
}

/// Marsaglia's xorshift: no more is needed, and it is the same for ever.
struct Dice(u64);

impl Dice {
    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn mutate(dice: &mut Dice, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    const NUMBERS: [&[u8]; 8] =
        [b"0", b"-1", b"2147483648", b"4294967295", b"18446744073709551615", b"1e300", b"null", b"\"\""];
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let len = dice.below((bytes.len() - at).min(64) + 1);
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = *dice.pick(b"\0\x01\x7f\x80\xff\"\\{}[],:-.0Z"),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => bytes.splice(at..at, bytes[at..at + len].to_vec()).for_each(drop),
            5 => {
                let from = dice.below(other.len() + 1);
                let until = from + dice.below((other.len() - from).min(64) + 1);
                bytes.splice(at..at + len, other[from..until].iter().copied()).for_each(drop);
            }
            6 => {
                for byte in bytes.iter_mut().skip(at).take(*dice.pick(&[2, 4, 8])) {
                    *byte = *dice.pick(b"\0\xff\x7f\x80");
                }
            }
            // Another number where one stands.
            _ => {
                if let Some(from) = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|from| from + at) {
                    let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    bytes.splice(from..from + digits, dice.pick(&NUMBERS).iter().copied()).for_each(drop);
                }
            }
        }
    }
    bytes
}
