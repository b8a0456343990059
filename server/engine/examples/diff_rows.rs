//! What comparing one large table costs, beside the time that reading both dumps from the vault takes.
//!
//! `diff_rows seal URL FOLDER NAME` captures a database into a vault in FOLDER; do it, change the table, do it again under
//! another name. `diff_rows measure FOLDER NAME NAME` then reads both dumps, compares them and prints the figures.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use holdfast_engine::{
    Context, Events, ToolSettings, Tools,
    diff::{DiffLimits, DiffWork, End, FingerprintKey, diff, table},
    postgres,
};
use holdfast_model::{
    definition::Definition,
    diff::{Changes, RowChanges},
    event::EventBody,
    id::{CheckpointId, EnvironmentId, RunId},
    manifest::{FORMAT, Manifest, ManifestComponent},
    secret::Secret,
    state::Trigger,
};
use holdfast_vault::{Cancel, LocalBackend, Meter, Node, Password, SnapshotDraft, Vault, VaultOptions};

struct Deaf;

impl Events for Deaf {
    fn emit(&self, _: EventBody) {}
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["seal", url, folder, name] => seal(url, Path::new(folder), name).await,
        ["measure", folder, first, second] => measure(Path::new(folder), first, second).await,
        _ => println!("diff_rows seal URL FOLDER NAME | diff_rows measure FOLDER NAME NAME"),
    }
}

fn context() -> Context {
    Context::new(Cancel::new(), Arc::new(Deaf))
}

fn vault(folder: &Path) -> Vault {
    let (place, password) = (folder.join("vault"), Password::new("test".into()));
    let backend = Arc::new(LocalBackend::create(place.clone()).unwrap());
    if place.join("config").exists() {
        return Vault::open(backend, &password, VaultOptions::default()).unwrap();
    }
    Vault::init(backend, &password, VaultOptions::default()).unwrap()
}

async fn seal(url: &str, folder: &Path, name: &str) {
    let (ctx, tools) = (context(), Tools::find(&ToolSettings::default()).await);
    let text = r#"{"project":"p","environment":"e","components":[{"name":"postgres","kind":"postgres","url":"postgres://x/y"}]}"#;
    let component = serde_json::from_str::<Definition>(text).unwrap().components.remove(0);
    let prepared = postgres::prepare(&component, &Secret::new(url.to_owned()), &tools, &ctx).await.unwrap();
    let held = prepared.hold(&ctx).await.unwrap();
    let instant = held.instant();
    let place = folder.to_path_buf();
    let writer = tokio::task::spawn_blocking(move || Arc::new(vault(&place).writer(Cancel::new()).unwrap()));
    let writer = writer.await.unwrap();
    let captured = held.stream(writer.clone(), Meter::new(), Arc::new(AtomicU64::new(0)), &ctx).await.unwrap();
    let component = ManifestComponent {
        name: "postgres".parse().unwrap(),
        kind: holdfast_model::state::Kind::Postgres,
        host: "local".into(),
        place: "databases/postgres".into(),
        instant,
        size: captured.size,
        stored: captured.stored,
        items: captured.items,
        ledger: Some(captured.ledger),
        facts: captured.facts,
        skipped: captured.skipped,
        not_covered: captured.not_covered,
    };
    let nodes = captured.nodes;
    let root = tokio::task::spawn_blocking(move || {
        let inner = writer.put_tree(nodes).unwrap();
        let inner = writer.put_tree(vec![Node::dir("postgres", inner, instant)]).unwrap();
        let tree = writer.put_tree(vec![Node::dir("databases", inner, instant)]).unwrap();
        let draft = SnapshotDraft {
            tree,
            time: instant,
            paths: vec!["/".into()],
            tags: vec![],
            parent: None,
            hostname: "test".into(),
            username: "test".into(),
            program_version: "test".into(),
        };
        Arc::into_inner(writer).unwrap().seal(draft).unwrap();
        tree
    });
    let root = root.await.unwrap().to_string();
    fs::write(folder.join(format!("{name}.json")), serde_json::to_vec(&(root, component)).unwrap()).unwrap();
}

fn end(vault: &Vault, folder: &Path, name: &str) -> End {
    let text = fs::read(folder.join(format!("{name}.json"))).unwrap();
    let (root, component): (String, ManifestComponent) = serde_json::from_slice(&text).unwrap();
    let manifest = Manifest {
        format: FORMAT,
        holdfast: "test".into(),
        tools: BTreeMap::new(),
        checkpoint: CheckpointId::from_parts(1, 1),
        run: RunId::from_parts(1, 1),
        attempt: 1,
        name: None,
        description: None,
        tags: Vec::new(),
        project: "shop".parse().unwrap(),
        environment: "test".parse().unwrap(),
        environment_id: EnvironmentId::from_parts(1, 1),
        created_at: component.instant,
        created_by: "test".into(),
        trigger: Trigger::Manual,
        metadata: BTreeMap::new(),
        skew_ms: 0,
        total: component.size,
        stored: component.stored,
        components: vec![component],
        left_out: Vec::new(),
        previous: None,
    };
    End { vault: vault.clone(), root: root.parse().unwrap(), manifest }
}

fn read(end: &End) -> u64 {
    let node = end.vault.find(&end.root, Path::new("databases/postgres/dump.pgc")).unwrap();
    let mut reader = end.vault.read(&node).unwrap();
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0_u64);
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => return bytes,
            count => bytes += count as u64,
        }
    }
}

fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

async fn measure(folder: &Path, first: &str, second: &str) {
    let (ctx, tools) = (context(), Tools::find(&ToolSettings::default()).await);
    let place = folder.to_path_buf();
    let vault = tokio::task::spawn_blocking(move || vault(&place)).await.unwrap();
    let scratch: PathBuf = folder.join("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let work = DiffWork {
        first: end(&vault, folder, first),
        second: end(&vault, folder, second),
        key: FingerprintKey::new([0; 32].into()),
        rows: true,
        limits: DiffLimits::default(),
        scratch,
    };
    for round in 1..=3 {
        let begun = Instant::now();
        let found = diff(&work, &tools, &ctx).await.unwrap();
        let took = begun.elapsed();
        println!("round {round}: compared in {took:.2?}, {}", peak());
        if let Changes::Database(changes) = &found.components[0].changes {
            for of in &changes.tables {
                let RowChanges::Counted { added, removed, changed, .. } = &of.rows else { continue };
                println!("  {}: +{added} -{removed} ~{changed}", of.name);
                let begun = Instant::now();
                let component = "postgres".parse().unwrap();
                let opened = table(&work, &component, &of.schema, &of.name, 500, &tools, &ctx).await.unwrap();
                println!("  opened, {} of {} rows, in {:.2?}", opened.rows.len(), opened.total, begun.elapsed());
            }
        }
        let ends = [work.first.clone(), work.second.clone()];
        let one_by_one = tokio::task::spawn_blocking({
            let ends = ends.clone();
            move || {
                let begun = Instant::now();
                (ends.iter().map(read).sum::<u64>(), begun.elapsed())
            }
        });
        let (bytes, alone) = one_by_one.await.unwrap();
        let begun = Instant::now();
        let both = ends.map(|end| tokio::task::spawn_blocking(move || read(&end)));
        for one in both {
            one.await.unwrap();
        }
        let together = begun.elapsed();
        println!(
            "  both dumps ({} MB) read in {alone:.2?}, by two threads in {together:.2?}: ratio {:.2} and {:.2}, {}",
            bytes / 1_000_000,
            took.as_secs_f64() / alone.as_secs_f64(),
            took.as_secs_f64() / together.as_secs_f64(),
            peak()
        );
    }
}
