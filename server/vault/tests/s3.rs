//! A vault in a bucket of a real store: what goes in comes out, and stock restic agrees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "s3/copy.rs"]
mod copy;
#[path = "s3/faults.rs"]
mod faults;
#[path = "s3/hold.rs"]
mod hold;
#[path = "s3/proxy.rs"]
mod proxy;
#[path = "faults/report.rs"]
mod report;
#[path = "s3/scene.rs"]
mod scene;
#[path = "support/lib.rs"]
mod support;
#[path = "s3/weed.rs"]
mod weed;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_vault::{
    Backend, BackendError, Cancel, CheckScope, Checksum, Encryption, Error, FileKind, Id, Meter, PruneOptions,
    RestoreOptions, S3Backend, S3Options, SecretKey, Source, Vault, VaultOptions,
};
use proxy::{Link, Proxy, Verb};
use support::*;
use weed::*;

fn backend(options: S3Options) -> Arc<S3Backend> {
    Arc::new(S3Backend::new(options).unwrap())
}

fn init(prefix: &str) -> Vault {
    Vault::init(backend(options_at(prefix)), &password(), options()).unwrap()
}

/// Stock restic on a vault in the bucket; it must succeed.
fn restic(place: &Place, program: &str, prefix: &str, args: &[&str]) -> String {
    restic_in(place, program, &options_at(prefix).location(), args)
}

fn restic_in(place: &Place, program: &str, location: &str, args: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(["-r", location, "--cache-dir", cache.path().to_str().unwrap()])
        .args(args)
        .current_dir(place.dir.path())
        .env("RESTIC_PASSWORD", PASSWORD)
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {said}{errors}");
    said.into_owned()
}

fn all_is_well(vault: &Vault) {
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
}

#[test]
fn an_awkward_tree_comes_back_from_a_bucket_by_us_and_by_restic() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    let vault = init("deep/round-trip");
    assert_eq!(vault.location(), format!("s3:http://127.0.0.1:{}/{BUCKET}/deep/round-trip", weed().port));
    let (archived, sealed) = backup(&vault, &source);
    assert_eq!(archived.skipped, []);
    all_is_well(&vault);

    // As another process would see it.
    let vault = Vault::open(backend(options_at("deep/round-trip")), &password(), options()).unwrap();
    let ours = place.path("ours");
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    let restored = vault.restore(&tree, &ours, RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(rsync_differences(&source, &ours.join("source"), &[]), "");

    for (number, program) in restics().iter().enumerate() {
        let said = restic(&place, program, "deep/round-trip", &["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "{said}");
        let theirs = place.path(&format!("theirs-{number}"));
        restic(&place, program, "deep/round-trip", &["restore", "latest", "--target", theirs.to_str().unwrap()]);
        assert_eq!(rsync_differences(&source, &theirs.join("source"), &["--exclude=/socket"]), "");
    }
    // A second run finds its parent in the bucket.
    let (archived, _) = backup(&vault, &source);
    assert_eq!(archived.unchanged, archived.files);
    let stats = vault.stats().unwrap();
    assert!(stats.snapshots == 2 && stats.stored_bytes > 3 << 20, "{stats:?}");
}

#[test]
fn a_single_object_goes_up_in_parts_and_one_that_is_given_up_leaves_nothing() {
    use std::io::{Read as _, Write as _};
    let store = backend(S3Options { part: 5 << 20, ..options_at("objects") });
    let content = random(12 << 20);
    for (key, length) in
        [("objects/empty", 0), ("objects/small", 1000), ("objects/one", 5 << 20), ("objects/all", 12 << 20)]
    {
        let mut upload = store.upload(key);
        upload.write_all(&content[..length]).unwrap();
        assert_eq!(store.object_size(key).unwrap(), None, "{key} is there before its end");
        assert_eq!(upload.finish().unwrap(), length as u64);
        let mut back = Vec::new();
        store.object(key).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == content[..length], "{key}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open_uploads = || {
        let listing = client(weed().port).list_multipart_uploads().bucket(BUCKET).prefix("objects/");
        let listed = runtime.block_on(listing.send()).unwrap();
        listed.uploads().iter().map(|upload| upload.key().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(open_uploads(), Vec::<String>::new(), "what has ended is no upload any more");
    let mut upload = store.upload("objects/given-up");
    upload.write_all(&content).unwrap();
    assert_eq!(open_uploads(), ["objects/given-up"]);
    drop(upload);
    assert!(matches!(store.object("objects/given-up"), Err(BackendError::NotFound { .. })));
    assert_eq!(open_uploads(), Vec::<String>::new());
}

#[test]
fn restic_and_we_take_turns_in_a_bucket() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("theirs"), random(2 << 20)).unwrap();
    restic(&place, "restic", "turns", &["init"]);
    restic(&place, "restic", "turns", &["backup", "source"]);
    let open = || Vault::open(backend(options_at("turns")), &password(), options()).unwrap();
    let vault = open();
    all_is_well(&vault);
    let theirs = vault.snapshots().unwrap().pop().unwrap();
    fs::write(source.join("ours"), random(2 << 20)).unwrap();
    let (archived, ours) = backup(&vault, &source);
    assert_eq!(archived.unchanged, 1, "restic's snapshot is a parent for ours");

    // Forgotten by us, restic's prune takes what is left, and what is ours stays whole.
    vault.forget(&theirs.id).unwrap();
    assert!(matches!(vault.forget(&theirs.id), Err(Error::NoSuchSnapshot(_))));
    restic(&place, "restic", "turns", &["prune", "--max-unused", "0"]);
    restic(&place, "restic", "turns", &["check", "--read-data"]);
    let vault = open();
    all_is_well(&vault);
    let snapshots = vault.snapshots().unwrap();
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), [ours.snapshot]);
}

