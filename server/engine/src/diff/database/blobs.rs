//! The large objects of an archive, each as one row: its number, and a hash of its bytes.

use std::io::{BufReader, Read, Seek as _, SeekFrom};

use holdfast_vault::{Cancel, FileReader};
use sha2::{Digest as _, Sha256};

use super::{
    copy_text::of_vault,
    rows::{Feed, half},
    window::{Place, Row, Stop},
};
use crate::failure::Failure;

const BUFFER: usize = 256 * 1024;

/// Gives every large object of these blocks to `feed`.
pub(super) fn read(
    reader: &mut FileReader,
    blocks: &[(u64, u64)],
    int: usize,
    cancel: &Cancel,
    feed: &mut Feed<'_>,
) -> Result<(), Stop> {
    for &(offset, length) in blocks {
        reader.seek(SeekFrom::Start(offset)).map_err(|error| of_vault(&error))?;
        let mut input = BufReader::with_capacity(BUFFER, (&mut *reader).take(length));
        take(&mut input, 1)?;
        number(&mut input, int)?;
        loop {
            let id = number(&mut input, int)?;
            if id == 0 {
                break;
            }
            let mut hash = Sha256::new();
            let mut buffer = vec![0; BUFFER];
            loop {
                let mut left = number(&mut input, int)?;
                if left == 0 {
                    break;
                }
                while left > 0 {
                    cancel.check().map_err(|_| Stop::Failed(Failure::Cancelled))?;
                    let most = BUFFER.min(usize::try_from(left).unwrap_or(BUFFER));
                    input.read_exact(&mut buffer[..most]).map_err(|error| of_vault(&error))?;
                    hash.update(&buffer[..most]);
                    left -= most as u64;
                }
            }
            let key = half(Sha256::digest(id.to_le_bytes()).as_slice());
            let place = Place { at: id, left: 0 };
            feed(Row { key, content: half(hash.finalize().as_slice()), place })?;
        }
    }
    Ok(())
}

fn take(input: &mut impl Read, count: usize) -> Result<Vec<u8>, Stop> {
    let mut bytes = vec![0; count];
    input.read_exact(&mut bytes).map_err(|error| of_vault(&error))?;
    Ok(bytes)
}

/// A sign byte, then bytes from low to high; nothing here is negative.
fn number(input: &mut impl Read, int: usize) -> Result<u64, Stop> {
    let bytes = take(input, 1 + int)?;
    if bytes[0] != 0 {
        return Err(Stop::Unreadable("a negative number among the large objects".to_owned()));
    }
    Ok(bytes[1..].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
