//! What the system knows of an entry, and how it becomes a node.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, StatxFlags, StatxTimestamp};
use rustix::io::Errno;
use time::OffsetDateTime;

use crate::node::{Node, NodeKind, Xattr};

/// An entry as `statx` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub kind: NodeKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub blocks: u64,
    pub inode: u64,
    pub device_id: u64,
    pub links: u64,
    pub device: u64,
    pub mtime: (i64, u32),
    pub ctime: (i64, u32),
}

impl Meta {
    /// Of an entry of a directory; links are not followed.
    pub(crate) fn at(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Meta, Errno> {
        Meta::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Of something open.
    pub(crate) fn of(file: impl AsFd) -> Result<Meta, Errno> {
        Meta::statx(file.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH)
    }

    fn statx(dir: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<Meta, Errno> {
        let known = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
        let mode = u32::from(known.stx_mode);
        let kind = match mode & 0o170_000 {
            0o100_000 => NodeKind::File,
            0o040_000 => NodeKind::Dir,
            0o120_000 => NodeKind::Symlink,
            0o060_000 => NodeKind::Device,
            0o020_000 => NodeKind::CharDevice,
            0o010_000 => NodeKind::Fifo,
            0o140_000 => NodeKind::Socket,
            _ => return Err(Errno::NOTSUP),
        };
        let stamp = |time: StatxTimestamp| (time.tv_sec, time.tv_nsec);
        Ok(Meta {
            kind,
            mode: mode & 0o7777,
            uid: known.stx_uid,
            gid: known.stx_gid,
            size: known.stx_size,
            blocks: known.stx_blocks,
            inode: known.stx_ino,
            device_id: rustix::fs::makedev(known.stx_dev_major, known.stx_dev_minor),
            links: u64::from(known.stx_nlink),
            device: rustix::fs::makedev(known.stx_rdev_major, known.stx_rdev_minor),
            mtime: stamp(known.stx_mtime),
            ctime: stamp(known.stx_ctime),
        })
    }

    /// The same content, as far as can be told without reading it.
    pub(crate) fn same_content(&self, other: &Meta) -> bool {
        (self.kind, self.size, self.mtime, self.ctime, self.inode)
            == (other.kind, other.size, other.mtime, other.ctime, other.inode)
    }

    /// Whether `node` was made from this very state: any change would have moved its ctime.
    pub(crate) fn is_still(&self, node: &Node) -> bool {
        self.kind == node.kind
            && self.inode == node.inode
            && (self.kind != NodeKind::File || self.size == node.size)
            && instant(self.mtime) == node.mtime
            && instant(self.ctime) == node.ctime
            && (self.mode, self.uid, self.gid) == (node.mode, node.uid, node.gid)
    }

    /// A node without content, link target and extended attributes.
    pub(crate) fn node(&self, name: OsString, names: &mut Names) -> Node {
        let mut node = Node::new(name, self.kind, self.mode, instant(self.mtime));
        node.ctime = instant(self.ctime);
        (node.uid, node.gid) = (self.uid, self.gid);
        names.user(self.uid).clone_into(&mut node.user);
        names.group(self.gid).clone_into(&mut node.group);
        node.inode = self.inode;
        match self.kind {
            NodeKind::Dir | NodeKind::Fifo | NodeKind::Socket => {}
            NodeKind::File | NodeKind::Symlink | NodeKind::Device | NodeKind::CharDevice => {
                node.links = self.links;
                // Device numbers change when a host starts anew; only hard links need them.
                node.device_id = if self.links > 1 { self.device_id } else { 0 };
            }
        }
        if matches!(self.kind, NodeKind::Device | NodeKind::CharDevice) {
            node.device = self.device;
        }
        if self.kind == NodeKind::File {
            node.size = self.size;
        }
        node
    }
}

/// A time of the file system; beyond the years 0 to 9999 it is clamped.
fn instant((seconds, nanos): (i64, u32)) -> OffsetDateTime {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    OffsetDateTime::from_unix_timestamp(seconds.clamp(FIRST, LAST))
        .and_then(|time| time.replace_nanosecond(nanos))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Names of users and groups, looked up once.
#[derive(Default)]
pub(crate) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    fn user(&mut self, uid: u32) -> &str {
        self.users.entry(uid).or_insert_with(|| {
            let user = uzers::get_user_by_uid(uid);
            user.map(|user| user.name().to_string_lossy().into_owned()).unwrap_or_default()
        })
    }

    fn group(&mut self, gid: u32) -> &str {
        self.groups.entry(gid).or_insert_with(|| {
            let group = uzers::get_group_by_gid(gid);
            group.map(|group| group.name().to_string_lossy().into_owned()).unwrap_or_default()
        })
    }
}

/// Extended attributes of an open file or directory, sorted by name, and the names that the format has no place for.
pub(crate) fn xattrs_of(file: BorrowedFd<'_>) -> Result<(Vec<Xattr>, Vec<OsString>), Errno> {
    collect(|list| rustix::fs::flistxattr(file, list), |name, value| rustix::fs::fgetxattr(file, name, value))
}

/// Those of an entry that is not opened: a pipe, socket or device.
pub(crate) fn xattrs_of_path(dir: BorrowedFd<'_>, name: &OsStr) -> Result<(Vec<Xattr>, Vec<OsString>), Errno> {
    let mut path = OsString::from(format!("/proc/self/fd/{}/", dir.as_raw_fd()));
    path.push(name);
    collect(
        |list| rustix::fs::llistxattr(path.as_os_str(), list),
        |name, value| rustix::fs::lgetxattr(path.as_os_str(), name, value),
    )
}

fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
) -> Result<(Vec<Xattr>, Vec<OsString>), Errno> {
    let mut small = [0; 512];
    let names = match list(&mut small) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NODATA) => return Ok((Vec::new(), Vec::new())),
        Ok(length) => small[..length].to_vec(),
        // 64 KiB is the kernel's own bound for lists and for values.
        Err(Errno::RANGE) => read_all(&list)?,
        Err(error) => return Err(error),
    };
    let (mut xattrs, mut odd) = (Vec::new(), Vec::new());
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let value = match get(name, &mut small) {
            Ok(length) => small[..length].to_vec(),
            Err(Errno::RANGE) => read_all(|value| get(name, value))?,
            // Removed meanwhile.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error),
        };
        match name.to_str() {
            Ok(name) => xattrs.push(Xattr { name: name.to_owned(), value }),
            Err(_) => odd.push(OsStr::from_bytes(name.to_bytes()).to_owned()),
        }
    }
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((xattrs, odd))
}

fn read_all(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; 64 << 10];
    let length = read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}
