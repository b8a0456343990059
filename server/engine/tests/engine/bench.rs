//! A workbench: a vault, a folder for an application, a scratch folder, and everything that was told.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use holdfast_engine::{
    Allow, CaptureError, CaptureWork, Captured, Context, Destination, DrillWork, Events, Parent, RestoreError,
    RestoreReport, RestoreWork, ToolSettings, Tools, capture, drill, restore,
};
use holdfast_model::{
    definition::{Component, Definition},
    drill::DrillReport,
    event::EventBody,
    id::RunId,
    manifest::{Manifest, ManifestComponent},
    name::Name,
};
use holdfast_vault::{Cancel, Chunking, LocalBackend, Meter, Node, Password, TreeId, Vault, VaultOptions, Writer};

use crate::sealing;

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub vault: Vault,
    pub tools: Tools,
    pub told: Arc<Told>,
    pub cancel: Cancel,
}

#[derive(Default)]
pub struct Told(pub Mutex<Vec<EventBody>>);

impl Events for Told {
    fn emit(&self, body: EventBody) {
        self.0.lock().unwrap().push(body);
    }
}

/// A sealed checkpoint.
#[derive(Clone)]
pub struct Checkpoint {
    pub root: TreeId,
    pub manifest: Manifest,
    pub stored: u64,
}

impl Checkpoint {
    pub fn part(&self, name: &str) -> &ManifestComponent {
        self.manifest.components.iter().find(|c| c.name.as_str() == name).unwrap()
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        fs::create_dir(dir.path().join("scratch")).unwrap();
        let backend = Arc::new(LocalBackend::create(dir.path().join("vault")).unwrap());
        let password = Password::generate().unwrap();
        let vault = Vault::init(backend, &password, VaultOptions::default()).unwrap();
        let tools = Tools::find(&ToolSettings::default()).await;
        Self { dir, vault, tools, told: Arc::default(), cancel: Cancel::new() }
    }

