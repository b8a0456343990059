//! One table's data in an archive: chunks of COPY text, read from the vault line by line.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
};

use holdfast_vault::{Cancel, Error, FileReader};
use memchr::{memchr, memchr_iter};

use super::{
    runs::line_start,
    window::{Place, Stop},
};
use crate::failure::Failure;

/// The line behind the last row.
const END: &[u8] = b"\\.";
/// No row is longer in memory: PostgreSQL's own limit is 1 GB.
const LONGEST: usize = 64 << 20;
/// Blobs at the end of a run in which a line's beginning is looked for.
const TRIED: usize = 3;
/// A run's last line must end this far before it, so that nothing of the data's end mark is passed over.
const MARGIN: usize = 64;

/// A piece of the file: where it begins, and its bytes.
pub(crate) type Piece = (u64, u64);

/// Takes each line with its place.
pub(crate) type Each<'a> = dyn FnMut(&[u8], Place) -> Result<(), Stop> + 'a;

/// Where a table's data are.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// The bytes of the block, piece by piece.
    pub(crate) pieces: Vec<Piece>,
    /// Runs of pieces that the other table has too, in order.
    pub(crate) runs: Vec<Range<usize>>,
    /// Bytes of a number in this archive.
    pub(crate) int: usize,
}

/// At the beginning of a chunk.
const NEXT: State = State::Header([0; 9], 0);

enum State {
    /// Bytes of the block's own header that are left.
    Block(usize),
    /// A chunk's header, as far as it was read, and how far that is.
    Header([u8; 9], usize),
    /// Bytes of the chunk that are left.
    Chunk(u64),
    /// Behind the last chunk.
    Ended,
}

/// Reads lines.
struct Lines<'a, 'b> {
    int: usize,
    state: State,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    begun: Place,
    /// The mark behind the last row has been seen.
    ended: bool,
    each: &'a mut Each<'b>,
}

fn unreadable(why: &str) -> Stop {
    Stop::Unreadable(why.to_owned())
}

/// A failure of the vault or of the blob.
pub(crate) fn of_vault(error: &std::io::Error) -> Stop {
    match Error::from_io(error) {
        Some(error) => Failure::from(error.clone()).into(),
        None => Stop::Unreadable(error.to_string()),
    }
}

/// Reads one piece of the file.
pub(crate) fn load(reader: &mut FileReader, (start, length): Piece, into: &mut Vec<u8>) -> Result<(), Stop> {
    let from = into.len();
    let length = usize::try_from(length).map_err(|_| unreadable("a piece of it is larger than memory"))?;
    into.resize(from + length, 0);
    reader.seek(SeekFrom::Start(start)).map_err(|error| of_vault(&error))?;
    reader.read_exact(&mut into[from..]).map_err(|error| of_vault(&error))
}

/// Gives each row's line and its place to `each`; of the runs, only as much as tells where their rows begin and end.
/// What is passed over depends on nothing but the run's own bytes, so it is the same for both tables.
pub(crate) fn lines(reader: &mut FileReader, data: &Data, cancel: &Cancel, each: &mut Each<'_>) -> Result<(), Stop> {
    let mut lines = Lines {
        int: data.int,
        // A type, and the entry's id.
        state: State::Block(1 + 1 + data.int),
        partial: Vec::new(),
        begun: Place::default(),
        ended: false,
        each,
    };
    let mut runs = data.runs.iter().peekable();
    let (mut bytes, mut head) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < data.pieces.len() {
        cancel.check().map_err(|_| Stop::Failed(Failure::Cancelled))?;
        bytes.clear();
        load(reader, data.pieces[at], &mut bytes)?;
        lines.feed(data.pieces[at].0, &bytes)?;
        at += 1;
        if runs.next_if(|run| run.end <= at).is_some() {
            head.clear();
        }
        let Some(run) = runs.peek().filter(|run| run.start < at).copied() else { continue };
        head.extend_from_slice(&bytes);
        if line_start(&head, data.int).is_none() {
            continue;
        }
        // Both tables begin a line here. Where the run's end begins one too, all between is equal.
        head.clear();
        runs.next();
        for from in (at + 1..run.end).rev().take(TRIED) {
            bytes.clear();
            for piece in &data.pieces[from..run.end] {
                load(reader, *piece, &mut bytes)?;
            }
            if let Some((start, left)) = line_start(&bytes, data.int)
                && start + MARGIN <= bytes.len()
            {
                lines.partial.clear();
                lines.state = State::Chunk(left);
                lines.feed(data.pieces[from].0 + start as u64, &bytes[start..])?;
                at = run.end;
                break;
            }
        }
    }
    match (&lines.state, lines.ended) {
        (State::Ended, true) => Ok(()),
        (State::Ended, false) => Err(unreadable("its data have no end mark: the dump is not of COPY text")),
        _ => Err(unreadable("its data end before they are whole")),
    }
}

