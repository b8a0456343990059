//! The engine by hand: `vault {init|backup|restore|check|prune|snapshots|fill|stream} REPOSITORY …`, password in `RESTIC_PASSWORD`.
//!
//! It prints what it did and how long that took; with stock restic beside it, it is how the vault is measured.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_vault::{
    Cancel, CheckScope, Chunking, Error, LocalBackend, Meter, Node, Password, PruneOptions, RestoreOptions,
    SnapshotDraft, Source, TreeId, Vault, VaultOptions, Writer,
};
use time::OffsetDateTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let password = Password::new(std::env::var("RESTIC_PASSWORD")?);
    let started = Instant::now();
    match args[..] {
        ["init", repository] => {
            Vault::init(Arc::new(LocalBackend::create(repository)?), &password, VaultOptions::default())?;
        }
        ["backup", repository, ref sources @ ..] => backup(&open(repository, &password)?, sources)?,
        ["restore", repository, target] => restore(&open(repository, &password)?, Path::new(target))?,
        ["check", repository] => check(&open(repository, &password)?)?,
        ["prune", repository] => prune(&open(repository, &password)?, &PruneOptions::default())?,
        ["prune", repository, grace] => {
            let grace = Duration::from_secs(grace.parse()?);
            prune(&open(repository, &password)?, &PruneOptions { grace, ..PruneOptions::default() })?;
        }
        ["snapshots", repository] => {
            let vault = open(repository, &password)?;
            println!("{} snapshots", vault.snapshots()?.len());
        }
        ["fill", repository, count] => fill(&open(repository, &password)?, count.parse()?)?,
        ["stream", repository] => stream(&open(repository, &password)?)?,
        ["forever", repository, source] => forever(&open(repository, &password)?, Path::new(source))?,
        _ => {
            return Err(
                "usage: vault {init|backup|restore|check|prune|snapshots|fill|stream|forever} REPOSITORY …".into()
            );
        }
    }
    println!("total {}", seconds(started.elapsed()));
    Ok(())
}

fn open(repository: &str, password: &Password) -> Result<Vault, Error> {
    Vault::open(Arc::new(LocalBackend::open(repository)?), password, VaultOptions::default())
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn draft(tree: TreeId, paths: Vec<String>) -> SnapshotDraft {
    SnapshotDraft {
        tree,
        time: OffsetDateTime::now_utc(),
        paths,
        tags: vec!["example".into()],
        parent: None,
        hostname: "example".into(),
        username: "example".into(),
        program_version: concat!("holdfast ", env!("CARGO_PKG_VERSION")).into(),
    }
}

fn name(path: &str) -> String {
    path.trim_matches('/').replace('/', "-")
}

/// Each source becomes a directory below the root, named by its path with dashes.
fn backup(vault: &Vault, sources: &[&str]) -> Result<(), Error> {
    let parent = vault.snapshots()?.pop();
    let started = Instant::now();
    let writer = vault.writer(Cancel::new())?;
    println!("lock and index {}", seconds(started.elapsed()));
    let meter = Meter::new();
    let mut nodes = Vec::new();
    for source in sources {
        let before = parent.as_ref().and_then(|parent| vault.find(&parent.tree, Path::new(&name(source))).ok());
        let started = Instant::now();
        let archived =
            writer.archive(&Source { parent: before.and_then(|node| node.subtree), ..Source::new(*source) }, &meter)?;
        let time = started.elapsed();
        println!(
            "{source}: {} files, {} directories, {} others, {} unchanged, {:.1} MB, stored {:.1} MB, {} skipped, {}",
            archived.files,
            archived.dirs,
            archived.others,
            archived.unchanged,
            archived.bytes as f64 / 1e6,
            archived.stored as f64 / 1e6,
            archived.skipped.len(),
            seconds(time),
        );
        for skipped in archived.skipped {
            println!("  skipped {}: {:?} {}", skipped.path.display(), skipped.reason, skipped.message);
        }
        nodes.push(archived.node.with_name(name(source)));
    }
    let tree = writer.put_tree(nodes)?;
    let started = Instant::now();
    let sealed = writer.seal(draft(tree, sources.iter().map(|source| (*source).to_owned()).collect()))?;
    println!(
        "snapshot {}, stored {:.1} MB, seal {}",
        sealed.snapshot.short(),
        sealed.stored as f64 / 1e6,
        seconds(started.elapsed())
    );
    Ok(())
}

fn restore(vault: &Vault, target: &Path) -> Result<(), Error> {
    let snapshot = vault.snapshots()?.pop().ok_or_else(|| Error::Refused("no snapshot".into()))?;
    let restored = vault.restore(&snapshot.tree, target, RestoreOptions::default())?;
    println!("{} entries, {:.1} MB, {} problems", restored.files, restored.bytes as f64 / 1e6, restored.problems.len());
    for problem in restored.problems.iter().take(20) {
        println!("  {}", problem.what);
    }
    Ok(())
}

fn check(vault: &Vault) -> Result<(), Error> {
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new())?;
    println!("{} packs, {} blobs, {} problems", report.packs, report.blobs, report.problems.len());
    for problem in report.problems.iter().take(20) {
        println!("  {}", problem.what);
    }
    Ok(())
}