#[test]
fn two_writers_at_once_seal_both() {
    let place = Place::new();
    let vault = init("two");
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            let source = place.path(name);
            fs::create_dir_all(&source).unwrap();
            fs::write(source.join(name), random(5 << 20)).unwrap();
            scope.spawn(move || {
                let vault = Vault::open(backend(options_at("two")), &password(), options()).unwrap();
                backup(&vault, &source);
            });
        }
    });
    let trees: Vec<Id> = vault.snapshots().unwrap().iter().map(|snapshot| snapshot.tree).collect();
    assert_eq!(trees.len(), 2);
    for (number, tree) in trees.iter().enumerate() {
        let target = place.path(&format!("target-{number}"));
        assert_eq!(vault.restore(tree, &target, RestoreOptions::faithful()).unwrap().bytes, 5 << 20);
    }
    all_is_well(&vault);
    assert_eq!(backend(options_at("two")).list(FileKind::Lock).unwrap(), []);
}

#[test]
fn a_vault_is_never_made_over_another() {
    let vault = init("taken");
    let again = Vault::init(backend(options_at("taken")), &password(), options());
    assert!(matches!(again, Err(Error::AlreadyAVault { .. })));
    // Nor by somebody who did not see it when he looked.
    let store = backend(options_at("taken"));
    let config = store.read(FileKind::Config, "config").unwrap();
    let refused = store.write(FileKind::Config, "config", b"another one").unwrap_err();
    assert!(refused.to_string().contains("there already"), "{refused}");
    store.write(FileKind::Config, "config", &config).unwrap();
    assert_eq!(store.read(FileKind::Config, "config").unwrap(), config);
    let nothing = Vault::open(backend(options_at("empty")), &password(), options());
    assert!(matches!(nothing, Err(Error::NotAVault { .. })));
    drop(vault);
}