    pub fn app(&self, path: &str) -> PathBuf {
        self.dir.path().join("app").join(path)
    }

    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.app(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn ctx(&self) -> Context {
        Context::new(self.cancel.clone(), self.told.clone())
    }

    /// A definition of these components and further keys.
    #[allow(clippy::needless_pass_by_value)]
    pub fn define(&self, components: serde_json::Value, more: serde_json::Value) -> Definition {
        let mut whole = serde_json::json!({"project": "shop", "environment": "test", "components": components});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let components: Vec<Component> = serde_json::from_value(whole["components"].clone()).unwrap();
        assert!(!components.is_empty());
        serde_json::from_value(whole).unwrap()
    }

    pub fn work(&self, definition: &Definition) -> CaptureWork {
        CaptureWork {
            vault: self.vault.clone(),
            components: definition.components.iter().map(|c| c.name.clone()).collect(),
            definition: definition.clone(),
            exclude: Vec::new(),
            forbidden: vec![self.dir.path().join("vault"), self.dir.path().join("scratch")],
            parent: None,
            scratch: self.scratch(),
            salvage: false,
        }
    }

    pub fn scratch(&self) -> PathBuf {
        tempfile::Builder::new().tempdir_in(self.dir.path().join("scratch")).unwrap().keep()
    }

    pub async fn try_capture(&self, work: CaptureWork) -> Result<(Captured, Writer), CaptureError> {
        let vault = self.vault.clone();
        let cancel = self.cancel.clone();
        let writer = tokio::task::spawn_blocking(move || vault.writer(cancel)).await.unwrap().unwrap();
        let writer = Arc::new(writer);
        let captured = capture(work, writer.clone(), &self.tools, &self.ctx()).await;
        let writer = Arc::try_unwrap(writer).unwrap_or_else(|_| panic!("capture keeps the writer"));
        captured.map(|captured| (captured, writer))
    }

    pub async fn checkpoint(&self, work: CaptureWork) -> Checkpoint {
        let scratch = work.scratch.clone();
        let (captured, writer) = self.try_capture(work).await.unwrap();
        fs::remove_dir_all(scratch).unwrap();
        tokio::task::spawn_blocking(move || seal(captured, writer)).await.unwrap()
    }

    pub async fn take(&self, definition: &Definition) -> Checkpoint {
        self.checkpoint(self.work(definition)).await
    }

    pub async fn take_after(&self, definition: &Definition, before: &Checkpoint) -> Checkpoint {
        let parent = Some(Parent { root: before.root, manifest: before.manifest.clone() });
        self.checkpoint(CaptureWork { parent, ..self.work(definition) }).await
    }

    pub fn drill_work(&self, definition: &Definition, checkpoint: &Checkpoint) -> DrillWork {
        DrillWork {
            vault: self.vault.clone(),
            root: checkpoint.root,
            manifest: checkpoint.manifest.clone(),
            plan: definition.drill.clone(),
            scratch: self.scratch(),
            fresh_packs: HashSet::new(),
            expected_ms: None,
        }
    }

    pub async fn drill(&self, definition: &Definition, checkpoint: &Checkpoint) -> DrillReport {
        drill(self.drill_work(definition, checkpoint), &self.tools, &self.ctx()).await.unwrap().report
    }

    pub fn restore_work(&self, definition: &Definition, checkpoint: &Checkpoint) -> RestoreWork {
        let random = self.told.0.lock().unwrap().len() as u64;
        RestoreWork {
            vault: self.vault.clone(),
            root: checkpoint.root,
            manifest: checkpoint.manifest.clone(),
            definition: definition.clone(),
            destination: Destination::Definition,
            live: Vec::new(),
            overlap: false,
            paths: Vec::new(),
            tables: Vec::new(),
            table_mode: holdfast_model::table::TableMode::Insert,
            privileged: false,
            components: checkpoint.manifest.components.iter().map(|c| c.name.clone()).collect(),
            run: RunId::from_parts(1_800_000_000_000, random),
            forbidden: vec![self.dir.path().join("vault"), self.dir.path().join("scratch")],
            safety_sealed: false,
            scratch: self.scratch(),
            allow: Allow::all(),
        }
    }

    pub async fn restore(
        &self,
        definition: &Definition,
        checkpoint: &Checkpoint,
    ) -> Result<RestoreReport, RestoreError> {
        let work = self.restore_work(definition, checkpoint);
        restore::validate(work, &self.tools, &self.ctx()).await?.carry_out(&self.ctx()).await
    }

    /// Everything that was told, as text.
    pub fn all_told(&self) -> String {
        format!("{:?}", self.told.0.lock().unwrap())
    }
}

/// As the server does: manifest, folders, snapshot.
pub fn seal(captured: Captured, writer: Writer) -> Checkpoint {
    let time = captured.held_at;
    let mut folders: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for component in &captured.components {
        let (folder, last) = component.manifest.place.split_once('/').unwrap();
        assert_eq!(component.node.name.to_str(), Some(last));
        folders.entry(folder.to_owned()).or_default().push(component.node.clone());
    }
    let components = captured.components.into_iter().map(|c| c.manifest).collect();
    let manifest = Manifest { tools: captured.tools, skew_ms: captured.skew_ms, ..sealing::manifest(time, components) };
    let (manifest, root, sealed) = sealing::seal(writer, manifest, |writer, manifest| {
        let folders = folders.into_iter();
        let mut nodes: Vec<Node> =
            folders.map(|(folder, entries)| Node::dir(&folder, writer.put_tree(entries).unwrap(), time)).collect();
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        std::io::Write::write_all(&mut stream, &serde_json::to_vec_pretty(manifest).unwrap()).unwrap();
        let streamed = stream.finish().unwrap();
        nodes.push(Node::file("manifest.json", streamed.content, streamed.bytes, time));
        nodes
    });
    Checkpoint { root, manifest, stored: sealed.stored }
}

/// Runs a program in a folder; it must succeed.
pub fn run(folder: &Path, line: &[&str]) -> String {
    let output = Command::new(line[0])
        .args(&line[1..])
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_AUTHOR_NAME", "A")
        .env("GIT_AUTHOR_EMAIL", "a@example.org")
        .env("GIT_COMMITTER_NAME", "A")
        .env("GIT_COMMITTER_EMAIL", "a@example.org")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Every path below a folder with its kind, size, time and content.
pub fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let facts = path.symlink_metadata().unwrap();
            let content = if facts.is_file() { hex(&fs::read(&path).unwrap()) } else { String::new() };
            let link = fs::read_link(&path).unwrap_or_default();
            // A folder's own time changes when an entry comes and goes; its entries are listed anyway.
            let time = if facts.is_dir() { 0 } else { facts.mtime_nsec() };
            let text = format!("{:o} {} {time} {content} {}", facts.mode(), facts.uid(), link.display());
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), text);
            if facts.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    format!("{} {}", bytes.len(), holdfast_vault::Id::of(bytes))
}
