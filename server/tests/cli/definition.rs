//! Mistakes in `holdfast.yaml` are found before any server is asked, at their line and column.

use std::fs;

use crate::support::run;

#[test]
fn a_mistake_is_named_with_its_place_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdfast.yaml");
    let text = "project: shop\nenvironment: production\ncomponents:\n  - name: db\n    kind: postgres\n    url: postgres://shop:canary-pw@db/shop\n    pth: x\n";
    fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let ran = run(&["apply", "-f", name]).expect(1);
    assert_eq!(ran.out, "");
    assert!(ran.err.starts_with(&format!("error: {name} cannot be used\n  {name}:7:5: ")), "{}", ran.err);
    assert!(ran.err.contains("pth"), "{}", ran.err);
    assert!(!ran.err.contains("canary"), "{}", ran.err);
    let ran = run(&["apply", "-f", name, "--json"]).expect(1);
    assert!(ran.json()["errors"][0].as_str().unwrap().contains(":7:5: "), "{}", ran.out);
}

#[test]
fn a_file_that_is_not_there_is_said_plainly() {
    let ran = run(&["apply", "-f", "/nowhere/holdfast.yaml"]).expect(1);
    assert_eq!(ran.err, "error: reading /nowhere/holdfast.yaml: No such file or directory (os error 2)\n");
}
