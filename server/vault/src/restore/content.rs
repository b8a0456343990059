//! Content: each needed range of each pack is read once, and each blob in it written to all its places.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::plan::{Plan, PlannedFile};
use super::target::LastDir;
use super::{Job, metadata};
use crate::backend::FileKind;
use crate::pack::{Blob, BlobKind};
use crate::{Error, PackId, Problem};

/// Most bytes of one read, unless a single blob is larger.
const RANGE: u64 = 4 << 20;
/// Bytes between two blobs that are rather read than skipped.
const GAP: u64 = 64 << 10;
/// Zeros of this length and alignment become holes.
const HOLE: usize = 4096;

/// A blob, and one place that it belongs to.
struct Want {
    pack: PackId,
    blob: Blob,
    file: usize,
    offset: u64,
}

/// Writes all files of the plan.
pub(super) fn write(job: &Job<'_>, plan: &mut Plan) -> Result<(), Error> {
    let plan = &*plan;
    let (mut wants, mut empty) = (Vec::new(), Vec::new());
    for (number, file) in plan.files.iter().enumerate() {
        if file.node.content.is_empty() {
            empty.push(number);
        } else if let Err(error) = want(job, number, file, &mut wants) {
            job.problem(lost(plan, file, &error));
        }
    }
    wants.sort_unstable_by_key(|want| (want.pack, want.blob.offset, want.file, want.offset));
    let ranges = ranges(&wants);
    let next = AtomicUsize::new(0);
    job.on_all_threads(|| {
        let mut dir = LastDir::default();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            job.check()?;
            if let Some(range) = ranges.get(n) {
                read_range(job, plan, range, &mut dir)?;
            } else if let Some(numbers) = empty.chunks(64).nth(n - ranges.len()) {
                for number in numbers {
                    write_empty(job, plan, *number, &mut dir)?;
                }
            } else {
                return Ok(());
            }
        }
    })
}

fn path(plan: &Plan, file: &PlannedFile) -> PathBuf {
    plan.dirs[file.dir].path.join(&file.node.name)
}

fn lost(plan: &Plan, file: &PlannedFile, error: &Error) -> Problem {
    let path = path(plan, file);
    Problem::new(format!("{}: {error}", path.display())).path(path)
}

