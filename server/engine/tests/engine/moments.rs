use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use holdfast_engine::{CaptureError, Context, DrillError, Events, RestoreError, capture, drill, probe, restore};
use holdfast_model::event::{EventBody, StepState};
use holdfast_vault::Cancel;
use serde_json::json;

use crate::bench::{Bench, run};

fn whole(bench: &Bench) -> holdfast_model::definition::Definition {
    for index in 0..400 {
        bench.write(&format!("up/f{index}"), &format!("{index} ").repeat(2000));
    }
    fs::create_dir_all(bench.app("src")).unwrap();
    run(&bench.app("src"), &["git", "init", "-q"]);
    bench.write("src/a", "a");
    bench.write(".env", "A=1\n");
    let _ = rusqlite::Connection::open(bench.app("s.db")).unwrap().execute_batch("create table if not exists t (a)");
    bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("up")},
            {"name": "src", "kind": "git", "path": bench.app("src")},
            {"name": "env", "kind": "config", "file": bench.app(".env")},
            {"name": "db", "kind": "sqlite", "path": bench.app("s.db")},
        ]),
        json!({}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn all_components_are_of_one_moment() {
    let bench = Bench::new().await;
    let definition = whole(&bench);
    let checkpoint = bench.take(&definition).await;
    assert!(checkpoint.manifest.skew_ms < 500, "{} ms", checkpoint.manifest.skew_ms);
    let order: Vec<&str> = checkpoint.manifest.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(order, ["up", "src", "env", "db"]);
    assert!(checkpoint.manifest.tools.contains_key("git") && checkpoint.manifest.tools.contains_key("sqlite"));
    assert!(checkpoint.stored > 0);
    let told = bench.told.0.lock().unwrap();
    let done = |wanted: &str| {
        told.iter().any(|body| matches!(body, EventBody::Step { step, state: StepState::Done, .. } if step == wanted))
    };
    for step in ["prepare", "hold", "capture:up", "capture:src", "capture:env", "capture:db"] {
        assert!(done(step), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_fails_the_whole_unless_it_is_a_rescue() {
    let bench = Bench::new().await;
    let definition = whole(&bench);
    fs::remove_file(bench.app("s.db")).unwrap();
    let error = bench.try_capture(bench.work(&definition)).await.map(drop).unwrap_err();
    assert!(matches!(&error, CaptureError::Component { component, .. } if component.as_str() == "db"), "{error:?}");
    assert!(bench.vault.snapshots().unwrap().is_empty());
    let mut work = bench.work(&definition);
    work.salvage = true;
    let (captured, writer) = bench.try_capture(work).await.unwrap();
    assert_eq!(captured.components.len(), 3);
    assert!(captured.failed[0].1.contains("does not exist"), "{:?}", captured.failed);
    tokio::task::spawn_blocking(move || writer.abandon()).await.unwrap();
}

/// Throws the switch when a step begins.
struct AtStep(&'static str, Cancel);

impl Events for AtStep {
    fn emit(&self, body: EventBody) {
        if matches!(&body, EventBody::Step { step, state: StepState::Started, .. } if step == self.0) {
            self.1.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_says_its_state_and_starts_the_application_again() {
    let bench = Bench::new().await;
    let log = bench.app("calls");
    bench.write("up/a", "as sealed");
    let call = |word: &str| json!(["/bin/sh", "-c", format!("echo {word} >> {}", log.display())]);
    let definition = bench.define(
        json!([{"name": "up", "kind": "files", "path": bench.app("up")}]),
        json!({"restore": {"stop": call("stop"), "start": call("start")}}),
    );
    let checkpoint = bench.take(&definition).await;
    bench.write("up/a", "now");
    let cancel = Cancel::new();
    let ctx = Context::new(cancel.clone(), Arc::new(AtStep("restore:files", cancel)));
    let work = bench.restore_work(&definition, &checkpoint);
    let error = restore::validate(work, &bench.tools, &ctx).await.unwrap().carry_out(&ctx).await.unwrap_err();
    assert!(matches!(&error, RestoreError::Cancelled { state } if state.contains("started again")), "{error:?}");
    assert_eq!(fs::read_to_string(&log).unwrap(), "stop\nstart\n");
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(bench.app("up/a")).unwrap(), "as sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_drill_gives_no_verdict() {
    let bench = Bench::new().await;
    let definition = whole(&bench);
    let checkpoint = bench.take(&definition).await;
    for step in ["drill", "drill:up", "drill:src", "drill:db"] {
        let cancel = Cancel::new();
        let ctx = Context::new(cancel.clone(), Arc::new(AtStep(step, cancel)));
        let work = bench.drill_work(&definition, &checkpoint);
        let outcome = drill(work, &bench.tools, &ctx).await;
        assert!(matches!(outcome, Err(DrillError::Cancelled)), "{step}: {:?}", outcome.map(|d| d.report.verdict));
    }
}

/// Throws the switch at the n-th event.
struct Trip {
    at: usize,
    seen: AtomicUsize,
    cancel: Cancel,
}

impl Events for Trip {
    fn emit(&self, _: EventBody) {
        if self.seen.fetch_add(1, Ordering::Relaxed) == self.at {
            self.cancel.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_at_any_moment_nothing_is_published() {
    let bench = Bench::new().await;
    let definition = whole(&bench);
    for at in [0, 1, 2, 3, 4, 5, 6, 7] {
        let cancel = Cancel::new();
        let events = Arc::new(Trip { at, seen: AtomicUsize::new(0), cancel: cancel.clone() });
        let (vault, switch) = (bench.vault.clone(), cancel.clone());
        let writer = tokio::task::spawn_blocking(move || vault.writer(switch)).await.unwrap().unwrap();
        let work = bench.work(&definition);
        let ctx = Context::new(cancel, events);
        let capturing = capture(work, Arc::new(writer), &bench.tools, &ctx);
        let ended = tokio::time::timeout(Duration::from_secs(10), capturing).await.expect("it did not end");
        // Thrown after the last look at it, the caller's own check before the seal sees it.
        assert!(matches!(ended, Err(CaptureError::Cancelled)), "event {at}: {:?}", ended.map(|c| c.skew_ms));
    }
    assert!(bench.vault.snapshots().unwrap().is_empty());
    let checkpoint = bench.take(&definition).await;
    assert_eq!(checkpoint.manifest.components.len(), 4);
    assert_eq!(bench.vault.snapshots().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_finds_what_is_wrong_with_place_and_mend() {
    let bench = Bench::new().await;
    assert_eq!(
        probe(&whole(&bench), &bench.tools).await.iter().filter(|f| f.fatal).collect::<Vec<_>>(),
        Vec::<&_>::new()
    );
    let definition = bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("gone")},
            {"name": "pat", "kind": "files", "path": bench.app("up"), "exclude": ["a{"]},
            {"name": "src", "kind": "git", "path": bench.app("up")},
            {"name": "env", "kind": "config", "file": bench.app("gone.env")},
            {"name": "db", "kind": "sqlite", "path": bench.app(".env")},
            {"name": "pg", "kind": "postgres", "url_env": "NO_SUCH_URL"},
        ]),
        json!({"drill": {"accept": ["[x"]}, "restore": {"start": ["/no/such"]}}),
    );
    let found = probe(&definition, &bench.tools).await;
    for at in [
        "components[0].path",
        "components[1].exclude",
        "components[2].path",
        "components[3].file",
        "components[4].path",
        "components[5].url_env",
        "drill.accept",
    ] {
        assert!(found.iter().any(|finding| finding.at == at && finding.fatal), "{at}: {found:#?}");
    }
    assert!(found.iter().any(|finding| finding.at == "restore" && !finding.fatal));
}
