//! What happens in a vault, as all parts of the suite do it: contents that are known byte for byte, put in, looked at
//! again, and compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use holdfast_vault::{
    Cancel, CheckScope, Chunking, CopyOptions, Disk, Error, LocalBackend, Meter, Node, PruneOptions, PruneReport,
    RepairOptions, RestoreOptions, Snapshot, SnapshotDraft, SnapshotId, Source, Vault, VaultOptions, Writer,
};
use time::OffsetDateTime;

use super::report::is_full;
use super::support::{PASSWORD, draft, options, password};

/// Relative paths and bytes of all files of a snapshot.
pub type Content = BTreeMap<String, Vec<u8>>;
/// What was ever put in, or tried to, by the tag of its snapshot.
pub type Contents = BTreeMap<String, Content>;

/// Numbers that a seed decides (SplitMix64).
pub struct Rng(u64);

impl Rng {
    /// A stream of its own for each part of the suite; `HOLDFAST_SEED` brings another run of all of them.
    pub fn new(part: u64) -> Rng {
        let seed = std::env::var("HOLDFAST_SEED").map_or(20_261_121, |seed| seed.parse().expect("a number"));
        println!("part {part}: HOLDFAST_SEED={seed}");
        Rng(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn seeded(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

pub fn many(short: usize, full: usize) -> usize {
    if is_full() { full } else { short }
}

/// A directory in memory where there is such a thing: what a disk forgets is decided here and not by it.
pub fn room() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

/// A few files, some of them in a directory below.
pub fn content(rng: &mut Rng, files: usize) -> Content {
    (0..files)
        .map(|n| {
            let name = if n % 2 == 0 { format!("file-{n}") } else { format!("more/file-{n}") };
            let length = 500 + rng.below(12_000);
            (name, rng.bytes(length))
        })
        .collect()
}

/// Another content with some of the same files.
pub fn changed(rng: &mut Rng, content: &Content) -> Content {
    let mut changed = content.clone();
    for bytes in changed.values_mut() {
        if rng.chance(40) {
            *bytes = rng.bytes(800);
        }
    }
    let name = format!("new-{}", rng.below(1000));
    changed.insert(name, rng.bytes(3000));
    changed
}

pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Vault, Error> {
    Vault::open(Arc::new(LocalBackend::open_on(disk, path)?), &password(), options())
}

/// Small packs, so that a run has several of them.
pub fn small_packs() -> VaultOptions {
    VaultOptions { memory: 48 << 20, threads: 2, level: 1 }
}

fn tagged(tree: Node, writer: Writer, tag: &str) -> Result<SnapshotId, Error> {
    let root = writer.put_tree(vec![tree.with_name("files")])?;
    let sealed = writer.seal(SnapshotDraft { tags: vec![tag.to_owned()], ..draft(root) })?;
    Ok(sealed.snapshot)
}

/// Puts a content in, from memory.
pub fn put(vault: &Vault, tag: &str, content: &Content) -> Result<SnapshotId, Error> {
    let writer = vault.writer(Cancel::new())?;
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let (mut top, mut below) = (Vec::new(), Vec::new());
    for (name, bytes) in content {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        stream.write_all(bytes).map_err(|error| Error::from_io(&error).cloned().unwrap())?;
        let streamed = stream.finish()?;
        let node = |name: &str| Node::file(name, streamed.content.clone(), streamed.bytes, epoch);
        match name.strip_prefix("more/") {
            Some(name) => below.push(node(name)),
            None => top.push(node(name)),
        }
    }
    if !below.is_empty() {
        top.push(Node::dir("more", writer.put_tree(below)?, epoch));
    }
    let tree = writer.put_tree(top)?;
    tagged(Node::dir("files", tree, epoch), writer, tag)
}

/// Puts a directory in.
pub fn archive(vault: &Vault, tag: &str, source: &Path) -> Result<SnapshotId, Error> {
    let writer = vault.writer(Cancel::new())?;
    let archived = writer.archive(&Source::new(source), &Meter::new())?;
    assert_eq!(archived.skipped, []);
    tagged(archived.node, writer, tag)
}

/// Copies snapshots; `each` hears the ids of those that are there.
pub fn copy(from: &Vault, to: &Vault, wanted: &[SnapshotId], each: &mut dyn FnMut(&SnapshotId)) -> Result<(), Error> {
    let (options, cancel, meter) = (CopyOptions::default(), Cancel::new(), Meter::new());
    let report = from.copy_to(to, wanted, &options, &cancel, &meter, &mut |_, there| each(there))?;
    let problem = report.damaged.iter().flat_map(|(_, problems)| problems).next();
    problem.map_or(Ok(()), |problem| Err(Error::Refused(problem.what.clone())))
}

/// Makes the index anew, over a vault in which nothing is broken.
pub fn repair(vault: &Vault) -> Result<(), Error> {
    let report = vault.repair(&RepairOptions::default(), &Cancel::new(), &Meter::new())?;
    let problems = report.bad_packs.iter().chain(&report.bad_index_files);
    let problem = problems.chain(report.snapshots.iter().flat_map(|snapshot| &snapshot.problems)).next();
    problem.map_or(Ok(()), |problem| Err(Error::Refused(problem.what.clone())))
}

pub fn init(path: &Path) -> Vault {
    Vault::init(Arc::new(LocalBackend::create(path).unwrap()), &password(), options()).unwrap()
}

pub fn prune_options() -> PruneOptions {
    PruneOptions { grace: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() }
}

pub fn prune(vault: &Vault) -> Result<PruneReport, Error> {
    vault.prune(&prune_options(), &Cancel::new(), &Meter::new(), &|| false)
}

/// Writes a content to a directory.
pub fn lay_out(content: &Content, dir: &Path) {
    fs::create_dir_all(dir.join("more")).unwrap();
    for (name, bytes) in content {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

/// What differs between a restored snapshot and what was put in.
pub fn differences(root: &Path, content: &Content) -> Vec<String> {
    let mut differences: Vec<String> = content
        .iter()
        .filter(|(name, bytes)| fs::read(root.join("files").join(name)).ok().as_ref() != Some(bytes))
        .map(|(name, _)| format!("{name} differs"))
        .collect();
    let count = |dir: PathBuf| {
        fs::read_dir(dir).map_or(0, |entries| entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count())
    };
    let found = count(root.join("files")) + count(root.join("files/more"));
    if found != content.len() {
        differences.push(format!("{found} files instead of {}", content.len()));
    }
    differences
}

fn restore_equals(vault: &Vault, snapshot: &Snapshot, content: &Content) -> Result<(), String> {
    let target = room();
    let restored = vault.restore(&snapshot.tree, target.path(), RestoreOptions::faithful());
    let restored = restored.map_err(|error| format!("snapshot {}: {error}", snapshot.id))?;
    if let Some(problem) = restored.problems.first() {
        return Err(format!("snapshot {}: {}", snapshot.id, problem.what));
    }
    match differences(target.path(), content).first() {
        Some(difference) => Err(format!("snapshot {}: {difference}", snapshot.id)),
        None => Ok(()),
    }
}

/// A check of all data finds nothing, and every snapshot restores bit for bit to what its tag says; gives their ids.
pub fn all_whole(vault: &Vault, contents: &Contents) -> Result<Vec<SnapshotId>, String> {
    let said = |error: Error| error.to_string();
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).map_err(said)?;
    if let Some(problem) = report.problems.first() {
        return Err(format!("{} problems: {}", report.problems.len(), problem.what));
    }
    let snapshots = vault.snapshots().map_err(said)?;
    for snapshot in &snapshots {
        let content = contents.get(&snapshot.tags[0]).ok_or_else(|| format!("{:?} was never put in", snapshot.tags))?;
        restore_equals(vault, snapshot, content)?;
    }
    Ok(snapshots.iter().map(|snapshot| snapshot.id).collect())
}

/// Debian's restic, and the newest if it is installed.
pub fn restics() -> Vec<PathBuf> {
    let newest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/restic-0.19.1");
    let newest = newest.is_file().then_some(newest);
    [PathBuf::from("restic")].into_iter().chain(newest).collect()
}

/// Stock restic reads every byte and finds nothing wrong.
pub fn restic_accepts(restic: &Path, vault: &Path) -> Result<(), String> {
    let output = Command::new(restic)
        .args(["--no-cache", "check", "--read-data"])
        .env("RESTIC_REPOSITORY", vault)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .expect("restic is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && said.contains("no errors were found") {
        return Ok(());
    }
    Err(format!("{}: {said}{}", restic.display(), String::from_utf8_lossy(&output.stderr)))
}

/// All files of a vault, to be put back as often as one likes.
pub struct Image(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Image {
    /// Directories of packs that hold none are left out: they are made when they are needed.
    pub fn of(vault: &Path) -> Image {
        fn walk(dir: &Path, root: &Path, found: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
            let entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
            let relative = dir.strip_prefix(root).unwrap().to_owned();
            if !entries.is_empty() || !relative.parent().is_some_and(|above| above.ends_with("data")) {
                found.push((relative, None));
            }
            for path in entries {
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.push((path.strip_prefix(root).unwrap().to_owned(), Some(fs::read(&path).unwrap())));
                }
            }
        }
        let mut found = Vec::new();
        walk(vault, vault, &mut found);
        Image(found)
    }

    pub fn put_back(&self, vault: &Path) {
        let _ = fs::remove_dir_all(vault);
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir_all(vault.join(path)).unwrap(),
                Some(bytes) => fs::write(vault.join(path), bytes).unwrap(),
            }
        }
    }

    pub fn files(&self) -> impl Iterator<Item = (&PathBuf, Option<&Vec<u8>>)> {
        self.0.iter().map(|(path, bytes)| (path, bytes.as_ref()))
    }
}

/// A vault with everything that a prune can meet: packs in use, partly in use and in no use, marked ones whose grace is
/// over, remains that no index names, many small index files. Gives what must survive.
pub fn vault_in_use(path: &Path, rng: &mut Rng) -> (Contents, Vec<SnapshotId>) {
    let vault = init(path);
    let mut contents = Contents::new();
    let mut add = |vault: &Vault, rng: &mut Rng, of: Option<&Content>| {
        let tag = format!("base-{}", contents.len());
        let content = match of {
            Some(of) => changed(rng, of),
            None => content(rng, 3),
        };
        let id = put(vault, &tag, &content).unwrap();
        contents.insert(tag, content.clone());
        (id, content)
    };
    let (first, kept) = add(&vault, rng, None);
    let (gone, _) = add(&vault, rng, Some(&kept));
    vault.forget(&gone).unwrap();
    let once = PruneOptions { unused_share: 1.0, ..PruneOptions::default() };
    vault.prune(&once, &Cancel::new(), &Meter::new(), &|| false).unwrap();
    let (second, kept) = add(&vault, rng, Some(&kept));
    let (third, _) = add(&vault, rng, Some(&kept));
    vault.forget(&first).unwrap();
    let (gone, _) = add(&vault, rng, None);
    vault.forget(&gone).unwrap();
    // Remains: packs without an index.
    let before: Vec<PathBuf> = index_files(path);
    let (remains, _) = add(&vault, rng, None);
    vault.forget(&remains).unwrap();
    index_files(path).iter().filter(|file| !before.contains(file)).for_each(|file| fs::remove_file(file).unwrap());
    (contents, vec![second, third])
}

fn index_files(vault: &Path) -> Vec<PathBuf> {
    fs::read_dir(vault.join("index")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub fn remove_locks(vault: &Path) {
    for entry in fs::read_dir(vault.join("locks")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}
