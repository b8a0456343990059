use std::{fs, path::Path};

use holdfast_model::{manifest::Facts, state::Proof};
use serde_json::json;

use crate::bench::{Bench, Checkpoint, listing, run};

/// A repository with branches, tags, a stash, staged, unstaged, untracked and ignored work.
fn repository(bench: &Bench) -> std::path::PathBuf {
    let root = bench.app("src");
    fs::create_dir_all(&root).unwrap();
    run(&root, &["git", "init", "-q", "-b", "main"]);
    for index in 0..40 {
        fs::write(root.join(format!("f{index}.txt")), format!("line {index}\n").repeat(200 + index)).unwrap();
    }
    fs::write(root.join(".gitignore"), "ignored/\n*.tmp\n").unwrap();
    run(&root, &["git", "add", "."]);
    run(&root, &["git", "commit", "-qm", "first"]);
    run(&root, &["git", "tag", "-a", "v1", "-m", "one"]);
    run(&root, &["git", "branch", "feature"]);
    fs::write(root.join("f0.txt"), "second\n").unwrap();
    run(&root, &["git", "commit", "-qam", "second"]);
    fs::write(root.join("f1.txt"), "stashed\n").unwrap();
    run(&root, &["git", "stash", "-q"]);
    fs::write(root.join("f2.txt"), "staged\n").unwrap();
    run(&root, &["git", "add", "f2.txt"]);
    fs::write(root.join("f2.txt"), "staged, then changed\n").unwrap();
    fs::remove_file(root.join("f3.txt")).unwrap();
    fs::write(root.join("new \"odd\" name.txt"), "untracked\n").unwrap();
    fs::create_dir(root.join("ignored")).unwrap();
    fs::write(root.join("ignored/keep"), "ignored\n").unwrap();
    root
}

fn state(root: &Path) -> String {
    let ask = |line: &[&str]| run(root, line);
    [
        ask(&["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"]),
        ask(&["git", "symbolic-ref", "HEAD"]),
        ask(&["git", "status", "--porcelain=v2", "--untracked-files=all"]),
        ask(&["git", "diff"]),
        ask(&["git", "stash", "list", "--format=%H"]),
    ]
    .join("\n--\n")
}

