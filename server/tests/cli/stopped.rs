//! `holdfast serve` stands still (SIGSTOP) in the middle of a capture, for longer than its lock in the vault and its
//! lease on the run live. Meanwhile others take out of the vault what the capture relies upon. It goes on, and the
//! checkpoint is sealed, whole.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_vault::{
    Cancel, CheckScope, LocalBackend, Meter, Password, PruneOptions, RestoreOptions, Snapshot, Vault, VaultOptions,
};
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

use crate::{
    report::{Row, is_full, report},
    support::{Ran, Server},
};

/// Files of one generation, and bytes of each: what a capture finds in the vault already, and what is new to it.
const OLD: (usize, usize) = (120, 250_000);
const NEW: (usize, usize) = (40, 250_000);

/// An environment with a folder of noise, and the vault that its server seals into.
struct Site {
    server: Server,
    repository: PathBuf,
    password: String,
    /// What the newest checkpoint of the noise is called; nothing else needs what it holds.
    newest: String,
}

/// What came of a capture that stood still.
enum End {
    /// It had sealed before it was stopped.
    TooEarly,
    /// Sealed and whole; so often was it captured anew, and so often taken up.
    Sealed { anew: i64, attempts: i64 },
}

impl Site {
    fn new() -> Self {
        let server = Server::start();
        let uploads = server.folder().join("app/uploads");
        fs::create_dir_all(&uploads).unwrap();
        fs::write(uploads.join("always"), "here").unwrap();
        noise(&uploads.join("old"), OLD);
        let definition = "project: shop\nenvironment: production\napp: {hostname: shop.example.org, port: 8000}\n\
                          components:\n  - {name: uploads, kind: files, path: ./uploads}\n";
        fs::write(server.folder().join("app/holdfast.yaml"), definition).unwrap();
        server.run(&["apply", "-f", server.folder().join("app/holdfast.yaml").to_str().unwrap()]).expect(0);
        let newest = create(&server);
        let kit = server.run(&["vault", "recovery-kit", "shop", "--json"]).expect(0).json();
        let said = |name: &str| kit[name].as_str().unwrap().to_owned();
        Self { repository: said("repository").into(), password: said("password"), newest, server }
    }

    fn uploads(&self) -> PathBuf {
        self.server.folder().join("app/uploads")
    }

    /// The vault, as somebody else opens it.
    fn vault(&self) -> Vault {
        let backend = Arc::new(LocalBackend::open(&self.repository).unwrap());
        Vault::open(backend, &Password::new(self.password.clone()), VaultOptions::default()).unwrap()
    }