impl Lines<'_, '_> {
    /// Takes bytes that stand at `base`.
    fn feed(&mut self, base: u64, bytes: &[u8]) -> Result<(), Stop> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.state {
                State::Ended => return Ok(()),
                State::Block(left) => {
                    let take = (*left).min(bytes.len() - at);
                    at += take;
                    *left -= take;
                    if *left == 0 {
                        self.state = NEXT;
                    }
                }
                State::Header(read, have) => {
                    let take = (1 + self.int - *have).min(bytes.len() - at);
                    read[*have..*have + take].copy_from_slice(&bytes[at..at + take]);
                    at += take;
                    *have += take;
                    if *have == 1 + self.int {
                        let length = read[1..].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                        self.state = match (read[0], length) {
                            (0, 0) => State::Ended,
                            (0, length) => State::Chunk(length),
                            _ => return Err(unreadable("a chunk of negative length in its data")),
                        };
                    }
                }
                State::Chunk(left) => {
                    let left = *left;
                    let take = (bytes.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.text(base + at as u64, &bytes[at..at + take], left)?;
                    at += take;
                    let left = left - take as u64;
                    self.state = if left == 0 { NEXT } else { State::Chunk(left) };
                }
            }
        }
        Ok(())
    }

    /// Takes text that stands at `base`, in a chunk of which `left` bytes are left there.
    fn text(&mut self, base: u64, text: &[u8], left: u64) -> Result<(), Stop> {
        let place = |from: usize| Place {
            at: base + from as u64,
            left: u32::try_from(left.saturating_sub(from as u64)).unwrap_or(u32::MAX),
        };
        let mut from = 0;
        for end in memchr_iter(b'\n', text) {
            if self.partial.is_empty() {
                self.line(&text[from..end], place(from))?;
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&text[from..end]);
                self.line(&line, self.begun)?;
                line.clear();
                self.partial = line;
            }
            from = end + 1;
        }
        if from < text.len() {
            if self.partial.is_empty() {
                self.begun = place(from);
            }
            if self.partial.len() + text.len() > LONGEST {
                return Err(unreadable("it has a row of more than 64 MiB, which is not compared"));
            }
            self.partial.extend_from_slice(&text[from..]);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], place: Place) -> Result<(), Stop> {
        if self.ended {
            return Ok(());
        }
        if line == END {
            self.ended = true;
            return Ok(());
        }
        (self.each)(line, place)
    }
}

/// Reads again the line that stands at `place`.
pub(crate) fn line_at(reader: &mut FileReader, place: Place, int: usize) -> Result<Vec<u8>, Stop> {
    let (mut line, mut header) = (Vec::new(), vec![0; 1 + int]);
    let mut left = u64::from(place.left);
    reader.seek(SeekFrom::Start(place.at)).map_err(|error| of_vault(&error))?;
    let mut buffer = [0; 4096];
    loop {
        if left == 0 {
            reader.read_exact(&mut header).map_err(|error| of_vault(&error))?;
            left = header[1..].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            if left == 0 {
                return Err(unreadable("a row that was there is not found again"));
            }
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = reader.read(&mut buffer[..most]).map_err(|error| of_vault(&error))?;
        if count == 0 {
            return Err(unreadable("its data end before they are whole"));
        }
        left -= count as u64;
        match memchr(b'\n', &buffer[..count]) {
            Some(end) => {
                line.extend_from_slice(&buffer[..end]);
                return Ok(line);
            }
            None => line.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The cells of a line, still escaped; a table without columns has none.
pub(crate) fn cells(line: &[u8], columns: usize) -> Result<Vec<&[u8]>, Stop> {
    let cells: Vec<&[u8]> =
        if columns == 0 && line.is_empty() { Vec::new() } else { line.split(|byte| *byte == b'\t').collect() };
    if cells.len() == columns {
        return Ok(cells);
    }
    Err(Stop::Unreadable(format!("a row has {} values where the table has {columns} columns", cells.len())))
}

/// A cell as text; none for null. COPY's escapes are undone.
pub(crate) fn text(cell: &[u8]) -> Option<String> {
    if cell == b"\\N" {
        return None;
    }
    let mut plain = Vec::with_capacity(cell.len());
    let mut at = 0;
    while let Some(&byte) = cell.get(at) {
        at += 1;
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let Some(&escaped) = cell.get(at) else {
            plain.push(byte);
            break;
        };
        at += 1;
        let digits = |from: usize, most: usize, radix: u32| {
            let digits = cell[from..].iter().take(most).take_while(|digit| char::from(**digit).is_digit(radix));
            let digits = std::str::from_utf8(&cell[from..from + digits.count()]).unwrap_or_default();
            (digits.len(), u32::from_str_radix(digits, radix).unwrap_or(0).to_le_bytes()[0])
        };
        match escaped {
            b'b' => plain.push(8),
            b'f' => plain.push(12),
            b'n' => plain.push(b'\n'),
            b'r' => plain.push(b'\r'),
            b't' => plain.push(b'\t'),
            b'v' => plain.push(11),
            b'0'..=b'7' => {
                let (length, value) = digits(at - 1, 3, 8);
                plain.push(value);
                at += length - 1;
            }
            b'x' if digits(at, 2, 16).0 > 0 => {
                let (length, value) = digits(at, 2, 16);
                plain.push(value);
                at += length;
            }
            other => plain.push(other),
        }
    }
    Some(String::from_utf8(plain).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn escapes_are_undone_as_postgresql_reads_them() {
        assert_eq!(text(b"\\N"), None);
        assert_eq!(text(b"\\\\N").as_deref(), Some("\\N"));
        assert_eq!(text(b"a\\tb\\nc\\\\\\r\\b\\f\\v").as_deref(), Some("a\tb\nc\\\r\u{8}\u{c}\u{b}"));
        assert_eq!(text(b"\\x41\\101\\q\\").as_deref(), Some("AAq\\"));
        assert_eq!(text("ünï".as_bytes()).as_deref(), Some("ünï"));
        assert_eq!(text(b"").as_deref(), Some(""));
    }
}