/// So many snapshots of an empty tree.
fn fill(vault: &Vault, count: u32) -> Result<(), Error> {
    for at in 0..count {
        let writer = vault.writer(Cancel::new())?;
        let tree = writer.put_tree(Vec::new())?;
        writer.seal(draft(tree, vec![format!("/srv/application-{}", at % 10)]))?;
    }
    println!("{count} snapshots");
    Ok(())
}

fn prune(vault: &Vault, options: &PruneOptions) -> Result<(), Error> {
    let report = vault.prune(options, &Cancel::new(), &Meter::new(), &|| false)?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{} snapshots; removed {} packs, {:.1} MB; left the index: {} packs, {:.1} MB; repacked {} packs, {:.1} MB; \
         {} came back; {} wait, {:.1} MB; used {:.1} MB, unused {:.1} MB; stopped: {:?}",
        report.snapshots,
        report.packs_removed,
        megabytes(report.bytes_removed),
        report.packs_marked,
        megabytes(report.bytes_marked),
        report.packs_repacked,
        megabytes(report.bytes_repacked),
        report.packs_returned,
        report.packs_waiting,
        megabytes(report.bytes_waiting),
        megabytes(report.bytes_used),
        megabytes(report.bytes_unused),
        report.stopped,
    );
    Ok(())
}

/// Standard input, cut as a dump is.
fn stream(vault: &Vault) -> Result<(), Box<dyn std::error::Error>> {
    let writer = vault.writer(Cancel::new())?;
    let mut stream = writer.stream(Chunking::Dump, &Meter::new());
    io::copy(&mut io::BufReader::with_capacity(1 << 20, io::stdin().lock()), &mut stream)?;
    let streamed = stream.finish()?;
    println!(
        "{:.1} MB in {} blobs, stored {:.1} MB",
        streamed.bytes as f64 / 1e6,
        streamed.content.len(),
        streamed.stored as f64 / 1e6
    );
    let node = Node::file("stdin", streamed.content, streamed.bytes, OffsetDateTime::now_utc());
    let tree = writer.put_tree(vec![node])?;
    writer.seal(draft(tree, vec!["/stdin".into()]))?;
    Ok(())
}

/// Backs up again and again until it is killed: the victim of the crash test.
fn forever(vault: &Vault, source: &Path) -> Result<(), Error> {
    loop {
        let writer: Writer = vault.writer(Cancel::new())?;
        let archived = writer.archive(&Source::new(PathBuf::from(source)), &Meter::new())?;
        let tree = writer.put_tree(vec![archived.node.with_name("source")])?;
        let sealed = writer.seal(draft(tree, vec![source.display().to_string()]))?;
        println!("sealed {}", sealed.snapshot);
    }
}