    fn restic(&self, arguments: &[&str]) {
        let output = Command::new("restic")
            .args(["--no-cache", "--repo", self.repository.to_str().unwrap()])
            .args(arguments)
            .env("RESTIC_PASSWORD", &self.password)
            .output()
            .unwrap();
        assert!(output.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.repository.join(folder)).unwrap();
        // A file that is still being written has no such name.
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.len() == 64).collect()
    }

    /// The noise leaves the application, its checkpoint the catalogue and the vault's snapshots; what it held stays in
    /// the vault until somebody prunes. Then the noise is back, with some more.
    fn set_out(&mut self) {
        let aside = self.server.folder().join("aside");
        fs::rename(self.uploads().join("old"), &aside).unwrap();
        let _ = fs::remove_dir_all(self.uploads().join("new"));
        create(&self.server);
        self.server.run(&["checkpoint", "delete", &self.newest, "--yes"]).expect(0);
        fs::rename(&aside, self.uploads().join("old")).unwrap();
        noise(&self.uploads().join("new"), NEW);
    }

    /// One round: the server stops so long after it has begun to capture.
    fn round(&mut self, round: usize, after: Duration) -> End {
        self.set_out();
        let before = self.names("snapshots");
        let creating = self
            .server
            .command()
            .args(["checkpoint", "create", "production", "--no-drill", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while self.names("locks").is_empty() && self.names("snapshots") == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is captured");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(after);
        kill_process(self.server.process(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.server.process()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
        let early = self.names("snapshots") != before;
        if !early {
            self.long_after(round);
        }
        kill_process(self.server.process(), Signal::CONT).unwrap();
        let made = Ran::of(creating.wait_with_output().unwrap()).expect(0).json();
        self.newest = made["id"].as_str().unwrap().to_owned();
        if early {
            return End::TooEarly;
        }
        self.whole(round);
        let catalogue = rusqlite::Connection::open(self.server.data_dir().join("catalogue.db")).unwrap();
        let ask = |question: &str| catalogue.query_row(question, [&self.newest], |row| row.get(0)).unwrap();
        End::Sealed {
            anew: ask("select count(*) from event e join run r on r.id = e.run \
                       where r.checkpoint = ?1 and r.kind = 'create' and e.body like '%it is captured anew%'"),
            attempts: ask("select attempt from run where checkpoint = ?1 and kind = 'create'"),
        }
    }

    /// What happens while the server stands still: its lease runs out, its lock is taken for a dead one's, and the vault
    /// is pruned, in turn by ourselves without any grace and by stock restic, which knows none. Every third time
    /// somebody has forgotten all snapshots before, so that the checkpoint before this one goes too.
    fn long_after(&self, round: usize) {
        let catalogue = rusqlite::Connection::open(self.server.data_dir().join("catalogue.db")).unwrap();
        catalogue.busy_timeout(Duration::from_millis(100)).unwrap();
        // It may have stopped while it was writing there; then the lease is renewed before anybody looks at it.
        let _ = catalogue.execute("update run set lease_until = 1 where state = 'running'", []);
        for lock in self.names("locks") {
            fs::remove_file(self.repository.join("locks").join(lock)).unwrap();
        }
        let vault = self.vault();
        if round % 3 == 2 {
            for snapshot in vault.snapshot_ids().unwrap() {
                vault.forget(&snapshot).unwrap();
            }
        }
        let before = vault.stats().unwrap().stored_bytes;
        if round.is_multiple_of(2) {
            let options = PruneOptions { grace: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() };
            for _ in 0..3 {
                assert!(vault.prune(&options, &Cancel::new(), &Meter::new(), &|| false).unwrap().is_done());
            }
        } else {
            self.restic(&["prune", "--max-unused", "0"]);
        }
        let freed = before - self.vault().stats().unwrap().stored_bytes;
        assert!(
            freed > (OLD.0 * OLD.1) as u64 * 9 / 10,
            "{freed} bytes were freed: it relied on nothing that has gone"
        );
    }

    /// The checkpoint has one snapshot, which restores bit for bit, and nothing in the vault is damaged.
    fn whole(&self, round: usize) {
        let vault = self.vault();
        let tag = format!("holdfast:{}", self.newest);
        let mut found: Vec<Snapshot> = vault.snapshots().unwrap();
        found.retain(|snapshot| snapshot.tags.contains(&tag));
        assert_eq!(found.len(), 1, "{tag}: {found:?}");
        let target = self.server.folder().join("restored");
        let restored = vault.restore(&found[0].tree, &target, RestoreOptions::faithful()).unwrap();
        assert_eq!(restored.problems, []);
        let differ = Command::new("diff").arg("-r").args([&target.join("files/uploads"), &self.uploads()]).output();
        let differ = differ.unwrap();
        assert!(differ.status.success(), "round {round}: {}", String::from_utf8_lossy(&differ.stdout));
        fs::remove_dir_all(&target).unwrap();
        let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
        assert_eq!(report.problems, [], "round {round}");
        self.restic(&["check", "--read-data"]);
    }
}

/// Takes a checkpoint and gives its id.
fn create(server: &Server) -> String {
    server.run(&["checkpoint", "create", "production", "--no-drill", "--quiet"]).expect(0).out.trim().to_owned()
}

/// A folder of that many files of noise, which is in no vault.
fn noise(folder: &Path, (files, bytes): (usize, usize)) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    for file in 0..files {
        let mut noise = vec![0; bytes];
        getrandom::fill(&mut noise).unwrap();
        fs::write(folder.join(file.to_string()), noise).unwrap();
    }
}

/// How long a capture of all of it takes when nobody stops it: from its lock to its snapshot.
fn span(site: &mut Site) -> Duration {
    site.set_out();
    let before = site.names("snapshots");
    let (newest, span) = std::thread::scope(|scope| {
        let creating = scope.spawn(|| create(&site.server));
        let wait = |done: &dyn Fn() -> bool| {
            while !done() && !creating.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        wait(&|| !site.names("locks").is_empty());
        let begun = Instant::now();
        wait(&|| site.names("snapshots") != before);
        let span = begun.elapsed();
        (creating.join().unwrap(), span)
    });
    site.newest = newest;
    span
}

#[test]
fn a_capture_that_stood_still_is_sealed_and_whole_whatever_was_pruned_meanwhile() {
    let rounds = if is_full() { 100 } else { 3 };
    let mut site = Site::new();
    let span = span(&mut site);
    let (mut done, mut early, mut anew, mut again) = (0, 0, 0, 0);
    while done < rounds {
        // Spread over the whole of a capture; the later half of it passes sooner than one thinks.
        let share = u32::try_from((done * 37 + early * 11) % 90).unwrap();
        match site.round(done, span * share / 100) {
            End::TooEarly => early += 1,
            End::Sealed { anew: times, attempts } => {
                done += 1;
                anew += usize::from(times > 0);
                again += usize::from(attempts > 1);
            }
        }
        assert!(early <= rounds, "it is hardly ever stopped in the middle");
    }
    println!("a capture takes {} ms; {early} times it had sealed before it was stopped", span.as_millis());
    report(&Row {
        part: "stopped-server",
        what: format!(
            "`holdfast serve` stopped by SIGSTOP in the middle of a capture, for longer than its lock and its lease, \
             while what it relies upon is pruned, by ourselves without any grace and by stock restic in turn: all of them \
             sealed, restored bit for bit and checked with all data by restic, {anew} after being captured anew, {again} \
             by a further attempt"
        ),
        count: rounds,
    });
}