#[test]
fn files_ranges_and_lists() {
    let store = backend(S3Options { part: 5 << 20, ..options_at("files") });
    let mut large = random((11 << 20) + 17);
    let (small, many) = (random(100), 40);
    let name = |bytes: &[u8]| Id::of(bytes).to_string();
    let (pack, index) = (name(&large), name(&small));
    // In three parts, and without a copy: the buffer comes back.
    let content = large.clone();
    store.write_buffer(FileKind::Pack, &pack, &mut large).unwrap();
    assert!(large == content);
    store.write(FileKind::Pack, &pack, &large).unwrap();
    store.write(FileKind::Index, &index, &small).unwrap();
    assert_eq!(store.list(FileKind::Pack).unwrap(), [(pack.clone(), content.len() as u64)]);
    assert!(store.read(FileKind::Pack, &pack).unwrap() == content);
    for (offset, length) in [(0, 1), (5 << 20, 17), ((5 << 20) - 3, 6 << 20), (content.len() - 5, 5), (7, 0)] {
        let range = store.read_range(FileKind::Pack, &pack, offset as u64, length as u64).unwrap();
        assert!(range == content[offset..offset + length], "{offset} {length}");
    }
    for (offset, length) in [(content.len() as u64 - 5, 6), (content.len() as u64 + 1, 1), (u64::MAX, 2)] {
        let error = store.read_range(FileKind::Pack, &pack, offset, length).unwrap_err();
        assert!(matches!(error, BackendError::Failed { .. }), "{error}");
    }
    let missing = store.read(FileKind::Snapshot, &index).unwrap_err();
    assert!(matches!(missing, BackendError::NotFound { .. }), "{missing}");
    let missing = store.read_range(FileKind::Pack, &index, 0, 1).unwrap_err();
    assert!(matches!(missing, BackendError::NotFound { .. }), "{missing}");
    // What is not ours is not listed; what was removed is gone; removing twice is no error.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let strange = client(weed().port).put_object().bucket(BUCKET).key("files/locks/README");
    runtime.block_on(strange.body(b"x".to_vec().into()).send()).unwrap();
    let locks: Vec<String> = (0..many).map(|n: u32| name(&n.to_le_bytes())).collect();
    for (n, lock) in (0..many).zip(&locks) {
        store.write(FileKind::Lock, lock, &n.to_le_bytes()).unwrap();
    }
    let mut listed: Vec<String> = store.list(FileKind::Lock).unwrap().into_iter().map(|(name, _)| name).collect();
    listed.sort();
    let mut expected = locks.clone();
    expected.sort();
    assert_eq!(listed, expected);
    for _ in 0..2 {
        store.remove(FileKind::Lock, &locks[0]).unwrap();
    }
    assert_eq!(store.list(FileKind::Lock).unwrap().len(), locks.len() - 1);
    // A name that lies is refused by the store itself.
    let liar =
        S3Options { patience: Duration::from_millis(100), timeout: Duration::from_secs(5), ..options_at("files") };
    assert!(backend(liar).write(FileKind::Index, &pack, &small).is_err());
}

#[test]
fn every_checksum_mode_and_encryption_header_is_taken() {
    for checksum in [Checksum::None, Checksum::Md5, Checksum::Crc32, Checksum::Crc32c, Checksum::Sha256] {
        let mut options = S3Options { checksum, ..options_at("checksums") };
        if checksum == Checksum::Crc32 {
            options.encryption = Encryption::Aes256;
        }
        let results = backend(options).self_test().unwrap();
        let failed: Vec<_> = results.iter().filter(|result| result.required && !result.ok).collect();
        assert!(failed.is_empty(), "{checksum:?}: {failed:#?}");
        // Only without a checksum does something remain that cannot be had.
        assert_eq!(results.iter().all(|result| result.ok), checksum != Checksum::None, "{checksum:?}: {results:#?}");
    }
    assert_eq!(backend(options_at("checksums/self-test")).list(FileKind::Config).unwrap(), []);
}

#[test]
fn the_self_test_needs_little_stack() {
    // Threads of a writer have 2 MiB; debug builds need most.
    let work = || backend(options_at("stack")).self_test().unwrap();
    let results = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
    assert!(results.iter().all(|result| result.ok), "{results:#?}");
}

