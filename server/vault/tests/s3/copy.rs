//! Copies between disk and bucket.

use std::fs;
use std::time::Duration;

use holdfast_vault::{Cancel, CopyOptions, Meter, RestoreOptions, S3Options, Vault};

use super::proxy::{Harm, Link, Proxy, Verb};
use super::support::*;
use super::weed::*;
use super::{all_is_well, backend, init, restic};

fn copy(from: &Vault, to: &Vault) -> holdfast_vault::CopyReport {
    let wanted = from.snapshot_ids().unwrap();
    from.copy_to(to, &wanted, &CopyOptions::default(), &Cancel::new(), &Meter::new(), &mut |_, _| {}).unwrap()
}

#[test]
fn from_disk_to_bucket_to_disk() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    let vault = place.vault();
    backup(&vault, &source);
    fs::write(source.join("a/second"), random(5 << 20)).unwrap();
    backup(&vault, &source);

    let bucket = init("copy");
    let there = copy(&vault, &bucket);
    assert_eq!((there.copied.len(), there.damaged.len()), (2, 0));
    all_is_well(&bucket);
    for program in restics() {
        assert!(restic(&place, &program, "copy", &["check", "--read-data"]).contains("no errors"));
    }
    let back = Place::new();
    let home = back.vault();
    let report = copy(&bucket, &home);
    assert_eq!(report.copied.len(), 2);
    assert_eq!(report.blobs, there.blobs);
    all_is_well(&home);
    back.restic_accepts();
    assert_eq!(copy(&vault, &home).there_already.len(), 2, "it is known by where it began");
    let target = back.path("restored");
    home.restore(&home.snapshots().unwrap()[1].tree, &target, RestoreOptions::faithful()).unwrap();
    assert_eq!(rsync_differences(&source, &target.join("source"), &[]), "");
    // Into a bucket that has the half of it.
    fs::write(source.join("a/third"), random(1000)).unwrap();
    backup(&vault, &source);
    let more = copy(&vault, &bucket);
    assert_eq!((more.copied.len(), more.there_already.len()), (1, 2));
    assert!(more.blobs < 8 && more.skipped_blobs > 0, "{more:?}");
}

#[test]
fn over_a_way_that_does_harm() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let vault = place.vault();
    let proxy = Proxy::new(weed().port);
    init("copy-harm");
    let far = || {
        let there = options_by(proxy.port, "copy-harm");
        let there = S3Options { timeout: Duration::from_secs(2), slowest: 16 << 20, part: 5 << 20, ..there };
        Vault::open(backend(there), &password(), options()).unwrap()
    };
    let back = Place::new();
    let home = back.vault();
    let mut count = 0;
    for (verb, harm) in [
        (Verb::Put, Harm::Lost),
        (Verb::Put, Harm::Bent),
        (Verb::Put, Harm::Status(503)),
        (Verb::Part, Harm::Reset),
        (Verb::Complete, Harm::Lost),
        (Verb::List, Harm::Short),
        (Verb::Get, Harm::Reset),
        (Verb::Get, Harm::Bent),
        (Verb::Get, Harm::Short),
    ] {
        fs::write(source.join("file"), random(9 << 20)).unwrap();
        backup(&vault, &source);
        count += 1;
        let bucket = far();
        proxy.harm(verb, harm, 2);
        // There, and home again: what comes bent is asked for once more.
        assert_eq!(copy(&vault, &bucket).damaged, [], "{verb:?} {harm:?}");
        let report = copy(&bucket, &home);
        assert_eq!((report.copied.len(), &report.damaged), (1, &Vec::new()), "{verb:?} {harm:?}");
        assert!(proxy.heal() > 0, "{verb:?} {harm:?}: nothing came to harm");
        assert_eq!(bucket.snapshots().unwrap().len(), count);
    }
    all_is_well(&far());
    all_is_well(&home);
}

#[test]
fn trees_are_not_read_by_everybody_at_once() {
    // 300 small directories lie in one piece of a pack: a few requests, not one for each thread that asks.
    let place = Place::new();
    let source = place.path("source");
    for n in 0..300 {
        fs::create_dir_all(source.join(format!("directory-{n}"))).unwrap();
        fs::write(source.join(format!("directory-{n}/file")), format!("{n}")).unwrap();
    }
    let vault = init("copy-trees");
    backup(&vault, &source);
    let proxy = Proxy::new(weed().port);
    proxy.link(Link { delay: Duration::from_millis(50), rate: 0 });
    let far = Vault::open(backend(options_by(proxy.port, "copy-trees")), &password(), options()).unwrap();
    let before = proxy.count(Verb::Get);
    let back = Place::new();
    let report = copy(&far, &back.vault());
    assert_eq!(report.copied.len(), 1);
    // One for the trees' walk, one to carry them over, one for the data.
    let asked = proxy.count(Verb::Get) - before;
    assert!(asked <= 4, "{asked} requests for two packs");
}
