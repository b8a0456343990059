//! Copies between disk and bucket.

use std::fs;

use holdfast_vault::{Cancel, CopyOptions, Meter, RestoreOptions, Vault};

use super::support::*;
use super::{all_is_well, init, restic, restics};

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
    home.restore(&home.snapshots().unwrap()[1].tree, &target, RestoreOptions::default()).unwrap();
    assert_eq!(rsync_differences(&source, &target.join("source"), &[]), "");
    // Into a bucket that has the half of it.
    fs::write(source.join("a/third"), random(1000)).unwrap();
    backup(&vault, &source);
    let more = copy(&vault, &bucket);
    assert_eq!((more.copied.len(), more.there_already.len()), (1, 2));
    assert!(more.blobs < 8 && more.skipped_blobs > 0, "{more:?}");
}