fn want(job: &Job<'_>, number: usize, file: &PlannedFile, wants: &mut Vec<Want>) -> Result<(), Error> {
    let (mut offset, before) = (0, wants.len());
    for id in &file.node.content {
        match job.vault.place(BlobKind::Data, id) {
            Ok((pack, blob)) => {
                wants.push(Want { pack, blob, file: number, offset });
                offset += u64::from(blob.raw());
            }
            Err(error) => {
                wants.truncate(before);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Splits what is wanted into reads.
fn ranges(wants: &[Want]) -> Vec<&[Want]> {
    let mut ranges = Vec::new();
    let mut rest = wants;
    while let Some(first) = rest.first() {
        let start = u64::from(first.blob.offset);
        let mut end = first.blob.end();
        let length = rest
            .iter()
            .position(|want| {
                let fits = want.pack == first.pack
                    && (want.blob.end() <= end
                        || (u64::from(want.blob.offset) <= end + GAP && want.blob.end() - start <= RANGE));
                end = end.max(want.blob.end());
                !fits
            })
            .unwrap_or(rest.len());
        let (range, tail) = rest.split_at(length);
        ranges.push(range);
        rest = tail;
    }
    ranges
}

fn read_range(job: &Job<'_>, plan: &Plan, range: &[Want], dir: &mut LastDir) -> Result<(), Error> {
    let Some(first) = range.first() else { return Ok(()) };
    let start = u64::from(first.blob.offset);
    let end = range.iter().map(|want| want.blob.end()).max().unwrap_or(start);
    let bytes = job.vault.backend.read_range(FileKind::Pack, &first.pack.to_string(), start, end - start);
    for wants in range.chunk_by(|a, b| a.blob == b.blob) {
        job.check()?;
        let Some(want) = wants.first() else { continue };
        let content = match &bytes {
            Ok(bytes) => decode(job, want, start, bytes),
            Err(error) => Err(error.clone().into()),
        };
        match content {
            Ok(content) => {
                for want in wants {
                    write_blob(job, plan, want, &content, dir)?;
                }
            }
            Err(error) => {
                for want in wants {
                    let problem = lost(plan, &plan.files[want.file], &error);
                    job.problem(problem.pack(want.pack).blob(want.blob.id));
                }
            }
        }
    }
    Ok(())
}

fn decode(job: &Job<'_>, want: &Want, start: u64, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let from = usize::try_from(u64::from(want.blob.offset) - start).unwrap_or(usize::MAX);
    let sealed = bytes
        .get(from..from.saturating_add(want.blob.length as usize))
        .ok_or_else(|| Error::damaged(format!("pack {} is too short", want.pack)))?;
    match want.blob.decode(&job.vault.key, sealed.to_vec()) {
        Err(Error::Damaged { .. }) => job.vault.blob(BlobKind::Data, &want.blob.id),
        other => other,
    }
}

fn write_blob(job: &Job<'_>, plan: &Plan, want: &Want, content: &[u8], dir: &mut LastDir) -> Result<(), Error> {
    let file = &plan.files[want.file];
    let written = dir
        .get(&job.target, file.dir, &plan.dirs[file.dir].path)
        .and_then(|dir| open(dir, file))
        .and_then(|open| write_sparse(open.as_fd(), want.offset, content).map(|()| open));
    match written {
        Ok(open) => {
            job.wrote(content.len() as u64);
            if file.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                finish(job, plan, want.file, &open)?;
            }
            Ok(())
        }
        Err(error) => job.entry_failed(&path(plan, file), "content", error),
    }
}

fn write_empty(job: &Job<'_>, plan: &Plan, number: usize, dir: &mut LastDir) -> Result<(), Error> {
    let file = &plan.files[number];
    match dir.get(&job.target, file.dir, &plan.dirs[file.dir].path).and_then(|dir| open(dir, file)) {
        Ok(open) => finish(job, plan, number, &open),
        Err(error) => job.entry_failed(&path(plan, file), "file", error),
    }
}

/// Makes the file, which must not exist, or opens it if this restore has made it.
fn open(dir: BorrowedFd<'_>, file: &PlannedFile) -> Result<OwnedFd, Errno> {
    let mut made = file.made.lock().unwrap_or_else(PoisonError::into_inner);
    let mut flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if !*made {
        flags |= OFlags::CREATE | OFlags::EXCL;
    }
    let open = rustix::fs::openat(dir, &file.node.name, flags, Mode::RUSR | Mode::WUSR)?;
    *made = true;
    Ok(open)
}

fn finish(job: &Job<'_>, plan: &Plan, number: usize, open: &OwnedFd) -> Result<(), Error> {
    let file = &plan.files[number];
    let path = path(plan, file);
    // Written out of order or ending in a hole: its size says nothing of how much of it is on the disk.
    let mut in_parts = file.node.content.len() > 1;
    if !file.node.content.is_empty() {
        let sized = rustix::fs::fstat(open).and_then(|known| {
            let size = u64::try_from(known.st_size).unwrap_or(0);
            // A hole at the end.
            if size < file.node.size {
                in_parts = true;
                rustix::fs::ftruncate(open, file.node.size)
            } else {
                Ok(())
            }
        });
        if let Err(error) = sized {
            job.entry_failed(&path, "size", error)?;
        }
    }
    if in_parts {
        metadata::set_all_but_times(job, open.as_fd(), &path, &file.node)?;
        job.late.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    } else {
        metadata::set_new(job, open.as_fd(), &path, &file.node)?;
    }
    job.done(1);
    Ok(())
}

/// Gives their times to files that were written in parts, once all of it is on the disk: a restore that is begun again
/// after a loss of power takes a file of the right size and time for whole.
pub(super) fn settle(job: &Job<'_>, plan: &Plan) -> Result<(), Error> {
    let late = std::mem::take(&mut *job.late.lock().unwrap_or_else(PoisonError::into_inner));
    if late.is_empty() {
        return Ok(());
    }
    job.check()?;
    rustix::fs::syncfs(&job.target.root).map_err(|error| Error::io(&job.target.path, error))?;
    let mut dir = LastDir::default();
    for number in late {
        let file = &plan.files[number];
        match dir.get(&job.target, file.dir, &plan.dirs[file.dir].path) {
            Ok(dir) => metadata::set_times(job, dir, &path(plan, file), &file.node)?,
            Err(error) => job.entry_failed(&path(plan, file), "times", error)?,
        }
    }
    Ok(())
}

/// Writes all but the zeros.
fn write_sparse(file: BorrowedFd<'_>, mut offset: u64, mut content: &[u8]) -> Result<(), Errno> {
    let is_hole = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    // Up to the first block boundary of the file.
    let mut unit = HOLE - usize::try_from(offset % HOLE as u64).unwrap_or(0);
    while !content.is_empty() {
        let mut length = 0;
        while length < content.len() {
            let block = &content[length..content.len().min(length + unit)];
            if is_hole(block) {
                break;
            }
            length += block.len();
            unit = HOLE;
        }
        write_all(file, offset, &content[..length])?;
        (offset, content) = (offset + length as u64, &content[length..]);
        while !content.is_empty() {
            let block = &content[..content.len().min(unit)];
            if !is_hole(block) {
                break;
            }
            (offset, content) = (offset + block.len() as u64, &content[block.len()..]);
            unit = HOLE;
        }
    }
    Ok(())
}

fn write_all(file: BorrowedFd<'_>, mut offset: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => (offset, bytes) = (offset + count as u64, &bytes[count..]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the further names of files that share an inode.
pub(super) fn link(job: &Job<'_>, plan: &mut Plan) -> Result<(), Error> {
    let Plan { dirs, links, made, .. } = plan;
    for link in links {
        job.check()?;
        let path = dirs[link.dir].path.join(&link.name);
        let linked = job.target.dir(&dirs[link.to.0].path).and_then(|from| {
            let to = job.target.dir(&dirs[link.dir].path)?;
            rustix::fs::linkat(&from, &link.to.1, &to, &link.name, AtFlags::empty())
        });
        match linked {
            Ok(()) => {
                made.push((link.dir, link.name.clone()));
                job.done(1);
            }
            Err(error) => job.entry_failed(&path, "hard link", error)?,
        }
    }
    Ok(())
}
