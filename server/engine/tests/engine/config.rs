use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use holdfast_model::{manifest::Facts, state::Proof};
use serde_json::json;

use crate::bench::Bench;

const ODD: &str = "# shop\r\nexport KEY='sup3r $ecret'\nURL=\"postgres://app:hunter2@db/shop\" # note\n\nMULTI=\"first\nsecond hush\"\nEMPTY=\nBARE=two words quiet\n";
const SECRETS: [&str; 4] = ["sup3r", "hunter2", "hush", "given-value"];

#[tokio::test(flavor = "multi_thread")]
async fn the_very_file_comes_back_and_no_value_is_told() {
    let bench = Bench::new().await;
    let file = bench.write("app/.env", ODD);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let definition = bench.define(
        json!([{"name": "settings", "kind": "config", "file": file,
                "variables": [{"name": "GIVEN", "value": "given-value"}, {"name": "PATH"}]}]),
        json!({}),
    );
    let checkpoint = bench.take(&definition).await;
    let Facts::Config { variables } = &checkpoint.part("settings").facts else { panic!() };
    assert_eq!(variables.keys().collect::<Vec<_>>(), ["BARE", "EMPTY", "GIVEN", "KEY", "MULTI", "PATH", "URL"]);
    assert_eq!(variables["GIVEN"], "the definition");
    assert!(variables["PATH"].contains("capturing host") && variables["KEY"].contains("app/.env"));
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Proven, "{report:?}");

    let node = bench.vault.find(&checkpoint.root, Path::new("config/settings.json")).unwrap();
    let sealed = std::io::read_to_string(bench.vault.read(&node).unwrap()).unwrap();
    assert!(sealed.contains("given-value"), "the vault holds the values");

    fs::write(&file, "KEY=overwritten\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let done = bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), ODD);
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
    assert!(done.warnings.iter().any(|line| line.contains("GIVEN, PATH")), "{done:?}");
    let kept = done.kept[0].strip_prefix("the file ").unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "KEY=overwritten\n");

    let told = format!("{} {report:?} {done:?} {:?} {definition:?}", bench.all_told(), checkpoint.manifest);
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named() {
    let bench = Bench::new().await;
    for (component, word) in [
        (json!({"name": "c", "kind": "config", "file": bench.app("none.env")}), "none.env does not exist"),
        (
            json!({"name": "c", "kind": "config", "variables": [{"name": "NOT_SET_ANYWHERE"}]}),
            "NOT_SET_ANYWHERE is not set",
        ),
    ] {
        let definition = bench.define(json!([component]), json!({}));
        let error = bench.try_capture(bench.work(&definition)).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let odd = bench.write("odd.env", "A=1\nhunter2 stands here\n");
    let definition = bench.define(json!([{"name": "c", "kind": "config", "file": odd}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Partial);
    assert!(report.reason.as_ref().unwrap().contains("line 2"), "{report:?}");
    assert!(!format!("{report:?}{}", bench.all_told()).contains("hunter2"));
}
