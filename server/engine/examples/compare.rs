//! How long a comparison takes: `compare DIR [FILES [CHANGED]]` makes two checkpoints of that many files in the empty folder
//! DIR, compares them with Holdfast and then with stock restic on the same vault, and prints the times of both.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/sealing.rs"]
#[allow(clippy::unwrap_used)]
mod sealing;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_engine::{Context, DiffLimits, DiffWork, End, Events, FingerprintKey, ToolSettings, Tools, diff};
use holdfast_model::{
    diff::{Changes, FileBody},
    event::EventBody,
    manifest::{Facts, ManifestComponent},
    state::Kind,
};
use holdfast_vault::{
    Archived, Cancel, LocalBackend, Meter, Node, Password, SnapshotId, Source, TreeId, Vault, VaultOptions,
};
use sealing::{manifest, seal};
use time::OffsetDateTime;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;
const PASSWORD: &str = "a password for figures";
const ROUNDS: usize = 20;

struct Silent;
impl Events for Silent {
    fn emit(&self, _: EventBody) {}
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: compare DIR [FILES [CHANGED]]")?;
    let dir = Path::new(&dir);
    let files: usize = args.next().map_or(Ok(100_000), |text| text.parse())?;
    let changed: usize = args.next().map_or(Ok(100), |text| text.parse())?;

    let source = dir.join("source");
    for file in 0..files {
        let path = place(&source, file);
        if file % 100 == 0 {
            fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        }
        fs::write(path, format!("file {file}\n{}", "a line of some length that says little\n".repeat(20 + file % 9)))?;
    }
    let code = "/// A function.\npub fn sum(all: &[u64]) -> u64 {\n    let start = \"none\".len() as u64; // why\n    all.iter().fold(start, |sum, one| sum + one)\n}\n\n";
    fs::write(source.join("main.rs"), code.repeat(1000))?;
    fs::create_dir_all(dir.join("vault"))?;
    let password = Password::new(PASSWORD.to_owned());
    let vault = Vault::init(Arc::new(LocalBackend::create(dir.join("vault"))?), &password, VaultOptions::default())?;
    let first = take(&vault, &source, None)?;
    for n in 0..changed {
        let path = place(&source, n * (files / changed.max(1)) + 7 % files);
        fs::OpenOptions::new().append(true).open(path)?.write_all(b"one more line\n")?;
    }
    fs::write(source.join("main.rs"), code.repeat(1000) + "fn end() {}\n")?;
    let second = take(&vault, &source, Some(first.0.root))?;

    let begun = Instant::now();
    let vault = Vault::open(Arc::new(LocalBackend::open(dir.join("vault"))?), &password, VaultOptions::default())?;
    println!("{files} files, {changed} changed; opening the vault {}", milliseconds(begun.elapsed()));
    let end = |end: End| End { vault: vault.clone(), ..end };
    let work = DiffWork {
        first: end(first.0),
        second: end(second.0),
        key: FingerprintKey::new(zeroize::Zeroizing::new([0; 32])),
        rows: false,
        limits: DiffLimits::default(),
        scratch: dir.to_path_buf(),
    };
    let tools = Tools::find(&ToolSettings::default()).await;
    let ctx = Context::new(Cancel::new(), Arc::new(Silent));
    let (mut times, mut worked) = (Vec::new(), processor()?);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let found = diff(&work, &tools, &ctx).await?;
        times.push(begun.elapsed());
        let Some(Changes::Files(changes)) = found.components.first().map(|part| &part.changes) else {
            return Err("no files".into());
        };
        let with_lines = changes.entries.iter().filter(|entry| entry.lines.is_some()).count();
        if changes.counts.modified != u64::try_from(changed + 1)? || with_lines != (changed + 1).min(300) {
            return Err(format!("{:?}, lines of {with_lines}", changes.counts).into());
        }
    }
    let cold = times.remove(0);
    times.sort_unstable();
    worked = processor()?.saturating_sub(worked) / u32::try_from(ROUNDS)?;
    println!("holdfast: processor time of one comparison {}", milliseconds(worked));
    println!(
        "holdfast: first {}, then {} (median of {})",
        milliseconds(cold),
        milliseconds(times[times.len() / 2]),
        times.len()
    );
    for what in ["first, which unpacks the grammars", "then"] {
        let begun = Instant::now();
        let view = diff::file(&work, &"up".parse()?, Path::new("main.rs"), &tools, &ctx).await?;
        let FileBody::Text { language: Some(_), hunks, .. } = &view.body else { return Err("no colours".into()) };
        let coloured =
            hunks.iter().flat_map(|hunk| &hunk.lines).flat_map(|line| &line.spans).any(|span| span.class.is_some());
        println!("a file of {} lines opened, {what}: {} (coloured: {coloured})", 6000, milliseconds(begun.elapsed()));
    }
    let whole = restic(dir, &["diff", &first.1.to_string(), &second.1.to_string()])?;
    let bare = restic(dir, &["cat", "config"])?;
    println!("restic diff: {}; of that its start and the key {}", milliseconds(whole), milliseconds(bare));
    Ok(())
}

fn place(source: &Path, file: usize) -> std::path::PathBuf {
    source.join(format!("{:02}/{:02}/file-{file}.txt", file / 10_000, file / 100 % 100))
}

fn take(vault: &Vault, source: &Path, parent: Option<TreeId>) -> Fallible<(End, SnapshotId)> {
    let writer = vault.writer(Cancel::new())?;
    let parent = parent.map(|root| vault.find(&root, Path::new("files/up"))).transpose()?.and_then(|node| node.subtree);
    let all = Source { root: source.to_path_buf(), filter: Arc::new(|_, _| true), parent };
    let Archived { node, .. } = writer.archive(&all, &Meter::new())?;
    let now = OffsetDateTime::now_utc();
    let component = ManifestComponent {
        name: "up".parse()?,
        kind: Kind::Files,
        host: "local".into(),
        place: "files/up".into(),
        instant: now,
        size: 0,
        stored: 0,
        items: 0,
        ledger: None,
        facts: Facts::None,
        skipped: Vec::new(),
        not_covered: Vec::new(),
    };
    let files = writer.put_tree(vec![node.with_name("up")])?;
    let (manifest, root, sealed) =
        seal(writer, manifest(now, vec![component]), |_, _| vec![Node::dir("files", files, now)]);
    Ok((End { vault: vault.clone(), root, manifest }, sealed.snapshot))
}

/// What this process has used of all processors, in steps of a hundredth of a second.
fn processor() -> Fallible<Duration> {
    let facts = fs::read_to_string("/proc/self/stat")?;
    let ticks = facts.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The best of three runs; its cache is filled by the first.
fn restic(dir: &Path, arguments: &[&str]) -> Fallible<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let status = Command::new("restic")
            .arg("-r")
            .arg(dir.join("vault"))
            .arg("--cache-dir")
            .arg(dir.join("cache"))
            .args(arguments)
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err("restic failed".into());
        }
        best = best.min(begun.elapsed());
    }
    Ok(best)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
