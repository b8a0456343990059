//! Others want the vault while a long prune is at work in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdfast_vault::{Cancel, Error, FileKind, Meter, PruneOptions, Stopped, Vault};

use super::memory::{self, Fault, Memory, put, put_into};
use super::{at_once, content, try_prune};

/// The lead-in of a long prune on a slow storage.
fn slow(packs: usize, each: Duration) -> (Memory, Vault, memory::Handle) {
    let memory = Memory::default();
    let vault = memory.init();
    for _ in 0..packs / 2 {
        let id = put(&vault, &content(&["gone"]));
        vault.forget(&id).unwrap();
    }
    let kept = put(&vault, &content(&["kept"]));
    assert!(vault.snapshot(&kept).is_ok());
    try_prune(&vault, &at_once()).unwrap();
    let handle = memory.handle();
    let pruning = handle.open();
    handle.fault(Fault::Slow(each));
    (memory, pruning, handle)
}

#[test]
fn whoever_wants_the_vault_gets_it_and_the_rest_is_done_later() {
    let (memory, pruning, handle) = slow(400, Duration::from_millis(10));
    let writing = memory.open();
    let wanted = AtomicBool::new(false);
    let options = PruneOptions { slice: Duration::from_millis(300), ..at_once() };
    let total = memory.names(FileKind::Pack).len();
    std::thread::scope(|scope| {
        let prune = scope.spawn(|| {
            let report =
                pruning.prune(&options, &Cancel::new(), &Meter::new(), &|| wanted.load(Ordering::SeqCst)).unwrap();
            (report, Instant::now())
        });
        while memory.names(FileKind::Pack).len() == total {
            std::thread::sleep(Duration::from_millis(5));
        }
        let since = Instant::now();
        wanted.store(true, Ordering::SeqCst);
        let writer = loop {
            match writing.writer(Cancel::new()) {
                Ok(writer) => break writer,
                Err(Error::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => panic!("{error}"),
            }
        };
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        put_into(writer, &content(&["urgent"])).unwrap();
        let (report, ended) = prune.join().unwrap();
        assert_eq!(report.stopped, Some(Stopped::Wanted));
        assert!(ended - since < Duration::from_secs(5));
        assert!(report.packs_removed > 0 && report.packs_removed < 400, "{report:?}");
    });
    handle.fault(Fault::None);
    let rest = try_prune(&pruning, &options).unwrap();
    assert!(rest.is_done() && rest.packs_removed > 0);
    assert_eq!(memory.names(FileKind::Pack).len(), 4);
    memory.restic_accepts();
}

#[test]
fn between_two_slices_the_vault_is_free() {
    let (memory, pruning, handle) = slow(300, Duration::from_millis(4));
    let options = PruneOptions { slice: Duration::from_millis(100), ..at_once() };
    let writing = memory.open();
    let total = memory.names(FileKind::Pack).len();
    // Nobody tells the prune; who comes by chance between two slices gets in, and the prune gives way.
    std::thread::scope(|scope| {
        let prune = scope.spawn(|| try_prune(&pruning, &options).unwrap());
        while memory.names(FileKind::Pack).len() == total {
            std::thread::sleep(Duration::from_millis(1));
        }
        let writer = loop {
            match writing.writer(Cancel::new()) {
                Ok(writer) => break writer,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let report = prune.join().unwrap();
        assert!(matches!(report.stopped, Some(Stopped::Busy { .. })), "{report:?}");
        put_into(writer, &content(&["mine"])).unwrap();
    });
    handle.fault(Fault::None);
    assert!(try_prune(&pruning, &options).unwrap().is_done());
    memory.restic_accepts();
}
