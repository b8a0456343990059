//! An application with one of each kind, and how a restore of it is planned and carried out.

use holdfast_engine::{
    Planned, RestoreError, RestoreReport, RestoreWork,
    restore::{look, validate},
};
use holdfast_model::{definition::Definition, plan::PlanItem};
use serde_json::json;

use crate::bench::{Bench, Checkpoint, run};

/// One of each kind, and its checkpoint.
pub async fn shop(bench: &Bench) -> (Definition, Checkpoint) {
    for path in ["up/a.txt", "up/b.txt", "up/img/logo.svg", "up/img/deep/photo.jpg", "up/x.log"] {
        bench.write(path, "as sealed");
    }
    bench.write(".env", "KEY=1\nOTHER=2\n");
    rusqlite::Connection::open(bench.app("s.db"))
        .unwrap()
        .execute_batch("create table t (a); insert into t values (1)")
        .unwrap();
    bench.write("code/main.rs", "fn main() {}\n");
    run(&bench.app("code"), &["git", "init", "-q", "-b", "main"]);
    run(&bench.app("code"), &["git", "add", "."]);
    run(&bench.app("code"), &["git", "commit", "-q", "-m", "first"]);
    let definition = bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["*.log"]},
            {"name": "code", "kind": "git", "path": bench.app("code")},
            {"name": "env", "kind": "config", "file": bench.app(".env")},
            {"name": "db", "kind": "sqlite", "path": bench.app("s.db")},
        ]),
        json!({"restore": {"stop": ["/bin/true"]}}),
    );
    let checkpoint = bench.take(&definition).await;
    (definition, checkpoint)
}

pub async fn plan(bench: &Bench, work: RestoreWork) -> Planned {
    look(work, &bench.tools, &bench.ctx()).await.unwrap().plan()
}

pub fn item<'a>(plan: &'a Planned, component: &str) -> &'a PlanItem {
    plan.items.iter().find(|item| item.component.as_str() == component).unwrap()
}

pub async fn carry_out(bench: &Bench, work: RestoreWork) -> Result<RestoreReport, RestoreError> {
    validate(work, &bench.tools, &bench.ctx()).await?.carry_out(&bench.ctx()).await
}

pub fn refused(error: &RestoreError) -> String {
    let RestoreError::Refused(faults) = error else { panic!("{error:?}") };
    faults.join("\n")
}
