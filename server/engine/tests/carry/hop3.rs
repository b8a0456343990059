//! Backups of hop3's layout.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use holdfast_model::state::Proof;
use serde_json::json;

use crate::{
    bench::{Bench, run},
    drilled,
    forged::{packed, sha256},
    refused, repository, support, take,
};

/// A backup directory of hop3's layout, as a tar archive with its metadata first.
fn hop3(folder: &Path, names: &[&str], format: &str) -> Vec<u8> {
    let mut all: Vec<(String, Vec<u8>)> =
        names.iter().map(|name| ((*name).to_owned(), fs::read(folder.join(name)).unwrap())).collect();
    let checksums: BTreeMap<&str, String> =
        all.iter().map(|(name, content)| (name.as_str(), format!("sha256:{}", sha256(content)))).collect();
    let metadata = json!({
        "backup_id": "20251108_143022_a8f3d9", "app_name": "blog", "created_at": "2025-11-08T14:30:22.123456",
        "format_version": format, "hop3_version": "0.8.0", "checksums": checksums, "size_bytes": 1,
    });
    all.insert(0, ("metadata.json".to_owned(), serde_json::to_vec(&metadata).unwrap()));
    packed(&all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_directory_of_hop3_comes_in_and_is_never_called_proven() {
    let server = support::Server::ready().await;
    let mut session = support::app_session(&server, "shop").await;
    support::run(
        &mut session,
        "create table t (a int primary key, b text); insert into t select i, 'b' || i from generate_series(1, 500) i;
         create view v as select a from t; grant select on t to public;",
    )
    .await;
    let bench = Bench::new().await;
    let folder = bench.dir.path().join("backup");
    fs::create_dir_all(folder.join("services")).unwrap();
    repository(&bench);
    bench.write("data/uploads/a.txt", "a");
    fs::write(folder.join("env.json"), r#"{"SECRET": "canary", "WORKERS": 2}"#).unwrap();
    run(&bench.app(""), &["tar", "-czf", folder.join("source.tar.gz").to_str().unwrap(), "src"]);
    run(&bench.app(""), &["tar", "-czf", folder.join("data.tar.gz").to_str().unwrap(), "data"]);
    let dumped = Command::new(support::bin().join("pg_dump"))
        .arg(server.app("shop").expose())
        .arg("-f")
        .arg(folder.join("services/postgres_mydb.sql"))
        .status()
        .unwrap();
    assert!(dumped.success());
    let names = ["source.tar.gz", "data.tar.gz", "env.json", "services/postgres_mydb.sql"];
    let (imported, came) = take(&bench, hop3(&folder, &names, "1.0")).await.unwrap();
    assert_eq!((imported.origin.system.as_str(), imported.origin.id.as_str()), ("hop3", "20251108_143022_a8f3d9"));
    let kinds: Vec<(&str, String)> =
        came.manifest.components.iter().map(|c| (c.name.as_str(), c.kind.to_string())).collect();
    let wanted = [("source", "git"), ("data", "files"), ("env", "config"), ("mydb", "postgres")];
    assert_eq!(kinds, wanted.map(|(name, kind)| (name, kind.to_owned())));
    assert_eq!(came.part("mydb").ledger.as_ref().unwrap().tables["public.t"].rows, 500);
    let definition = bench.define(json!([{"name": "data", "kind": "files", "path": bench.app("back")}]), json!({}));
    let report = drilled(&bench, &definition, &came).await;
    assert_eq!(report.verdict, Proof::Partial, "{:?}", report.reason);
    assert!(report.components.iter().all(|part| part.checks.iter().all(|check| check.passed)));
    assert!(report.components.iter().all(|part| part.gaps.iter().any(|gap| gap.reason.contains("no ledger"))));
    let mut work = bench.restore_work(&definition, &came);
    work.components.retain(|name| name.as_str() == "data");
    holdfast_engine::restore::validate(work, &bench.tools, &bench.ctx())
        .await
        .unwrap()
        .carry_out(&bench.ctx())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(bench.app("back/uploads/a.txt")).unwrap(), "a");

    let closed = Bench::new().await;
    // Older is warned about, newer refused; SQL that fails imports nothing, and neither does one that reaches out.
    let older = Bench::new().await;
    let (imported, _) = take(&older, hop3(&folder, &["env.json"], "0.9")).await.unwrap();
    assert!(imported.warnings[0].contains("older"));
    assert!(refused(&closed, hop3(&folder, &["env.json"], "2.0")).await.contains("update"));
    fs::write(folder.join("services/postgres_mydb.sql"), "create table x (a int);\nselect nonsense;\n").unwrap();
    assert!(refused(&closed, hop3(&folder, &["services/postgres_mydb.sql"], "1.0")).await.contains("nonsense"));
    let loot = bench.dir.path().join("loot");
    fs::write(&loot, "canary").unwrap();
    fs::set_permissions(&loot, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let steal = format!("create table x (a text);\n\\copy x from '{}'\n", loot.display());
    fs::write(folder.join("services/postgres_mydb.sql"), steal).unwrap();
    assert!(
        refused(&closed, hop3(&folder, &["services/postgres_mydb.sql"], "1.0")).await.contains("Permission denied")
    );

    // A repository that borrows from this host's own ones.
    fs::write(bench.app("src/.git/objects/info/alternates"), "/root/secret/.git/objects\n").unwrap();
    run(&bench.app(""), &["tar", "-czf", folder.join("source.tar.gz").to_str().unwrap(), "src"]);
    assert!(refused(&closed, hop3(&folder, &["source.tar.gz"], "1.0")).await.contains("alternates"));
}
