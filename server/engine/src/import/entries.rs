//! The entries of a tar archive that nobody vouches for, one after the other, with every length bounded.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::ImportError;

const BLOCK: u64 = 512;
/// A name, a link or the extended attributes of one entry are no longer than this.
const LONGEST: u64 = 1 << 20;
/// A path is no longer than this: what the system itself takes.
const LONGEST_PATH: usize = 4096;

/// One entry, without its content.
pub(super) struct Entry {
    pub(super) header: Header,
    /// As it stands, the slash of a directory included.
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
    /// Extended records of this entry.
    pub(super) more: Vec<(String, Vec<u8>)>,
}

impl Entry {
    pub(super) fn kind(&self) -> EntryType {
        self.header.entry_type()
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind().is_dir() || (self.kind().is_file() && self.path.ends_with(b"/"))
    }

    /// Whether it is a file, or was called so by some old program.
    pub(super) fn is_file(&self) -> bool {
        !self.is_dir() && (self.kind().is_file() || self.kind().is_contiguous())
    }

    /// An extended record as text.
    pub(super) fn record(&self, key: &str) -> Option<&str> {
        let found = self.more.iter().rev().find(|(name, _)| name == key)?;
        std::str::from_utf8(&found.1).ok()
    }

    /// The names that the path consists of.
    ///
    /// # Errors
    /// For a path that is absolute, leads upwards, or is too long.
    pub(super) fn names(&self) -> Result<Vec<&[u8]>, ImportError> {
        names(&self.path)
    }

    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// See [`Entry::names`].
pub(super) fn names(path: &[u8]) -> Result<Vec<&[u8]>, ImportError> {
    let refuse = |why: &str| {
        let shown: String = String::from_utf8_lossy(path).chars().take(200).collect();
        Err(ImportError::Refused(format!("an entry `{shown}` of an archive {why}")))
    };
    if path.first() == Some(&b'/') {
        return refuse("has an absolute path");
    }
    if path.len() > LONGEST_PATH || path.contains(&0) {
        return refuse("has a path that cannot be one");
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return refuse("leads out of its folder");
    }
    if parts.iter().any(|part| part.len() > 255) {
        return refuse("has a name that is too long");
    }
    Ok(parts)
}

/// Extended records: `LENGTH KEY=VALUE` and a newline each, where the length counts all of it, and a value may be any
/// bytes, newlines too.
fn records(mut bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ImportError> {
    let refused = || ImportError::Refused("an archive has extended attributes that cannot be read".to_owned());
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let digits = bytes.iter().position(|byte| *byte == b' ').ok_or_else(refused)?;
        let length = std::str::from_utf8(&bytes[..digits]).ok().and_then(|text| text.parse::<usize>().ok());
        let record = length.and_then(|length| bytes.get(digits + 1..length)).ok_or_else(refused)?;
        let pair = record.strip_suffix(b"\n").ok_or_else(refused)?;
        let equals = pair.iter().position(|byte| *byte == b'=').ok_or_else(refused)?;
        found.push((String::from_utf8_lossy(&pair[..equals]).into_owned(), pair[equals + 1..].to_vec()));
        bytes = bytes.get(digits + 1 + record.len()..).ok_or_else(refused)?;
    }
    Ok(found)
}

/// Reads the entries of an archive.
pub(super) struct Entries<R> {
    input: R,
    /// Bytes of the present entry's content that were not read.
    left: u64,
    padding: u64,
    ended: bool,
}

impl<R: Read> Entries<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, ended: false }
    }

    /// The next entry; what of the last one's content was not read is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ImportError> {
        let (mut long_name, mut long_link, mut more) = (None, None, Vec::new());
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|error| odd(&error))?;
            self.expect(size);
            match kind {
                EntryType::GNULongName => long_name = Some(self.text(size)?),
                EntryType::GNULongLink => long_link = Some(self.text(size)?),
                EntryType::XHeader => {
                    let bytes = self.small(size)?;
                    more.extend(records(&bytes)?);
                }
                EntryType::XGlobalHeader => {
                    self.small(size)?;
                }
                EntryType::GNUSparse => {
                    return Err(ImportError::Refused(
                        "an archive has sparse entries in GNU's own form; make it without --sparse".to_owned(),
                    ));
                }
                _ => {
                    let record = |key: &str| more.iter().rev().find(|(name, _)| name == key).map(|(_, v)| v.clone());
                    if let Some(text) = record("size") {
                        let size = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                        self.expect(size.ok_or_else(|| ImportError::Refused("an entry has no size".to_owned()))?);
                    }
                    let path = record("path").or(long_name).unwrap_or_else(|| header.path_bytes().into_owned());
                    let own = || header.link_name_bytes().map(|name| name.into_owned());
                    let link = record("linkpath").or(long_link).or_else(own).unwrap_or_default();
                    if kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
                        // A directory's size, where one is given, is no content.
                        self.expect(0);
                    }
                    return Ok(Some(Entry { header, path, link, size: self.left, more }));
                }
            }
        }
    }

    /// The present entry's content.
    pub(super) fn content(&mut self) -> Content<'_, R> {
        Content(self)
    }

    /// After the last entry: reads to the end of the input, where nothing but padding may stand.
    pub(super) fn finish(&mut self) -> Result<(), ImportError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.input.read(&mut buffer).map_err(|error| odd(&error))? {
                0 => return Ok(()),
                count if buffer[..count].iter().any(|byte| *byte != 0) => {
                    return Err(ImportError::Refused("something stands behind the archive's end".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Asks the input.
    pub(super) fn taken(&self, ask: impl FnOnce(&R) -> u64) -> u64 {
        ask(&self.input)
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK).saturating_sub(size);
    }

    fn header(&mut self) -> Result<Option<Header>, ImportError> {
        if self.ended {
            return Ok(None);
        }
        self.skip()?;
        let mut header = Header::new_old();
        self.input.read_exact(header.as_mut_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut(),
            _ => odd(&error),
        })?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let sum = |part: &[u8]| part.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let found = sum(&bytes[..148]) + sum(&bytes[156..]) + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(found) {
            return Err(ImportError::Refused(
                "it is damaged, or not a tar archive: a header's sum is wrong".to_owned(),
            ));
        }
        Ok(Some(header))
    }

    /// Passes over what is left of an entry.
    fn skip(&mut self) -> Result<(), ImportError> {
        let left = self.left.saturating_add(self.padding);
        self.expect(0);
        let passed = io::copy(&mut (&mut self.input).take(left), &mut io::sink()).map_err(|error| odd(&error))?;
        if passed == left { Ok(()) } else { Err(cut()) }
    }

    fn small(&mut self, size: u64) -> Result<Vec<u8>, ImportError> {
        if size > LONGEST {
            return Err(ImportError::Refused(format!("an archive has a name or attributes of {size} bytes")));
        }
        let mut bytes = Vec::new();
        self.content().read_to_end(&mut bytes).map_err(|error| odd(&error))?;
        Ok(bytes)
    }

    fn text(&mut self, size: u64) -> Result<Vec<u8>, ImportError> {
        let mut bytes = self.small(size)?;
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

/// The content of one entry. It ends early only with an error.
pub(super) struct Content<'a, R>(&'a mut Entries<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.0.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.0.input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of a file"));
        }
        self.0.left -= count as u64;
        Ok(count)
    }
}

fn cut() -> ImportError {
    ImportError::Refused("the archive was cut off: it has no end".to_owned())
}

/// What a reader said: an error of the vault, of the connection, or of a compressed stream that is none.
pub(super) fn odd(error: &io::Error) -> ImportError {
    match holdfast_vault::Error::from_io(error) {
        Some(inner) => inner.clone().into(),
        None => ImportError::Refused(format!("it cannot be read: {error}")),
    }
}
