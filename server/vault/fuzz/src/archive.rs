//! PostgreSQL's archives as the engine reads them: bytes that nobody would write, and what must hold for all.

use std::io::{self, Write};

use holdfast_engine::postgres::archive::{Index, Sink, contents, copy};

/// What was passed on.
#[derive(Default)]
struct Passed(Vec<u8>);

impl Write for Passed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Passed {
    fn cut(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive in custom format: one that is accepted was passed on whole, and all that is said about it lies within.
pub fn archive(bytes: &[u8]) {
    let mut passed = Passed::default();
    let copied = copy(bytes, &mut passed);
    assert!(bytes.starts_with(&passed.0), "other bytes were passed on than came");
    let Ok(archive) = copied else {
        let _ = contents(bytes);
        return;
    };
    assert_eq!(passed.0.len(), bytes.len(), "it was not passed on whole");
    let length = bytes.len() as u64;
    assert_eq!(archive.index.length, length);
    assert_eq!(contents(bytes).ok().as_ref(), Some(&archive.entries));
    let mut end = 0;
    for entry in &archive.index.entries {
        assert!(entry.offset >= end && entry.length > 0, "two blocks share bytes: {entry:?}");
        end = entry.offset + entry.length;
    }
    assert!(archive.index.entries.is_empty() || end == length);
    for (at, bytes) in archive.positions() {
        assert!(at + bytes.len() as u64 <= length, "a position beyond the end");
    }
    let all = archive.closure(|_| true);
    assert!(all.len() == archive.entries.len() && archive.owners().count() <= all.len());
    let json = serde_json::to_vec(&archive.index).unwrap();
    assert_eq!(serde_json::from_slice::<Index>(&json).unwrap(), archive.index);
}

/// `dump.idx.json`: what is read comes back when it is written.
pub fn dump_index(bytes: &[u8]) {
    if let Ok(index) = serde_json::from_slice::<Index>(bytes) {
        let json = serde_json::to_vec(&index).unwrap();
        assert_eq!(serde_json::from_slice::<Index>(&json).unwrap(), index);
    }
}
