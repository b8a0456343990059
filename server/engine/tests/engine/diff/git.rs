use std::{fs, path::Path};

use holdfast_model::diff::{Changes, FileBody, GitChanges};
use serde_json::json;

use super::{files, mirrored, one, open, sorted, told};
use crate::bench::{Bench, run};

fn changes(part: &holdfast_model::diff::ComponentDiff) -> GitChanges {
    let Changes::Git(changes) = &part.changes else { panic!("{part:?}") };
    changes.clone()
}

fn repository(bench: &Bench) -> std::path::PathBuf {
    let root = bench.app("src");
    fs::create_dir_all(&root).unwrap();
    run(&root, &["git", "init", "-q", "-b", "main"]);
    for (name, text) in [("a.txt", "one\ntwo\n"), ("b.txt", "b\n"), ("moves.txt", "these words move\n")] {
        fs::write(root.join(name), text).unwrap();
    }
    commit(&root, "First");
    root
}

fn commit(root: &Path, title: &str) -> String {
    run(root, &["git", "add", "-A"]);
    run(root, &["git", "commit", "-qm", title]);
    run(root, &["git", "rev-parse", "HEAD"])
}

fn titles(commits: &[holdfast_model::diff::Commit]) -> Vec<&str> {
    commits.iter().map(|commit| commit.title.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_refs_and_files_of_both_directions() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    run(&root, &["git", "checkout", "-q", "-b", "dropped"]);
    fs::write(root.join("d.txt"), "d\n").unwrap();
    commit(&root, "Only on the dropped branch");
    run(&root, &["git", "checkout", "-q", "main"]);
    let first = bench.take(&definition).await;
    assert_eq!(one(&bench, &first, &first).await.changes, Changes::Same);

    run(&root, &["git", "branch", "-qD", "dropped"]);
    fs::write(root.join("a.txt"), "one\n2\nthree\n").unwrap();
    fs::rename(root.join("moves.txt"), root.join("moved.txt")).unwrap();
    commit(&root, "Second: «odd» | title\n\nand more words");
    run(&root, &["chmod", "+x", "b.txt"]);
    let head = commit(&root, "Third");
    run(&root, &["git", "tag", "v1"]);
    // Uncommitted: one changed, one untracked.
    fs::write(root.join("a.txt"), "one\n2\nthree\nfour\n").unwrap();
    fs::write(root.join("untracked.txt"), "new\n").unwrap();
    // All in one pack now: the objects that both have lie in other files.
    run(&root, &["git", "gc", "-q", "--prune=now"]);
    let second = bench.take_after(&definition, &first).await;

    let part = one(&bench, &first, &second).await;
    let found = changes(&part);
    assert_eq!(titles(&found.added), ["Third", "Second: «odd» | title"]);
    assert_eq!(titles(&found.removed), ["Only on the dropped branch"]);
    assert_eq!((found.added[0].id.as_str(), found.added[0].author.as_str(), found.more), (head.as_str(), "A", 0));
    assert!((time::OffsetDateTime::now_utc() - found.added[0].time).whole_hours() < 1);
    assert_eq!(found.head.after.as_deref(), Some(head.as_str()));
    assert_eq!((found.branch.before.as_deref(), found.branch.after.as_deref()), (Some("main"), Some("main")));
    assert_eq!((found.uncommitted.before, found.uncommitted.after), (false, true));
    let refs: Vec<_> =
        found.refs.iter().map(|this| (this.name.as_str(), this.before.is_some(), this.after.is_some())).collect();
    let expected =
        [("refs/heads/dropped", true, false), ("refs/heads/main", true, true), ("refs/tags/v1", false, true)];
    assert_eq!(refs, expected);
    let expected = ["M a.txt +3 -1", "* b.txt (mode 0644 → 0755)", "R moves.txt > moved.txt", "A untracked.txt"];
    assert_eq!(told(files(&part)), expected);
    assert!(part.skipped.is_empty(), "{:?}", part.skipped);

    let back = one(&bench, &second, &first).await;
    let turned = changes(&back);
    assert_eq!((&turned.added, &turned.removed), (&found.removed, &found.added));
    assert_eq!(sorted(files(&back)), sorted(&mirrored(files(&part))));

    let view = open(&bench, &first, &second, "src", b"a.txt").await;
    let FileBody::Text { hunks, .. } = &view.body else { panic!("{view:?}") };
    assert_eq!(hunks[0].lines.len(), 5);
    assert_eq!(view.after.unwrap().mode, "0644");
    // One that did not change can be opened all the same.
    let view = open(&bench, &first, &second, "src", b"b.txt").await;
    assert!(matches!(view.body, FileBody::Text { hunks, .. } if hunks.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_a_bare_one_and_one_that_only_one_side_has() {
    let bench = Bench::new().await;
    let root = bench.app("src");
    fs::create_dir_all(&root).unwrap();
    run(&root, &["git", "init", "-q", "-b", "main"]);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let empty = bench.take(&definition).await;
    fs::write(root.join("a"), "a\n").unwrap();
    let head = commit(&root, "First");
    let full = bench.take(&definition).await;
    let part = one(&bench, &empty, &full).await;
    assert_eq!((titles(&changes(&part).added), told(files(&part))), (vec!["First"], vec!["A a".to_owned()]));
    assert_eq!(changes(&part).head.after, Some(head));

    run(bench.dir.path(), &["git", "clone", "-q", "--bare", root.to_str().unwrap(), "app/bare.git"]);
    let bare = bench.define(json!([{"name": "bare", "kind": "git", "path": bench.app("bare.git")}]), json!({}));
    let bare = bench.take(&bare).await;
    let parts = super::between(&bench, &empty, &bare).await.components;
    assert_eq!((titles(&changes(&parts[0]).added), told(files(&parts[0]))), (vec!["First"], vec!["A a".to_owned()]));
    assert_eq!(parts[1].name.as_str(), "src");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_links_and_kinds_in_a_work_tree() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new().await;
    let root = repository(&bench);
    let odd = root.join(std::ffi::OsStr::from_bytes(b"odd \"\n\xff"));
    fs::write(&odd, "1\n").unwrap();
    fs::write(root.join("becomes"), "a file\n").unwrap();
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    commit(&root, "Odd");
    let first = bench.take(&definition).await;
    fs::write(&odd, "2\n").unwrap();
    fs::remove_file(root.join("becomes")).unwrap();
    std::os::unix::fs::symlink("a.txt", root.join("becomes")).unwrap();
    fs::remove_file(root.join("b.txt")).unwrap();
    fs::create_dir(root.join("b.txt")).unwrap();
    fs::write(root.join("b.txt/in"), "in\n").unwrap();
    let second = bench.take(&definition).await;
    let part = one(&bench, &first, &second).await;
    let expected = ["D b.txt", "A b.txt/in", "M becomes [file → symlink]", "M odd \"\n\\xFF +1 -1"];
    assert_eq!(told(files(&part)), expected);
    let view = open(&bench, &first, &second, "src", b"odd \"\n\xff").await;
    assert!(matches!(view.body, FileBody::Text { hunks, .. } if hunks.len() == 1));
}
