//! zstd with contexts that are kept, and the test for content that is not worth it.

use std::{cell::RefCell, io};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, Strategy};

use crate::Error;

/// No blob is larger than this when unpacked; a larger number in a header is damage, not a wish.
pub(crate) const MOST_RAW: u32 = 1 << 30;

/// zstd's own default.
pub(crate) const DEFAULT_LEVEL: i32 = 3;

/// Smaller match tables than zstd's own for this level, for chunks of any size: they stay in a core's nearest cache, where
/// the large ones do not. On 1.18 GB of system files the whole backup takes 0.88 of its time with them (3.31 s after
/// 3.75 s) and stores 2 % more (437 MB after 428 MB; restic 0.19.1 stores 437 MB of the same).
const NEAR_TABLES: [CParameter; 2] = [CParameter::HashLog(14), CParameter::ChainLog(13)];

/// Chunks from this size on are of large files, and are packed by zstd's simplest search in one table: at 1 MiB each it
/// takes 0.85 of the time (0.84 for text of random words, 0.87 for libLLVM) and stores 0.2 % and 1.6 % more.
const LARGE: usize = 512 << 10;
const ONE_TABLE: [CParameter; 3] =
    [CParameter::Strategy(Strategy::ZSTD_fast), CParameter::HashLog(15), CParameter::MinMatch(6)];

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// So much of itself a byte can stand for: no block takes less than four bytes, nor gives more than 128 KiB.
const MOST_GAIN: usize = (128 << 10) / 4;

/// Unpacks `packed` into at most `most` bytes.
pub(crate) fn decompress(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    // A length that cannot be true costs no memory.
    let most = most.min(packed.len().saturating_mul(MOST_GAIN));
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new().ok()?),
        };
        let mut plain = Vec::with_capacity(most);
        decompressor.decompress_to_buffer(packed, &mut plain).ok()?;
        Some(plain)
    })
}

/// What is unpacked at once on the frame's own word of its length.
const AT_ONCE: u64 = 16 << 20;

/// Unpacks a stream whose length nobody has written down beside it, up to `most` bytes.
pub(crate) fn decompress_unknown(packed: &[u8], most: u64) -> Option<Vec<u8>> {
    use io::Read as _;
    // Most frames say how long they are: then the kept context does, and making one is what costs the time.
    let said = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    if let Some(length) =
        said.filter(|length| *length <= most.min(AT_ONCE)).and_then(|length| usize::try_from(length).ok())
        && let Some(plain) = decompress(packed, length)
    {
        return Some(plain);
    }
    let mut plain = Vec::new();
    zstd::stream::read::Decoder::new(packed).ok()?.take(most + 1).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= most).then_some(plain)
}

/// A compressor of one worker.
pub(crate) struct Zip {
    small: Compressor<'static>,
    large: Compressor<'static>,
}

impl Zip {
    pub(crate) fn new(level: i32) -> Result<Zip, Error> {
        let make = |parameters: &[CParameter]| -> io::Result<Compressor<'static>> {
            let mut compressor = Compressor::new(level)?;
            // Another level was asked for: that one, as zstd means it.
            for parameter in parameters.iter().filter(|_| level == DEFAULT_LEVEL) {
                compressor.set_parameter(*parameter)?;
            }
            Ok(compressor)
        };
        let failed = |error| Error::io("zstd", error);
        Ok(Zip { small: make(&NEAR_TABLES).map_err(failed)?, large: make(&ONE_TABLE).map_err(failed)? })
    }

    /// Appends `plain` to `out` in packed form, if that saves anything; else `out` is as it was and the answer `false`.
    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        if looks_random(plain) {
            return Ok(false);
        }
        let start = out.len();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let mut tail = io::Cursor::new(out);
        tail.set_position(start as u64);
        let compressor = if plain.len() < LARGE { &mut self.small } else { &mut self.large };
        let written = compressor.compress_to_buffer(plain, &mut tail).map_err(|error| Error::io("zstd", error))?;
        let out = tail.into_inner();
        // A little gain is not worth unpacking it at each read.
        if written + plain.len() / 64 >= plain.len() {
            out.truncate(start);
            return Ok(false);
        }
        Ok(true)
    }
}

/// Samples of the bytes are spread as evenly as those of compressed or encrypted content.
fn looks_random(plain: &[u8]) -> bool {
    const SAMPLE: usize = 4096;
    const SAMPLES: usize = 4;
    if plain.len() < SAMPLE * SAMPLES {
        return false;
    }
    let step = (plain.len() - SAMPLE) / (SAMPLES - 1);
    (0..SAMPLES).all(|n| {
        let mut counts = [0u32; 256];
        for byte in &plain[n * step..n * step + SAMPLE] {
            counts[usize::from(*byte)] += 1;
        }
        // Chi-squared against even spread: 255 is expected of random bytes, with a deviation of 23.
        let squares: u64 = counts.iter().map(|count| u64::from(*count).pow(2)).sum();
        let chi = squares * 256 / (SAMPLE as u64) - SAMPLE as u64;
        chi < 400
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn random_content_is_left_alone_and_text_is_not() {
        let mut random = vec![0; 100_000];
        getrandom::fill(&mut random).unwrap();
        assert!(looks_random(&random));
        let text: Vec<u8> = (0..20_000).flat_map(|n: u32| n.to_string().into_bytes()).collect();
        assert!(!looks_random(&text));
        let mut zip = Zip::new(3).unwrap();
        let mut out = vec![1, 2];
        assert!(zip.compress(&text, &mut out).unwrap());
        assert_eq!(decompress(&out[2..], text.len()).unwrap(), text);
        assert_eq!(decompress_unknown(&out[2..], text.len() as u64).unwrap(), text);
        assert!(decompress(&out[2..], text.len() - 1).is_none());
        assert!(decompress_unknown(&out[2..], text.len() as u64 - 1).is_none());
    }
}
