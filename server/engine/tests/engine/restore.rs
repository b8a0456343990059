use std::{fs, path::Path};

use holdfast_engine::{Allow, RestoreError, restore};
use holdfast_model::event::{EventBody, StepState};
use serde_json::json;

use crate::bench::{Bench, listing};

fn steps(bench: &Bench) -> Vec<(String, StepState)> {
    let told = bench.told.0.lock().unwrap();
    told.iter()
        .filter_map(|body| match body {
            EventBody::Step { step, state, .. } if step.starts_with("restore:") && *state != StepState::Started => {
                Some((step.clone(), *state))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_newer_and_foreign_files_survive() {
    let bench = Bench::new().await;
    for path in ["up/a.txt", "up/b.txt", "up/dir/c.txt"] {
        bench.write(path, "as sealed");
    }
    bench.write("up/x.log", "excluded then");
    let component = json!({"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["*.log"]});
    let definition = bench.define(json!([component]), json!({}));
    let checkpoint = bench.take(&definition).await;

    fs::write(bench.app("up/a.txt"), "changed since, and longer").unwrap();
    fs::remove_file(bench.app("up/b.txt")).unwrap();
    bench.write("up/new/precious.txt", "new since");
    bench.write("up/x.log", "excluded now");
    bench.write("up/new/y.log", "excluded inside of something new");
    let work = bench.restore_work(&definition, &checkpoint);
    let (run, ctx) = (work.run.clone(), bench.ctx());
    let validated = restore::validate(work, &bench.tools, &ctx).await.unwrap();
    let lose = validated.would_lose().join("\n");
    assert!(lose.contains("1 changed and 1 added"), "{lose}");
    let done = validated.carry_out(&ctx).await.unwrap();

    for path in ["up/a.txt", "up/b.txt", "up/dir/c.txt"] {
        assert_eq!(fs::read_to_string(bench.app(path)).unwrap(), "as sealed");
    }
    assert_eq!(fs::read_to_string(bench.app("up/x.log")).unwrap(), "excluded now");
    assert_eq!(fs::read_to_string(bench.app("up/new/y.log")).unwrap(), "excluded inside of something new");
    let trash = bench.app(&format!(".holdfast-trash-{run}/up"));
    assert_eq!(fs::read_to_string(trash.join("a.txt")).unwrap(), "changed since, and longer");
    assert_eq!(fs::read_to_string(trash.join("new/precious.txt")).unwrap(), "new since");
    assert!(done.kept.iter().any(|line| line.contains(&trash.display().to_string())), "{done:?}");
    let mode = std::os::unix::fs::MetadataExt::mode(&trash.parent().unwrap().metadata().unwrap());
    assert_eq!(mode & 0o777, 0o700, "others could look into the trash");

    // Once more changes nothing, and the trash is in no later checkpoint.
    let before = listing(&bench.app(""));
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(listing(&bench.app("")), before);
    let whole = bench.define(json!([{"name": "all", "kind": "files", "path": bench.app("")}]), json!({}));
    let all = bench.take(&whole).await;
    let tree = bench.vault.find(&all.root, Path::new("files/all")).unwrap().subtree.unwrap();
    assert!(bench.vault.tree(&tree).unwrap().nodes.iter().all(|node| !node.name.to_string_lossy().contains("trash")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_steps_are_named_and_the_application_runs_again() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "as sealed");
    bench.write("db/x", "");
    rusqlite::Connection::open(bench.app("db/s.db"))
        .unwrap()
        .execute_batch("create table t (a); insert into t values (1)")
        .unwrap();
    let log = bench.app("calls");
    let call = |word: &str| json!(["/bin/sh", "-c", format!("echo {word} >> {}", log.display())]);
    let definition = bench.define(
        json!([{"name": "up", "kind": "files", "path": bench.app("up")}, {"name": "s", "kind": "sqlite", "path": bench.app("db/s.db")}]),
        json!({
            "app": {"hostname": "shop.example.org", "port": 8000},
            "restore": {"stop": call("stop"), "start": call("start"), "after": [{"cmd": call("after")}],
                        "health": [{"sql": "select count(*) = 1 from t", "component": "s"}]}
        }),
    );
    let checkpoint = bench.take(&definition).await;
    fs::write(bench.app("up/a.txt"), "bad").unwrap();
    let done = bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\nafter\n");
    assert_eq!(done.address.as_deref(), Some("shop.example.org:8000"));
    let names: Vec<(String, StepState)> = [
        ("validate", StepState::Done),
        ("stop", StepState::Done),
        ("files", StepState::Done),
        ("databases", StepState::Done),
        ("config", StepState::Skipped),
        ("start", StepState::Done),
        ("health", StepState::Done),
        ("complete", StepState::Done),
    ]
    .map(|(name, state)| (format!("restore:{name}"), state))
    .into();
    assert_eq!(steps(&bench), names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_names_itself_and_starts_the_application_again() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "as sealed");
    rusqlite::Connection::open(bench.app("s.db")).unwrap().execute_batch("create table t (a)").unwrap();
    let log = bench.app("calls");
    let call = |word: &str| json!(["/bin/sh", "-c", format!("echo {word} >> {}", log.display())]);
    let definition = bench.define(
        json!([{"name": "up", "kind": "files", "path": bench.app("up")}, {"name": "s", "kind": "sqlite", "path": bench.app("s.db")}]),
        json!({"restore": {"stop": call("stop"), "start": call("start")}}),
    );
    let checkpoint = bench.take(&definition).await;
    fs::write(bench.app("up/a.txt"), "bad").unwrap();
    let open = rusqlite::Connection::open(bench.app("s.db")).unwrap();
    open.execute_batch("begin immediate; insert into t values (1)").unwrap();
    let error = bench.restore(&definition, &checkpoint).await.unwrap_err();
    let RestoreError::Step { step, message, state } = error else { panic!("{error:?}") };
    assert_eq!(step, "restore:databases");
    assert!(message.contains("`s`") && message.contains("is open in another process"), "{message}");
    assert!(
        state.contains("files put back") && state.contains("started again") && state.contains("run again"),
        "{state}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\n");
    open.execute_batch("rollback").unwrap();
    drop(open);
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(bench.app("up/a.txt")).unwrap(), "as sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_is_found_before_anything_is_touched() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "as sealed");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    bench.write("up/a.txt", "now");
    let other = bench.define(
        json!([{"name": "up", "kind": "git", "path": bench.app("up")}]),
        json!({"restore": {"stop": ["/no/such/program"], "start": ["/bin/true"]}}),
    );
    let mut work = bench.restore_work(&other, &checkpoint);
    work.allow = Allow { commands: ["/no/such/program".to_owned()].into() };
    work.components.push(crate::bench::name("nothing"));
    let before = listing(&bench.app(""));
    let error = restore::validate(work, &bench.tools, &bench.ctx()).await.map(drop).unwrap_err().to_string();
    for word in [
        "`/no/such/program` is not there",
        "`/bin/true` is not permitted",
        "sealed as `files`",
        "`nothing` is not in this checkpoint",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(listing(&bench.app("")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_bare_machine_the_applications_own_programs_come_back_with_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().await;
    let log = bench.app("calls");
    for word in ["stop", "start"] {
        bench.write(&format!("up/bin/{word}"), &format!("#!/bin/sh\necho {word} >> {}\n", log.display()));
        let program = bench.app(&format!("up/bin/{word}"));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let component = json!({"name": "up", "kind": "files", "path": bench.app("up")});
    let commands = |stop: &Path| json!({"restore": {"stop": [stop], "start": [bench.app("up/bin/start")]}});
    let definition = bench.define(json!([component]), commands(&bench.app("up/bin/stop")));
    let checkpoint = bench.take(&definition).await;
    fs::remove_dir_all(bench.app("up")).unwrap();
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "start\n", "what is not there cannot stop anything");
    assert!(steps(&bench).contains(&("restore:stop".into(), StepState::Skipped)));
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "start\nstop\nstart\n");

    // One that is no part of what is put back is missing for good.
    let elsewhere = bench.define(json!([component]), commands(&bench.app("gone/stop")));
    let refused = bench.restore(&elsewhere, &checkpoint).await.unwrap_err();
    assert!(matches!(&refused, RestoreError::Refused(why) if why[0].contains("gone/stop")), "{refused}");
}
