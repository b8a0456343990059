use holdfast_engine::{DiffError, diff::reveal};
use holdfast_model::diff::{Change, Changes, ConfigChanges};
use serde_json::json;

use super::{one, work};
use crate::bench::{Bench, name};

fn changes(part: &holdfast_model::diff::ComponentDiff) -> ConfigChanges {
    let Changes::Configuration(changes) = &part.changes else { panic!("{part:?}") };
    changes.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_told_by_name_and_values_only_by_their_fingerprints() {
    let bench = Bench::new().await;
    let file = bench.write("app/.env", "KEPT=shared-secret\nCHANGED=old-secret\nGONE=gone-secret\n");
    let definition = bench.define(
        json!([{"name": "vars", "kind": "config", "file": file, "variables": [{"name": "GIVEN", "value": "shared-secret"}]}]),
        json!({}),
    );
    let first = bench.take(&definition).await;
    bench.write("app/.env", "NEW=old-secret\nCHANGED=new-secret\nKEPT='shared-secret'\n");
    let second = bench.take(&definition).await;
    let part = one(&bench, &first, &second).await;
    let found = changes(&part);
    let told: Vec<_> = found
        .variables
        .iter()
        .map(|this| (this.change.sign(), this.name.as_str(), this.before.is_some(), this.after.is_some()))
        .collect();
    assert_eq!(told, [('~', "CHANGED", true, true), ('-', "GONE", true, false), ('+', "NEW", false, true)]);
    assert_eq!((found.unchanged, found.file.as_slice()), (2, &[][..]));
    let prints: Vec<&String> = found.variables.iter().flat_map(|this| [&this.before, &this.after]).flatten().collect();
    assert!(prints.iter().all(|print| print.len() == 12 && print.bytes().all(|byte| byte.is_ascii_hexdigit())));
    // One value in two variables is not seen to be one value.
    assert_ne!(found.variables[0].before, found.variables[2].after);
    assert!(!format!("{part:?} {}", bench.all_told()).contains("-secret"));

    let work = work(&bench, &first, &second);
    let value = |secret: Option<holdfast_model::secret::Secret>| secret.map(|secret| secret.expose().to_owned());
    let (before, after) = reveal(&work, &name("vars"), "CHANGED").await.unwrap();
    assert_eq!((value(before).as_deref(), value(after).as_deref()), (Some("old-secret"), Some("new-secret")));
    let (before, after) = reveal(&work, &name("vars"), "NEW").await.unwrap();
    assert_eq!((value(before), value(after).as_deref()), (None, Some("old-secret")));
    assert!(matches!(reveal(&work, &name("none"), "NEW").await, Err(DiffError::NoSuchComponent { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_changes_in_an_env_file_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().await;
    let file = bench.write("app/.env", "A=1\nB=2\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let definition = bench.define(json!([{"name": "vars", "kind": "config", "file": file}]), json!({}));
    let first = bench.take(&definition).await;
    assert_eq!(one(&bench, &first, &first).await.changes, Changes::Same);
    bench.write("app/.env", "# why\nB=2\nA=1\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let second = bench.take(&definition).await;
    let found = changes(&one(&bench, &first, &second).await);
    assert_eq!(found.file, ["mode 0640 → 0600", "comments, order or quoting"]);
    assert_eq!((found.variables.len(), found.unchanged), (0, 2));

    // A file that cannot be read as variables has not lost them.
    bench.write("app/.env", "A=1\nthis is no variable\n");
    let third = bench.take(&definition).await;
    let part = one(&bench, &second, &third).await;
    let found = changes(&part);
    assert_eq!(found.variables.iter().filter(|this| this.change == Change::Removed).count(), 0);
    assert!(found.file.iter().any(|phrase| phrase.starts_with("content")), "{found:?}");
    assert!(part.skipped.iter().any(|skipped| skipped.reason == "unparsed"), "{part:?}");
}