fn facts(checkpoint: &Checkpoint) -> (Option<String>, std::collections::BTreeMap<String, String>, bool) {
    let Facts::Git { branch, refs, dirty, .. } = checkpoint.part("src").facts.clone() else { panic!() };
    (branch, refs, dirty)
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_only_reads_and_the_copy_is_a_repository_of_its_own() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    // Programs that the repository names must never run.
    let trap = bench.app("trap");
    for setting in ["core.fsmonitor", "filter.x.clean", "filter.x.process", "core.sshCommand", "core.hooksPath"] {
        run(&root, &["git", "config", setting, &format!("touch {}", trap.display())]);
    }
    fs::write(root.join(".gitattributes"), "*.txt filter=x\n").unwrap();
    let before = listing(&root);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    assert_eq!(listing(&root), before, "the repository was written to");
    assert!(!trap.exists(), "a program of the repository was run");
    let (branch, refs, dirty) = facts(&checkpoint);
    assert_eq!(branch.as_deref(), Some("main"));
    assert!(dirty);
    for name in [
        "refs/heads/main",
        "refs/heads/feature",
        "refs/tags/v1",
        "refs/stash",
        "refs/holdfast/worktree",
        "refs/holdfast/index",
        "refs/holdfast/stash/0",
    ] {
        assert!(refs.contains_key(name), "{name} in {refs:?}");
    }
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Proven, "{report:?}");

    // Anyone's git can clone what any restore of the vault gives, with the original gone.
    let mirror = bench.scratch().join("mirror.git");
    let tree = bench.vault.find(&checkpoint.root, Path::new("git/src")).unwrap().subtree.unwrap();
    bench.vault.restore(&tree, &mirror, Default::default()).unwrap();
    fs::rename(&root, bench.app("away")).unwrap();
    run(bench.dir.path(), &["git", "-c", "safe.directory=*", "clone", "-q", mirror.to_str().unwrap(), "clone"]);
    assert!(run(&bench.dir.path().join("clone"), &["git", "log", "--oneline"]).contains("second"));
    let worktree = &refs["refs/holdfast/worktree"];
    let shown = run(&mirror, &["git", "ls-tree", "-r", "--name-only", "-z", worktree]);
    assert!(shown.contains("new \"odd\" name.txt") && !shown.contains("ignored/keep") && !shown.contains("f3.txt"));
    assert_eq!(run(&mirror, &["git", "show", &format!("{worktree}:f2.txt")]), "staged, then changed");
    assert_eq!(run(&mirror, &["git", "show", &format!("{}:f2.txt", refs["refs/holdfast/index"])]), "staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_commit_adds_little() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    run(&root, &["git", "gc", "-q"]);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let first = bench.take(&definition).await;
    fs::write(root.join("f9.txt"), "one small change\n").unwrap();
    run(&root, &["git", "commit", "-qm", "small", "f9.txt"]);
    let second = bench.take_after(&definition, &first).await;
    assert!(second.part("src").stored < 20_000, "{} bytes for a small commit", second.part("src").stored);
    assert_eq!(bench.drill(&definition, &second).await.verdict, Proof::Proven);
    let third = bench.take_after(&definition, &second).await;
    assert!(third.part("src").stored < 4_000, "{} bytes for no change", third.part("src").stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_and_nothing_of_now_is_lost() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let then = state(&root);
    let checkpoint = bench.take(&definition).await;

    // The day goes on: commits, a branch gone, a new one, uncommitted and untracked work.
    run(&root, &["git", "add", "-A"]);
    run(&root, &["git", "commit", "-qm", "later"]);
    let later = run(&root, &["git", "rev-parse", "HEAD"]);
    run(&root, &["git", "branch", "-D", "feature"]);
    run(&root, &["git", "checkout", "-q", "-b", "experiment"]);
    fs::write(root.join("f5.txt"), "precious change\n").unwrap();
    fs::create_dir(root.join("fresh")).unwrap();
    fs::write(root.join("fresh/note.txt"), "precious note\n").unwrap();
    fs::write(root.join("ignored/keep"), "ignored, changed\n").unwrap();

    let done = bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(state(&root), then);
    assert_eq!(fs::read_to_string(root.join("ignored/keep")).unwrap(), "ignored, changed\n");
    let kept = run(&root, &["git", "for-each-ref", "--format=%(refname)", "refs/holdfast"]);
    let before =
        |name: &str| kept.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{name}: {kept}"));
    assert_eq!(run(&root, &["git", "rev-parse", before("/heads/experiment")]), later);
    assert_eq!(run(&root, &["git", "show", &format!("{}:f5.txt", before("/worktree"))]), "precious change");
    assert_eq!(run(&root, &["git", "show", &format!("{}:fresh/note.txt", before("/worktree"))]), "precious note");
    assert!(!kept.contains("refs/holdfast/restore/"), "{kept}");
    let trash = done.kept.iter().find_map(|line| line.split(" files in ").nth(1)).unwrap_or_else(|| panic!("{done:?}"));
    assert_eq!(fs::read_to_string(Path::new(trash).join("fresh/note.txt")).unwrap(), "precious note\n");
    assert!(!root.join("fresh").exists());

    // And once more, from nothing.
    fs::remove_dir_all(&root).unwrap();
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(state(&root), then);
    let again = bench.take(&definition).await;
    assert_eq!(bench.drill(&definition, &again).await.verdict, Proof::Proven);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_repositories_work_or_are_refused_in_words() {
    let bench = Bench::new().await;
    let empty = bench.app("empty");
    fs::create_dir_all(&empty).unwrap();
    run(&empty, &["git", "init", "-q"]);
    let bare = bench.app("bare.git");
    run(
        bench.dir.path(),
        &["git", "clone", "-q", "--bare", repository(&bench).to_str().unwrap(), bare.to_str().unwrap()],
    );
    let linked = bench.app("linked");
    run(&bench.app("src"), &["git", "worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    fs::write(linked.join("f7.txt"), "changed in the linked tree\n").unwrap();
    let borrower = bench.app("borrower");
    run(bench.dir.path(), &["git", "clone", "-q", "--shared", bare.to_str().unwrap(), borrower.to_str().unwrap()]);
    let definition = bench.define(
        json!([
            {"name": "empty", "kind": "git", "path": empty},
            {"name": "bare", "kind": "git", "path": bare},
            {"name": "linked", "kind": "git", "path": linked},
            {"name": "borrower", "kind": "git", "path": borrower},
        ]),
        json!({}),
    );
    let checkpoint = bench.take(&definition).await;
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Proven, "{report:#?}");
    assert!(matches!(&checkpoint.part("linked").facts, Facts::Git { branch: None, head: Some(_), dirty: true, .. }));
    assert!(
        checkpoint.part("linked").not_covered.iter().any(|line| line.contains("other linked work trees"))
            || !checkpoint.part("linked").not_covered.is_empty()
    );
    // The borrowed store is in the copy: it is whole without it.
    fs::remove_dir_all(&bare).unwrap();
    fs::remove_dir_all(&borrower).unwrap();
    assert_eq!(bench.drill(&definition, &checkpoint).await.verdict, Proof::Proven);

    let plain = bench.define(json!([{"name": "x", "kind": "git", "path": bench.dir.path()}]), json!({}));
    let error = bench.try_capture(bench.work(&plain)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("is not a git repository"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ref_fails_the_drill() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let mut checkpoint = bench.take(&definition).await;
    let Facts::Git { refs, .. } = &mut checkpoint.manifest.components[0].facts else { panic!() };
    refs.insert("refs/heads/lost".into(), refs["refs/heads/main"].clone());
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Failed);
    assert!(report.reason.as_ref().unwrap().contains("refs/heads/lost"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_back_belongs_to_the_repository_s_owner() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = Bench::new().await;
    if bench.dir.path().metadata().unwrap().uid() != 0 {
        return;
    }
    let root = repository(&bench);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    fs::write(root.join("f0.txt"), "later\n").unwrap();
    fs::remove_file(root.join("f8.txt")).unwrap();
    run(&root, &["git", "commit", "-qam", "later"]);
    run(&root, &["chown", "-R", "65534:65534", "."]);
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert!(root.join("f8.txt").exists());
    let mut open = vec![root];
    while let Some(place) = open.pop() {
        let facts = place.symlink_metadata().unwrap();
        assert_eq!((facts.uid(), facts.gid()), (65534, 65534), "{}", place.display());
        if facts.is_dir() {
            open.extend(fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_conflict_is_captured_and_put_back_over() {
    let bench = Bench::new().await;
    let root = repository(&bench);
    run(&root, &["git", "checkout", "-q", "-f", "feature"]);
    fs::write(root.join("f0.txt"), "other\n").unwrap();
    run(&root, &["git", "commit", "-qam", "other"]);
    let definition = bench.define(json!([{"name": "src", "kind": "git", "path": root}]), json!({}));
    let clean = bench.take(&definition).await;
    let merge = std::process::Command::new("git").args(["merge", "-q", "main"]).current_dir(&root).output().unwrap();
    assert!(!merge.status.success(), "the merge was meant to conflict");
    let conflict = bench.take(&definition).await;
    assert_eq!(bench.drill(&definition, &conflict).await.verdict, Proof::Proven);
    let (_, refs, dirty) = facts(&conflict);
    assert!(dirty && refs.contains_key("refs/holdfast/worktree") && !refs.contains_key("refs/holdfast/index"));
    bench.restore(&definition, &clean).await.unwrap();
    assert_eq!(fs::read_to_string(root.join("f0.txt")).unwrap(), "other\n");
    assert!(!root.join(".git/MERGE_HEAD").exists());
    assert!(!run(&root, &["git", "status", "--porcelain"]).contains("UU"));
}