#[test]
fn what_a_person_must_mend_is_said_at_once_and_no_secret_with_it() {
    let vault = init("mend");
    let place = Place::new();
    fs::create_dir_all(place.path("source")).unwrap();
    fs::write(place.path("source/file"), "content").unwrap();
    backup(&vault, &place.path("source"));
    let with = |key: &str, secret: &str| S3Options {
        access_key: key.into(),
        secret_key: SecretKey::new(secret),
        ..options_at("mend")
    };
    let started = Instant::now();
    // May read, but not write.
    let reader = backend(with(READER.0, READER.1));
    let vault = Vault::open(reader.clone(), &password(), options()).unwrap();
    let refused = vault.writer(Cancel::new()).err().unwrap().to_string();
    assert!(refused.contains("s3:PutObject"), "{refused}");
    let results = reader.self_test().unwrap();
    let put = results.iter().find(|result| result.name == "put").unwrap();
    assert!(!put.ok && put.required && put.what.contains("s3:PutObject") && put.mend.is_some(), "{results:#?}");
    // Wrong keys, no bucket, nobody there.
    let say = |options: S3Options| backend(options).list(FileKind::Snapshot).unwrap_err().to_string();
    let unknown = say(with("AKIDNOBODY", "whatever"));
    assert!(unknown.contains("does not know this access key"), "{unknown}");
    let wrong = say(with(KEY, "not-the-secret"));
    assert!(wrong.contains("secret key is not"), "{wrong}");
    let nowhere = say(S3Options { bucket: "no-such-bucket".into(), ..options_at("mend") });
    assert!(nowhere.contains("no such bucket"), "{nowhere}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let patience = Duration::from_millis(700);
    let nobody = say(S3Options { patience, timeout: patience, ..options_by(1, "mend") });
    assert!(nobody.to_lowercase().contains("refused"), "{nobody}");
    for text in [refused, unknown, wrong, nowhere, nobody, format!("{reader:?} {:?} {results:?}", with(KEY, SECRET))] {
        assert!(!text.contains(SECRET) && !text.contains(READER.1) && !text.contains("not-the-secret"), "{text}");
    }
}

#[test]
fn a_location_says_what_is_wrong_with_it() {
    let parse = |location: &str, endpoint: Option<&str>| {
        S3Options::new(location, endpoint, None, "key", SecretKey::new("hidden")).map_err(|error| error.to_string())
    };
    let options = parse("s3://bucket/some/where/", Some("https://store.example:8443/")).unwrap();
    assert_eq!(options.location(), "s3:https://store.example:8443/bucket/some/where");
    assert!(options.path_style && options.connections == 8);
    assert_eq!(
        parse("s3:https://store.example/bucket/a", None).unwrap().location(),
        "s3:https://store.example/bucket/a"
    );
    assert_eq!(parse("s3:store.example/bucket", None).unwrap().location(), "s3:https://store.example/bucket");
    let amazon = parse("s3://bucket/a", None).unwrap();
    assert_eq!((amazon.location().as_str(), amazon.path_style), ("s3:https://s3.amazonaws.com/bucket/a", false));
    for (location, endpoint, why) in [
        ("/srv/vault", None, "s3://bucket/prefix"),
        ("s3://", None, "bucket's name"),
        ("s3://UPPER/a", None, "bucket's name"),
        ("s3://bucket/a/../b", None, ".."),
        ("s3://bucket/a", Some("store.example"), "endpoint"),
        ("s3://bucket/a", Some("ftp://store.example"), "endpoint"),
        ("s3://bucket/a", Some("https://store.example/path"), "endpoint"),
        ("s3://bucket/a", Some("https://me:pass@store.example"), "carries no user"),
        ("s3:https://one.example/bucket", Some("https://other.example"), "another endpoint"),
    ] {
        let error = parse(location, endpoint).unwrap_err();
        assert!(error.contains(why) && !error.contains("pass@"), "{location}: {error}");
    }
}

#[test]
fn over_a_link_with_delay_eight_packs_are_on_their_way() {
    // The link is what takes the time: 20 ms more for each answer, 4 MB/s for each connection.
    let link = Link { delay: Duration::from_millis(20), rate: 4 << 20 };
    let default = VaultOptions::default().memory;
    for (name, memory, files) in [("link-default", default, 7), ("link-little", 106 << 20, 4)] {
        let proxy = Proxy::new(weed().port);
        let bounds = VaultOptions { memory, threads: 2, level: 1 };
        let vault = Vault::init(backend(options_by(proxy.port, name)), &password(), bounds).unwrap();
        let place = Place::new();
        fs::create_dir_all(place.path("source")).unwrap();
        for n in 0..files {
            fs::write(place.path(&format!("source/{n}")), random(40 << 20)).unwrap();
        }
        proxy.link(link);
        let writer = vault.writer(Cancel::new()).unwrap();
        let archived = writer.archive(&Source::new(place.path("source")), &Meter::new()).unwrap();
        seal(writer, &archived);
        let share = proxy.share_with(Verb::Put, 8);
        assert!(share > 0.5, "{name}: 8 uploads at once in {:.0} % of the time", share * 100.0);
        if memory != default {
            // Reading it all back takes as many at once.
            proxy.link(Link { delay: Duration::from_millis(200), rate: 0 });
            all_is_well(&vault);
            assert!(proxy.most_at_once(Verb::Get) >= 8, "{} at once", proxy.most_at_once(Verb::Get));
        }
    }
}

#[test]
fn far_away_a_prune_reads_and_copies_several_things_at_once() {
    let proxy = Proxy::new(weed().port);
    let vault = Vault::init(backend(options_by(proxy.port, "far-prune")), &password(), options()).unwrap();
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let mut gone = Vec::new();
    for n in 0..10 {
        fs::write(source.join("stays"), random(700_000)).unwrap();
        fs::write(source.join("goes"), random(1 << 20)).unwrap();
        let (_, with) = backup(&vault, &source);
        fs::remove_file(source.join("goes")).unwrap();
        fs::create_dir(source.join(format!("directory-{n}"))).unwrap();
        backup(&vault, &source);
        gone.push(with.snapshot);
    }
    gone.iter().for_each(|snapshot| vault.forget(snapshot).unwrap());
    let before = proxy.most_at_once(Verb::Get);
    assert!(before < 4, "{before} at once where there was little to read");
    proxy.link(Link { delay: Duration::from_millis(150), rate: 0 });
    let how = PruneOptions { unused_share: 0.0, ..PruneOptions::default() };
    let report = vault.prune(&how, &Cancel::new(), &Meter::new(), &|| false).unwrap();
    assert!(report.is_done() && report.packs_repacked >= 10, "{report:?}");
    assert!(proxy.most_at_once(Verb::Get) >= 8, "{} at once", proxy.most_at_once(Verb::Get));
    proxy.link(Link::default());
    all_is_well(&vault);
}

#[test]
fn a_store_with_a_certificate_of_its_own() {
    let with = |ca: Option<&str>| {
        let endpoint = format!("https://127.0.0.1:{}", weed().tls_port);
        S3Options { endpoint, ca: ca.map(str::to_owned), ..options_at("tls") }
    };
    let ca = &weed().ca;
    let results = backend(with(Some(ca))).self_test().unwrap();
    assert!(results.iter().all(|result| result.ok), "{results:#?}");
    // A certificate that is not trusted is no better next time.
    let started = Instant::now();
    let stranger = S3Options { endpoint: format!("https://localhost:{}", weed().tls_port), ..with(Some(ca)) };
    let stranger = backend(stranger).list(FileKind::Snapshot).unwrap_err().to_string();
    assert!(stranger.to_lowercase().contains("certificate"), "{stranger}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    for bad in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = S3Backend::new(with(Some(bad))).unwrap_err().to_string();
        assert!(error.contains("certificate"), "{bad:?}: {error}");
    }
}
