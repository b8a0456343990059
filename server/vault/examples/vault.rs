//! The engine by hand: `vault {init|backup|restore|check|prune|copy|snapshots|fill|stream|hold} REPOSITORY …`, password in
//! `RESTIC_PASSWORD`. A repository is a directory or, in restic's syntax, a place in a bucket
//! (`s3:http://127.0.0.1:8333/bucket/prefix`); then the keys are in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
//!
//! It prints what it did and how long that took; with stock restic beside it, it is how the vault is measured.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use holdfast_vault::{
    Backend, BackendError, Cancel, CheckScope, Chunking, CopyOptions, Error, FileKind, Id, LocalBackend, Meter, Node,
    Password, PruneOptions, RestoreOptions, Retention, RetentionMode, S3Backend, S3Options, SecretKey, SnapshotDraft,
    Source, TreeId, Vault, VaultOptions, Writer,
};
use time::OffsetDateTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let password = Password::new(std::env::var("RESTIC_PASSWORD")?);
    let started = Instant::now();
    match args[..] {
        ["init", repository] => {
            let backend = match bucket(repository)? {
                Some(options) => Arc::new(S3Backend::new(options)?) as Arc<dyn Backend>,
                None => Arc::new(LocalBackend::create(repository)?),
            };
            Vault::init(backend, &password, VaultOptions::default())?;
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
        ["copy", from, to] => copy(&open(from, &password)?, &open(to, &password)?)?,
        ["hold", repository, count] => hold(repository, count.parse()?)?,
        ["fill", repository, count] => fill(&open(repository, &password)?, count.parse()?)?,
        ["stream", repository] => stream(&open(repository, &password)?)?,
        ["forever", repository, source] => forever(&open(repository, &password)?, Path::new(source))?,
        _ => {
            return Err(
                "usage: vault {init|backup|restore|check|prune|copy|snapshots|fill|stream|hold|forever} REPOSITORY …"
                    .into(),
            );
        }
    }
    println!("total {}", seconds(started.elapsed()));
    Ok(())
}

/// A place in a bucket, if it is one.
fn bucket(repository: &str) -> Result<Option<S3Options>, Box<dyn std::error::Error>> {
    if !repository.starts_with("s3:") {
        return Ok(None);
    }
    let secret = SecretKey::new(std::env::var("AWS_SECRET_ACCESS_KEY")?);
    Ok(Some(S3Options::new(repository, None, None, std::env::var("AWS_ACCESS_KEY_ID")?, secret)?))
}

fn open(repository: &str, password: &Password) -> Result<Vault, Box<dyn std::error::Error>> {
    let backend = match bucket(repository)? {
        Some(options) => Arc::new(S3Backend::new(options)?) as Arc<dyn Backend>,
        None => Arc::new(LocalBackend::open(repository)?),
    };
    Ok(Vault::open(backend, password, VaultOptions::default())?)
}

/// All snapshots into another repository, of the same password.
fn copy(from: &Vault, to: &Vault) -> Result<(), Error> {
    let started = Instant::now();
    let wanted = from.snapshot_ids()?;
    let meter = Meter::new();
    let report = from.copy_to(to, &wanted, &CopyOptions::default(), &Cancel::new(), &meter, &mut |_, _| {})?;
    let megabytes = report.bytes as f64 / 1e6;
    println!(
        "{} snapshots copied, {} there already, {} damaged, {} blobs, {megabytes:.1} MB, {:.1} MB/s",
        report.copied.len(),
        report.there_already.len(),
        report.damaged.len(),
        report.blobs,
        megabytes / started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// So many small objects in a bucket with object lock, which are asked about and then held for longer. They are held
/// for a minute or two, and stay.
fn hold(repository: &str, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let options = bucket(repository)?.ok_or("only a bucket holds anything")?;
    let retention = Retention { mode: RetentionMode::Compliance, period: Duration::from_secs(60) };
    let store = S3Backend::new(S3Options { retention: Some(retention), ..options })?;
    let files: Vec<(String, String)> =
        (0..count).map(|n| (Id::of(n.to_string().as_bytes()).to_string(), n.to_string())).collect();
    let until = OffsetDateTime::now_utc() + Duration::from_secs(120);
    let each = |what: &str, work: &(dyn Fn(&str, &str) -> Result<(), BackendError> + Sync)| {
        let (started, next) = (Instant::now(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let run = || {
                while let Some((name, content)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(name, content)?;
                }
                Ok(())
            };
            let workers: Vec<_> = (0..store.connections()).map(|_| scope.spawn(run)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok::<_, BackendError>(())))
        })?;
        println!("{what} {count}: {}", seconds(started.elapsed()));
        Ok::<_, BackendError>(())
    };
    each("written", &|name, content| store.write(FileKind::Index, name, content.as_bytes()))?;
    each("asked about", &|name, _| store.held_until(FileKind::Index, name).map(drop))?;
    each("extended", &|name, _| store.retain(FileKind::Index, name, until))?;
    Ok(())
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
    let restored = vault.restore(&snapshot.tree, target, RestoreOptions::faithful())?;
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
