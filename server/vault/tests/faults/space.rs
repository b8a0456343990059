//! The disk is full at any moment: its size is swept over whole runs. The error says so, nothing sealed is touched, and
//! with room again the next run succeeds by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use holdfast_vault::{Error, LocalBackend, RestoreOptions, SnapshotId, SystemDisk, Vault};

use super::life::*;
use super::report::{Row, report};
use super::support::password;

const STEP: usize = 256 << 10;

/// A file system of a size of its own.
struct Disk(PathBuf);

impl Disk {
    /// `None` where nothing may be mounted.
    fn new(at: PathBuf, size: usize) -> Option<Disk> {
        fs::create_dir_all(&at).unwrap();
        let options = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status();
        status.is_ok_and(|status| status.success()).then_some(Disk(at))
    }

    fn resize(&self, size: usize) {
        let status = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn used(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).fold(0, |sum, entry| {
        let known = entry.metadata().unwrap();
        sum + if known.is_dir() { used(&entry.path()) } else { (known.len() as usize).next_multiple_of(4096) }
    })
}

/// What is run on a disk that is too small, and what it needs.
struct Scene {
    room: tempfile::TempDir,
    image: Image,
    contents: Contents,
    big: SnapshotId,
    /// Bytes that the vault takes in the beginning.
    base: usize,
}

fn open(path: &Path) -> Vault {
    let backend = LocalBackend::open_on(Arc::new(SystemDisk), path).unwrap();
    Vault::open(Arc::new(backend), &password(), small_packs()).unwrap()
}

/// Several packs: 9 MiB of which half goes with a snapshot that is forgotten.
fn scene(rng: &mut Rng) -> Scene {
    let room = room();
    let path = room.path().join("first");
    let backend = Arc::new(LocalBackend::create(&path).unwrap());
    let vault = Vault::init(backend, &password(), small_packs()).unwrap();
    let mut contents = Contents::new();
    let mut add = |tag: &str, content: Content| {
        let id = put(&vault, tag, &content).unwrap();
        contents.insert(tag.to_owned(), content);
        id
    };
    let files = |rng: &mut Rng, from: usize, count: usize| -> Content {
        (from..from + count).map(|n| (format!("file-{n}"), rng.bytes(300_000))).collect()
    };
    let all = files(rng, 0, 30);
    let half =
        all.iter().enumerate().filter(|(n, _)| n % 2 == 0).map(|(_, (name, bytes))| (name.clone(), bytes.clone()));
    let half: Content = half.collect();
    let big = add("all", all);
    add("half", half);
    let next: Content = files(rng, 100, 25);
    contents.insert("next".into(), next.clone());
    let source = room.path().join("source");
    lay_out(&next, &source);
    let image = Image::of(&path);
    image.put_back(&path);
    let base = used(&path) + (2 << 20);
    Scene { room, image, contents, big, base }
}

type Run<'a> = dyn Fn(&Vault) -> Result<(), Error> + 'a;

/// Runs something on disks from too small to large enough. Gives how many sizes were tried, and how many too small.
fn sweep(scene: &Scene, disk: &Disk, vault: &Vault, forgotten: bool, sizes: &[usize], run: &Run<'_>) -> (usize, usize) {
    let mut full = 0;
    for size in sizes {
        let about = format!("{} KiB more than nothing", (size - scene.base) >> 10);
        disk.resize(1 << 30);
        for entry in fs::read_dir(&disk.0).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        scene.image.put_back(&disk.0.join("vault"));
        if forgotten {
            vault.forget(&scene.big).unwrap();
        }
        disk.resize(*size);
        let outcome = run(vault);
        match &outcome {
            Ok(()) => {}
            Err(Error::NoSpace { .. }) => full += 1,
            Err(error) => panic!("{about}: {error}"),
        }
        // As it is, without any more room: only the lock of the check needs a page.
        let there = fs::read_dir(disk.0.join("vault/snapshots")).unwrap().count();
        disk.resize(size + (64 << 10));
        let whole = all_whole(vault, &scene.contents).unwrap_or_else(|error| panic!("{about}: {error}"));
        assert_eq!(whole.len(), there, "{about}");
        assert_eq!(whole.contains(&scene.big), !forgotten, "{about}");
        disk.resize(1 << 30);
        let _ = fs::remove_dir_all(disk.0.join("target"));
        run(vault).unwrap_or_else(|error| panic!("{about}: with room again: {error}"));
        all_whole(vault, &scene.contents).unwrap_or_else(|error| panic!("{about}: in the end: {error}"));
        if outcome.is_ok() && full > 0 {
            // It has been large enough for a while.
            break;
        }
    }
    (sizes.len(), full)
}

#[test]
fn the_disk_is_full() {
    let mut rng = Rng::new(7);
    let scene = scene(&mut rng);
    let Some(disk) = Disk::new(scene.room.path().join("disk"), 1 << 30) else {
        let what = "SKIPPED: no tmpfs can be mounted here".to_owned();
        return report(&Row { part: "space", what, count: 0 });
    };
    scene.image.put_back(&disk.0.join("vault"));
    let vault = open(&disk.0.join("vault"));
    let source = scene.room.path().join("source");
    let target = disk.0.join("target");
    let create = |vault: &Vault| archive(vault, "next", &source).map(drop);
    let pruning = |vault: &Vault| -> Result<(), Error> {
        // Marks and copies, then removes.
        for _ in 0..2 {
            assert!(prune(vault)?.is_done());
        }
        Ok(())
    };
    let restore = |vault: &Vault| -> Result<(), Error> {
        let snapshot = vault.snapshot(&scene.big)?;
        let restored = vault.restore(&snapshot.tree, &target, RestoreOptions::faithful())?;
        assert_eq!(restored.problems, []);
        assert_eq!(differences(&target, &scene.contents["all"]), Vec::<String>::new());
        Ok(())
    };
    let (mut tried, mut too_small) = (0, 0);
    let mut said = Vec::new();
    let runs: [(&str, bool, &Run<'_>); 3] =
        [("create", false, &create), ("prune", true, &pruning), ("restore", false, &restore)];
    for (name, forgotten, run) in runs {
        let steps = (12 << 20) / STEP;
        let sizes: Vec<usize> = (0..steps).step_by(many(6, 1)).map(|n| scene.base + n * STEP).collect();
        let (sizes, full) = sweep(&scene, &disk, &vault, forgotten, &sizes, run);
        assert!(full > 1 && full < sizes, "{name}: of {sizes} sizes {full} were too small");
        said.push(format!("{name} {full}"));
        tried += full + 1;
        too_small += full;
    }
    report(&Row {
        part: "space",
        what: format!(
            "the size of the disk swept in steps of {} KiB over whole runs until one passes; too small were {too_small}: {}",
            (STEP * many(6, 1)) >> 10,
            said.join(", ")
        ),
        count: tried,
    });
}
