//! A storage in memory that fails, stands still or is slow where a test wants it: the n-th operation, and all others.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_vault::{
    Backend, BackendError, Cancel, Chunking, Error, FileKind, Id, LocalBackend, Meter, Node, Sealed, SnapshotId, Vault,
    Writer,
};
use time::OffsetDateTime;

use super::support::{Place, draft, options, password};

type Files = BTreeMap<(FileKind, String), Arc<Vec<u8>>>;

/// The files; every handle sees the same ones.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Files>>);

/// What happens at which operation of a handle, counted from 1.
#[derive(Default)]
pub enum Fault {
    #[default]
    None,
    /// That one fails and has done nothing.
    Fails(usize),
    /// That one fails, but was done: the answer was lost.
    Lost(usize),
    /// From there on nothing works any more: the process is dead.
    Dead(usize),
    /// Before that one, this is done.
    Before(usize, Option<Box<dyn FnOnce() + Send>>),
    /// Lists of this kind fail.
    NoList(FileKind),
    /// Lists of this kind are empty.
    EmptyList(FileKind),
    /// Every one takes so long.
    Slow(Duration),
}

/// One process's way to the files.
#[derive(Clone, Default)]
pub struct Handle {
    pub memory: Memory,
    pub fault: Arc<Mutex<Fault>>,
    pub done: Arc<AtomicUsize>,
}

impl Memory {
    pub fn handle(&self) -> Handle {
        Handle { memory: self.clone(), ..Handle::default() }
    }

    pub fn init(&self) -> Vault {
        Vault::init(Arc::new(self.handle()), &password(), options()).unwrap()
    }

    pub fn open(&self) -> Vault {
        Vault::open(Arc::new(self.handle()), &password(), options()).unwrap()
    }

    pub fn state(&self) -> Files {
        self.0.lock().unwrap().clone()
    }

    pub fn set(&self, files: &Files) {
        *self.0.lock().unwrap() = files.clone();
    }

    pub fn names(&self, kind: FileKind) -> Vec<String> {
        self.0.lock().unwrap().keys().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect()
    }

    pub fn remove(&self, kind: FileKind, name: &str) {
        self.0.lock().unwrap().remove(&(kind, name.to_owned())).unwrap();
    }

    pub fn edit(&self, kind: FileKind, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(Arc::make_mut(self.0.lock().unwrap().get_mut(&(kind, name.to_owned())).unwrap()));
    }

    pub fn remove_locks(&self) {
        self.0.lock().unwrap().retain(|(kind, _), _| *kind != FileKind::Lock);
    }

    /// Stock restic reads every byte of it and finds nothing wrong.
    pub fn restic_accepts(&self) {
        let place = Place::new();
        let disk = LocalBackend::create(place.path("vault")).unwrap();
        for ((kind, name), bytes) in self.state() {
            disk.write(kind, &name, &bytes).unwrap();
        }
        place.restic_accepts();
    }
}

impl Handle {
    pub fn fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.done.store(0, Ordering::SeqCst);
    }

    pub fn open(&self) -> Vault {
        Vault::open(Arc::new(self.clone()), &password(), options()).unwrap()
    }

    fn run<T>(&self, listed: Option<FileKind>, act: impl FnOnce(&mut Files) -> T) -> Result<T, BackendError> {
        let number = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let failed =
            || BackendError::from_io("storage", io::Error::other(format!("operation {number} was made to fail")));
        let mut hook = None;
        let mut lost = false;
        match &mut *self.fault.lock().unwrap() {
            Fault::Fails(at) if *at == number => return Err(failed()),
            Fault::Dead(at) if *at <= number => return Err(failed()),
            Fault::NoList(kind) if listed == Some(*kind) => return Err(failed()),
            Fault::Lost(at) => lost = *at == number,
            Fault::Before(at, act) if *at == number => hook = act.take(),
            Fault::Slow(time) => std::thread::sleep(*time),
            _ => {}
        }
        if let Some(hook) = hook {
            hook();
        }
        let answer = act(&mut self.memory.0.lock().unwrap());
        if lost { Err(failed()) } else { Ok(answer) }
    }
}

fn not_there(kind: FileKind, name: &str) -> BackendError {
    BackendError::NotFound { what: format!("{kind:?} {name}") }
}

impl Backend for Handle {
    fn location(&self) -> String {
        "memory".into()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError> {
        let empty = matches!(&*self.fault.lock().unwrap(), Fault::EmptyList(of) if *of == kind);
        self.run(Some(kind), |files| {
            let of_kind = files.iter().filter(|((of, _), _)| *of == kind && !empty);
            of_kind.map(|((_, name), bytes)| (name.clone(), bytes.len() as u64)).collect()
        })
    }

    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError> {
        let name = if kind == FileKind::Config { "config" } else { name };
        let found = self.run(None, |files| files.get(&(kind, name.to_owned())).cloned())?;
        found.map(|bytes| bytes.to_vec()).ok_or_else(|| not_there(kind, name))
    }

    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        let found = self.run(None, |files| files.get(&(kind, name.to_owned())).cloned())?;
        let bytes = found.ok_or_else(|| not_there(kind, name))?;
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
        let short = || BackendError::from_io("a range", io::Error::from(io::ErrorKind::UnexpectedEof));
        bytes.get(range).map(<[u8]>::to_vec).ok_or_else(short)
    }

    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        let name = if kind == FileKind::Config { "config" } else { name };
        self.run(None, |files| {
            files.insert((kind, name.to_owned()), Arc::new(bytes.to_vec()));
        })
    }

    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.run(None, |files| {
            files.remove(&(kind, name.to_owned()));
        })
    }
}

/// Files of a snapshot by name.
pub type Content = BTreeMap<String, Vec<u8>>;

/// Writes files into an open writer, one blob each if they are small, and seals.
pub fn put_into(writer: Writer, content: &Content) -> Result<Sealed, Error> {
    let mut nodes = Vec::new();
    for (name, bytes) in content {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        stream.write_all(bytes).map_err(|error| Error::from_io(&error).cloned().unwrap())?;
        let streamed = stream.finish()?;
        nodes.push(Node::file(name, streamed.content, streamed.bytes, OffsetDateTime::UNIX_EPOCH));
    }
    let tree = writer.put_tree(nodes)?;
    let root = writer.put_tree(vec![Node::dir("files", tree, OffsetDateTime::UNIX_EPOCH)])?;
    writer.seal(draft(root))
}

pub fn put(vault: &Vault, content: &Content) -> SnapshotId {
    put_into(vault.writer(Cancel::new()).unwrap(), content).unwrap().snapshot
}

/// Every byte of the snapshot is what was put there.
pub fn holds(vault: &Vault, snapshot: &SnapshotId, content: &Content) {
    let snapshot = vault.snapshot(snapshot).unwrap();
    let tree = vault.find(&snapshot.tree, "files".as_ref()).unwrap().subtree.unwrap();
    let nodes = vault.tree(&tree).unwrap().nodes;
    assert_eq!(nodes.len(), content.len());
    for node in nodes {
        let mut bytes = Vec::new();
        vault.read(&node).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == content[node.name.to_str().unwrap()], "{:?} is another", node.name);
    }
}

pub fn id(name: &str) -> Id {
    name.parse().unwrap()
}
