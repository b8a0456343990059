//! The rows of two tables, compared from their sealed data: read by two threads, paired by a third.

use std::{path::Path, sync::mpsc};

use holdfast_vault::{Cancel, FileReader};
use memchr::memchr_iter;
use sha2::{Digest as _, Sha256};

use super::{
    copy_text::{Data, cells, lines},
    window::{Digest, Place, Row, Side, Stop, Tally, Window},
};

/// Rows that go over at once.
const BATCH: usize = 2048;
/// Batches that may wait.
const QUEUE: usize = 4;

/// Which of a line's values are compared, as places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Values of a line.
    pub(super) columns: usize,
    /// The primary key's; none where rows are compared as a whole.
    pub(super) key: Vec<usize>,
    /// All that are compared, in the same order for both tables; none where whole lines are.
    pub(super) compared: Option<Vec<usize>>,
}

/// Feeds rows to whoever pairs them.
pub(super) type Feed<'a> = dyn FnMut(Row) -> Result<(), Stop> + 'a;

/// What both tables' rows are compared with.
pub(super) struct Pairing<'a> {
    pub(super) keyed: bool,
    pub(super) memory: u64,
    pub(super) scratch: &'a Path,
    pub(super) tally: Tally,
}

/// Reads the rows of both tables at once and pairs them.
pub(super) fn pair(
    first: impl FnOnce(&mut Feed<'_>) -> Result<(), Stop> + Send,
    second: impl FnOnce(&mut Feed<'_>) -> Result<(), Stop> + Send,
    with: Pairing<'_>,
) -> Result<Tally, Stop> {
    let mut window = Window::new(with.keyed, with.memory, with.scratch, with.tally);
    let read = std::thread::scope(|scope| {
        let (one, mut first_rows) = mpsc::sync_channel(QUEUE);
        let (other, mut second_rows) = mpsc::sync_channel(QUEUE);
        let one = scope.spawn(move || send(first, &one));
        let other = scope.spawn(move || send(second, &other));
        let paired = take_turns(&mut window, &mut first_rows, &mut second_rows);
        // Whoever still reads finds nobody who would take it, and stops.
        drop((first_rows, second_rows));
        let ended = || Err(Stop::Unreadable("a thread that read it ended unexpectedly".to_owned()));
        let read = [one.join().unwrap_or_else(|_| ended()), other.join().unwrap_or_else(|_| ended())];
        paired.and(read.into_iter().collect())
    });
    read.and_then(|()| window.finish())
}

/// Rows in batches; that nobody takes them any more is no failure of the reader.
fn send(read: impl FnOnce(&mut Feed<'_>) -> Result<(), Stop>, rows: &mpsc::SyncSender<Vec<Row>>) -> Result<(), Stop> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut refused = false;
    let outcome = read(&mut |row| {
        batch.push(row);
        if batch.len() < BATCH {
            return Ok(());
        }
        refused = rows.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err();
        if refused { Err(Stop::Unreadable(String::new())) } else { Ok(()) }
    });
    if refused {
        return Ok(());
    }
    let _ = rows.send(batch);
    outcome
}

/// By turns, so that rows that stand alike in both tables meet soon.
fn take_turns(
    window: &mut Window,
    first: &mut mpsc::Receiver<Vec<Row>>,
    second: &mut mpsc::Receiver<Vec<Row>>,
) -> Result<(), Stop> {
    let mut open = [true, true];
    while open != [false, false] {
        for (open, rows, side) in
            open.iter_mut().zip([(&mut *first, Side::First), (&mut *second, Side::Second)]).map(|(o, (r, s))| (o, r, s))
        {
            if !*open {
                continue;
            }
            match rows.recv() {
                Ok(batch) => batch.iter().try_for_each(|row| window.feed(side, row))?,
                Err(_) => *open = false,
            }
        }
    }
    Ok(())
}

/// Reads the rows of one table's data.
pub(super) fn read(
    reader: &mut FileReader,
    data: &Data,
    shape: &Shape,
    cancel: &Cancel,
    feed: &mut Feed<'_>,
) -> Result<(), Stop> {
    let mut bounds = Vec::with_capacity(shape.columns + 1);
    lines(reader, data, cancel, &mut |line, place| feed(shape.row(line, place, &mut bounds)?))
}

impl Shape {
    fn row(&self, line: &[u8], place: Place, bounds: &mut Vec<usize>) -> Result<Row, Stop> {
        let content = match &self.compared {
            None => half(Sha256::digest(line).as_slice()),
            Some(compared) => self.digest(compared, line, bounds)?,
        };
        let key = if self.key.is_empty() { content } else { self.digest(&self.key, line, bounds)? };
        Ok(Row { key, content, place })
    }

    /// Of some values; between them stands what no value holds.
    fn digest(&self, which: &[usize], line: &[u8], bounds: &mut Vec<usize>) -> Result<Digest, Stop> {
        bounds.clear();
        bounds.extend(memchr_iter(b'\t', line));
        if bounds.len() + 1 != self.columns {
            cells(line, self.columns)?;
        }
        let mut hash = Sha256::new();
        for &at in which {
            let begin = if at == 0 { 0 } else { bounds.get(at - 1).map_or(line.len(), |tab| tab + 1) };
            let end = bounds.get(at).copied().unwrap_or(line.len());
            hash.update(line.get(begin..end).unwrap_or_default());
            hash.update(b"\t");
        }
        Ok(half(hash.finalize().as_slice()))
    }
}

pub(super) fn half(digest: &[u8]) -> Digest {
    digest.first_chunk().copied().unwrap_or_default()
}
