//! What the vault's tests share: a vault in a temporary directory, stock restic, rsync, and a tree of everything odd.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use holdfast_vault::{
    Archived, Cancel, LocalBackend, Meter, Password, Sealed, SnapshotDraft, Source, TreeId, Vault, VaultOptions, Writer,
};
use time::OffsetDateTime;

pub const PASSWORD: &str = "correct horse battery staple";

/// A temporary directory with a vault in `vault`.
pub struct Place {
    pub dir: tempfile::TempDir,
}

pub fn password() -> Password {
    Password::new(PASSWORD.into())
}

pub fn options() -> VaultOptions {
    VaultOptions { threads: 2, ..VaultOptions::default() }
}

pub fn open(path: &Path) -> Vault {
    Vault::open(Arc::new(LocalBackend::open(path).unwrap()), &password(), options()).unwrap()
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new vault of ours.
    pub fn vault(&self) -> Vault {
        let backend = LocalBackend::create(self.path("vault")).unwrap();
        Vault::init(Arc::new(backend), &password(), options()).unwrap()
    }

    /// Runs stock restic on the vault and gives what it printed.
    pub fn restic<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let output = self.restic_command(args).output().expect("restic is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic failed: {text}{errors}");
        text
    }

    pub fn restic_command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("restic");
        command.args(args).current_dir(self.dir.path());
        command.env("RESTIC_REPOSITORY", self.path("vault")).env("RESTIC_PASSWORD", PASSWORD);
        command.env("RESTIC_CACHE_DIR", self.path("cache"));
        command
    }

    /// Stock restic reads every byte and finds nothing wrong.
    pub fn restic_accepts(&self) {
        let said = self.restic(&["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "{said}");
    }

    /// Files in a directory of the vault, all levels.
    pub fn files(&self, dir: &str) -> Vec<PathBuf> {
        fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, files) } else { files.push(path) }
            }
        }
        let mut files = Vec::new();
        walk(&self.path("vault").join(dir), &mut files);
        files.sort();
        files
    }
}

/// Debian's, and the newest if it is installed.
pub fn restics() -> Vec<String> {
    let newest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/restic-0.19.1");
    let newest = newest.is_file().then(|| newest.display().to_string());
    ["restic".to_owned()].into_iter().chain(newest).collect()
}

pub fn draft(tree: TreeId) -> SnapshotDraft {
    SnapshotDraft {
        tree,
        time: OffsetDateTime::now_utc(),
        paths: vec!["/source".into()],
        tags: vec!["test".into()],
        parent: None,
        hostname: "host".into(),
        username: "user".into(),
        program_version: "holdfast test".into(),
    }
}

/// Archives a directory as `source` below the root and seals.
pub fn backup(vault: &Vault, source: &Path) -> (Archived, Sealed) {
    let writer = vault.writer(Cancel::new()).unwrap();
    let parent = vault.snapshots().unwrap().pop().and_then(|snapshot| {
        let node = vault.find(&snapshot.tree, Path::new("source")).ok()?;
        node.subtree
    });
    let archived = writer.archive(&Source { parent, ..Source::new(source) }, &Meter::new()).unwrap();
    let sealed = seal(writer, &archived);
    (archived, sealed)
}

pub fn seal(writer: Writer, archived: &Archived) -> Sealed {
    let tree = writer.put_tree(vec![archived.node.clone().with_name("source")]).unwrap();
    writer.seal(draft(tree)).unwrap()
}

/// What rsync would have to do to make `copy` like `original`: nothing, if all is well.
pub fn rsync_differences(original: &Path, copy: &Path, more: &[&str]) -> String {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-anicHAX", "--delete"])
        .args(more)
        .args([with_slash(original), with_slash(copy)])
        .output()
        .expect("rsync is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn run(program: &str, args: &[&OsStr]) {
    let status = Command::new(program).args(args).status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {args:?}");
}

pub fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub fn mtime(path: &Path, seconds: i64, nanos: u32) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds.unsigned_abs(), nanos);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// Every kind of entry that a file system of ours can hold. `utf8_links`: without link targets that are not UTF-8,
/// which restic knows since 0.16 only.
pub fn awkward(root: &Path, utf8_links: bool) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("a/b/c")).unwrap();
    fs::create_dir_all(at("empty directory")).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("a/text"), "hello\n").unwrap();
    fs::write(at("a/b/random"), random(3 << 20)).unwrap();
    let text: Vec<u8> = (0..600_000u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
    fs::write(at("a/b/compressible"), &text).unwrap();
    fs::write(at("a/b/c/exactly 512 KiB"), random(512 << 10)).unwrap();
    // Names.
    for name in [&b"latin1 \xfc\xff"[..], b"new\nline", b"quote\" back\\slash", b"tab\there", b"<&>", b"-rf", b" "] {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::create_dir(root.join(OsStr::from_bytes(b"dir \xe9"))).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"dir \xe9/\xe2\x80\xa8 \xf0\x9f\x99\x82")), "x").unwrap();
    // Links.
    symlink("a/text", at("link")).unwrap();
    symlink("/nowhere/at all", at("broken link")).unwrap();
    if !utf8_links {
        symlink(OsStr::from_bytes(b"to \xff"), at("odd link")).unwrap();
    }
    fs::hard_link(at("a/text"), at("a/b/hard")).unwrap();
    fs::hard_link(at("a/text"), at("hard too")).unwrap();
    // Sparse: holes in front, in the middle and at the end.
    let sparse = fs::File::create(at("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 5 << 20).unwrap();
    sparse.set_len(20 << 20).unwrap();
    fs::File::create(at("all hole")).unwrap().set_len(9 << 20).unwrap();
    // Special files.
    run("mkfifo", &[at("fifo").as_os_str()]);
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    run("mknod", &[at("null").as_os_str(), "c".as_ref(), "1".as_ref(), "3".as_ref()]);
    run("mknod", &[at("block").as_os_str(), "b".as_ref(), "7".as_ref(), "9".as_ref()]);
    // Metadata.
    for (name, mode) in [("a/text", 0o4755), ("a/b/random", 0o000), ("a/b", 0o2750), ("a/b/c", 0o1777), ("fifo", 0o622)]
    {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    run("chown", &["-h".as_ref(), "12345:54321".as_ref(), at("empty").as_os_str(), at("link").as_os_str()]);
    let value = "user.note";
    run("setfattr", &["-n".as_ref(), value.as_ref(), "-v".as_ref(), "0sAAH/".as_ref(), at("a/text").as_os_str()]);
    run("setfattr", &["-n".as_ref(), value.as_ref(), "-v".as_ref(), "of a directory".as_ref(), at("a").as_os_str()]);
    mtime(&at("a/b/compressible"), 981_173_106, 123_456_789);
    mtime(&at("a/b"), 1, 1);
    mtime(&at("a"), 4_102_444_800, 0);
}
