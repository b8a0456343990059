//! Reading one file: as it was at one moment, or said to be unsettled.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::meta::{Meta, Names, xattrs_of};
use crate::chunk::Cutter;
use crate::pack::BlobKind;
use crate::write::{Assembly, Core, Cruncher, Tally};
use crate::{Error, Id, Node};

/// Files up to this size are read in one go and cut where they lie.
const SMALL: usize = 2 << 20;
/// How often a file that changes is read again.
const AGAIN: usize = 3;

/// What came of reading a file.
pub(super) enum Outcome {
    /// The file as it was; `unsettled` if it changed each time; `odd` names attributes that the format cannot hold.
    Read {
        /// With content and extended attributes.
        node: Box<Node>,
        /// It changed while it was read, each time.
        unsettled: bool,
        /// Attributes whose names are not text.
        odd: Vec<OsString>,
    },
    /// It is no file any more, or not there any more.
    Gone,
    /// The system did not let us.
    Unreadable(Errno),
}

/// Reads files, keeping its buffers.
pub(super) struct Reader<'a> {
    pub core: &'a Core,
    pub cruncher: Cruncher,
    pub names: Names,
    cutter: Arc<Cutter>,
    tally: Arc<Tally>,
    buffer: Vec<u8>,
}

/// A vault's error ends the walk, a file's does not.
enum Stop {
    File(Errno),
    Vault(Error),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Stop {
        Stop::File(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Vault(error)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(core: &'a Core, cutter: Arc<Cutter>, tally: Arc<Tally>) -> Result<Reader<'a>, Error> {
        let cruncher = Cruncher::new(core)?;
        Ok(Reader { core, cruncher, names: Names::default(), cutter, tally, buffer: vec![0; SMALL + 1] })
    }

    /// Stores a tree blob.
    pub(super) fn store_tree(&mut self, json: &[u8]) -> Result<Id, Error> {
        self.core.store(&mut self.cruncher, BlobKind::Tree, json, &self.tally)
    }

    /// Reads the file that `seen` was the state of when its directory was listed.
    pub(super) fn read(&mut self, dir: BorrowedFd<'_>, name: &OsStr, mut seen: Meta) -> Result<Outcome, Error> {
        for left in (0..=AGAIN).rev() {
            match self.read_once(dir, name, &seen) {
                Ok((node, after, odd)) => {
                    let settled = after.same_content(&seen);
                    if settled || left == 0 {
                        return Ok(Outcome::Read { node: Box::new(node), unsettled: !settled, odd });
                    }
                    seen = after;
                }
                Err(Stop::Vault(error)) => return Err(error),
                Err(Stop::File(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NOTDIR)) => return Ok(Outcome::Gone),
                Err(Stop::File(error)) => return Ok(Outcome::Unreadable(error)),
            }
        }
        Ok(Outcome::Gone)
    }

    fn read_once(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        seen: &Meta,
    ) -> Result<(Node, Meta, Vec<OsString>), Stop> {
        let file = open(dir, name)?;
        let (content, bytes) = if seen.size <= SMALL as u64 { self.small(&file)? } else { self.large(&file)? };
        let after = Meta::of(&file)?;
        if after.kind != seen.kind {
            return Err(Stop::File(Errno::NOENT));
        }
        let (xattrs, odd) = xattrs_of(file.as_fd())?;
        let mut node = after.node(name.to_owned(), &mut self.names);
        node.size = bytes;
        node.content = content;
        node.xattrs = xattrs;
        Ok((node, after, odd))
    }

    fn small(&mut self, file: &OwnedFd) -> Result<(Vec<Id>, u64), Stop> {
        let mut length = 0;
        while length < self.buffer.len() {
            match rustix::io::read(file, &mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if length == self.buffer.len() {
            // It has grown beyond what was said of it.
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
            return self.large(file);
        }
        let mut content = Vec::new();
        let mut rest = &self.buffer[..length];
        while let Some(cut) = self.cutter.cut(rest, true).filter(|cut| *cut > 0) {
            content.push(self.core.store(&mut self.cruncher, BlobKind::Data, &rest[..cut], &self.tally)?);
            rest = &rest[cut..];
        }
        Ok((content, length as u64))
    }

    /// A file of any length, a few chunks at a time.
    fn large(&mut self, file: &OwnedFd) -> Result<(Vec<Id>, u64), Stop> {
        let mut assembly = Assembly::new(self.tally.clone());
        let mut window = vec![0; 4 << 20];
        let (mut start, mut end, mut total, mut last) = (0, 0, 0, false);
        loop {
            self.core.check()?;
            while !last && end < window.len() {
                match rustix::io::read(file, &mut window[end..]) {
                    Ok(0) => last = true,
                    Ok(count) => end += count,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            while let Some(cut) = self.cutter.cut(&window[start..end], last).filter(|cut| *cut > 0) {
                assembly.push(self.core, &mut self.cruncher, &window[start..start + cut])?;
                start += cut;
                total += cut as u64;
            }
            if last && start == end {
                let content = assembly.finish(self.core, &mut self.cruncher)?;
                return Ok((content, total));
            }
            window.copy_within(start..end, 0);
            (end, start) = (end - start, 0);
            if end == window.len() {
                window.resize(2 * end, 0);
            }
        }
    }
}

/// Opens for reading without waiting for anybody, without following a link and without leaving a trace.
fn open(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only its owner may read a file without a trace.
        Err(Errno::PERM) => rustix::fs::openat(dir, name, flags, Mode::empty()),
        other => other,
    }
}
