//! Which credential a command takes: the one that is set, then the login at this terminal, then that of this machine.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;

use crate::support::{Ran, holdfast};

/// Nothing listens at either: what a command fails with says whom it asked, and as whom.
const SERVER: &str = "http://127.0.0.1:1";
const ISSUER: &str = "http://127.0.0.1:2";

fn scene() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let (data, config) = (home.path().join("data"), home.path().join("config/holdfast"));
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(&config).unwrap();
    fs::write(data.join("client.json"), json!({ "url": SERVER, "token": "hfk_canary" }).to_string()).unwrap();
    // Its access token has ended, so the provider is asked before the server.
    let login = json!({
        "provider": "sso", "issuer": ISSUER, "client_id": "cli", "access_token": "canary-access",
        "expires_at": "2026-01-01T00:00:00Z", "refresh_token": "canary-refresh",
    });
    let file = config.join("logins.json");
    fs::write(&file, json!({ (SERVER): login }).to_string()).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    home
}

fn run(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = holdfast();
    command.args(arguments).env("XDG_CONFIG_HOME", home.join("config")).env("HOLDFAST_DATA_DIR", home.join("data"));
    let ran = Ran::of(command.envs(variables.iter().copied()).output().unwrap());
    assert!(!ran.err.contains("canary") && !ran.out.contains("canary"), "{ran:?}");
    ran
}

#[test]
fn a_login_comes_before_this_machines_credential_and_behind_one_that_is_set() {
    let home = scene();
    let list = ["env", "list"];
    let by_login = format!("the identity provider {ISSUER} cannot be asked");
    let by_token = format!("the server at {SERVER} does not answer");
    for (arguments, variables, expected) in [
        (&list[..], &[][..], &by_login),
        (&list, &[("HOLDFAST_URL", SERVER)], &by_login),
        (&list, &[("HOLDFAST_URL", "http://127.0.0.1:1/")], &by_login),
        (&list, &[("HOLDFAST_DATA_DIR", "/nonexistent")], &by_login),
        (&list, &[("HOLDFAST_TOKEN", "hfk_x")], &by_token),
        (&list, &[("HOLDFAST_TOKEN", "hfk_x"), ("HOLDFAST_URL", SERVER)], &by_token),
        (&["admin", "env", "list"], &[], &by_token),
        (&["auth", "token"], &[("HOLDFAST_TOKEN", "hfk_x")], &by_login),
    ] {
        let ran = run(home.path(), arguments, variables).expect(1);
        assert!(ran.err.contains(expected.as_str()), "{arguments:?} {variables:?}: {}", ran.err);
    }
    let elsewhere = run(home.path(), &list, &[("HOLDFAST_URL", "http://127.0.0.1:3")]).expect(1);
    assert!(elsewhere.err.contains("there is no credential for http://127.0.0.1:3"), "{}", elsewhere.err);
}

#[test]
fn logging_out_forgets_it_though_the_provider_does_not_answer() {
    let home = scene();
    let out = run(home.path(), &["logout", "--json"], &[]).expect(0);
    assert_eq!(out.json(), json!({ "server": SERVER, "signed_out": true, "revoked": false }));
    assert!(out.err.contains("warning: "), "{}", out.err);
    let kept = fs::read_to_string(home.path().join("config/holdfast/logins.json")).unwrap();
    assert_eq!(kept.trim(), "{}");
    let token = run(home.path(), &["auth", "token"], &[]).expect(1);
    assert!(token.err.contains("mend: sign in: holdfast login"), "{}", token.err);
}

#[test]
fn a_file_that_others_can_read_signs_nobody_in() {
    let home = scene();
    let file = home.path().join("config/holdfast/logins.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let ran = run(home.path(), &["env", "list"], &[]).expect(1);
    assert!(ran.err.contains("can be read by others"), "and client.json does not take its place: {}", ran.err);
}

#[test]
fn nobody_signs_in_over_plain_http_to_another_machine() {
    let home = scene();
    let ran = run(home.path(), &["login", "--url", "http://192.0.2.7:3000"], &[]).expect(1);
    assert!(ran.err.contains("mend: give its https address"), "{}", ran.err);
    let ran = run(home.path(), &["admin", "login"], &[]).expect(2);
    assert!(ran.err.contains("run it without `admin`"), "{}", ran.err);
}
