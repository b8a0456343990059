//! What is said when there is no server, no credential, or no sense in the arguments.

use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
};

use crate::support::{Ran, holdfast, run};

#[test]
fn wrong_usage_is_two() {
    for arguments in [
        &["checkpoint", "create"][..],
        &["checkpoint", "list", "--since", "7parsecs"],
        &["checkpoint", "list", "--limit", "0"],
        &["checkpoint", "create", "shop", "--meta", "novalue"],
        &["checkpoint", "create", "shop", "--quiet", "--json"],
        &["checkpoint", "show", ".."],
        &["env", "list", "--url", "ftp://127.0.0.1"],
        &["env", "list", "--url", "http://user:secret@127.0.0.1"],
        &["nonsense"],
    ] {
        let ran = holdfast()
            .args(arguments)
            .envs((!arguments.contains(&"--url")).then_some(("HOLDFAST_URL", "http://127.0.0.1:1")))
            .env("HOLDFAST_TOKEN", "hfk_test")
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(2), "{arguments:?} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(ran.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn no_server_known_says_how_to_have_one() {
    let home = tempfile::tempdir().unwrap();
    let ran = run(&["env", "list", "--data-dir", home.path().to_str().unwrap()]).expect(1);
    assert!(ran.err.starts_with("error: no server is known: "), "{}", ran.err);
    assert!(ran.err.contains("client.json"), "{}", ran.err);
    assert!(ran.err.contains("  mend: start it with: holdfast serve"), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[test]
fn a_server_that_is_down_is_named_and_json_stays_one_value() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    let file = format!("{{\"url\":\"http://127.0.0.1:{port}\",\"token\":\"hfk_canary\"}}");
    fs::write(home.path().join("client.json"), file).unwrap();
    let data_dir = home.path().to_str().unwrap();
    let ran = run(&["checkpoint", "list", "--data-dir", data_dir]).expect(1);
    assert!(ran.err.contains(&format!("error: the server at http://127.0.0.1:{port} does not answer")), "{}", ran.err);
    assert!(ran.err.contains("start it with: holdfast serve"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    let ran = run(&["checkpoint", "list", "--json", "--data-dir", data_dir]).expect(1);
    assert_eq!(ran.json()["type"], "no-answer");
    assert!(!format!("{ran:?}").contains("canary"));
}

#[test]
fn the_credential_of_this_machine_goes_to_its_own_server_only() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("client.json"), "{\"url\":\"http://127.0.0.1:1\",\"token\":\"hfk_canary\"}").unwrap();
    let ran =
        run(&["env", "list", "--url", "http://127.0.0.1:2", "--data-dir", home.path().to_str().unwrap()]).expect(1);
    assert!(ran.err.contains("there is no credential for http://127.0.0.1:2"), "{}", ran.err);
}

#[test]
fn something_else_that_answers_is_no_holdfast() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>").unwrap();
    });
    let ran = holdfast()
        .args(["env", "list"])
        .env("HOLDFAST_URL", format!("http://127.0.0.1:{port}"))
        .env("HOLDFAST_TOKEN", "hfk_test")
        .output()
        .unwrap();
    served.join().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(err.contains("is not a Holdfast"), "{err}");
}

#[test]
fn version_and_completions_need_no_server() {
    assert_eq!(run(&["version"]).expect(0).out, format!("holdfast {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["version", "--json"]).expect(0).json()["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).expect(0).out.contains("recovery-kit"), "{shell}");
    }
}

#[test]
fn a_pipe_that_is_closed_is_no_error() {
    let mut child =
        holdfast().args(["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its reader leaves after one byte, long before the script is through.
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn help_names_examples_and_every_command() {
    let help = run(&["--help"]).expect(0).out;
    for word in [
        "serve",
        "apply",
        "env",
        "checkpoint",
        "logs",
        "vault",
        "catalogue",
        "recover",
        "sign-in-link",
        "doctor",
        "login",
        "logout",
        "auth",
        "completions",
        "Examples:",
    ] {
        assert!(help.contains(word), "{word}:\n{help}");
    }
    let help = run(&["checkpoint", "create", "--help"]).expect(0).out;
    for option in [
        "--name",
        "--description",
        "--tags",
        "--exclude",
        "--components",
        "--without",
        "--commit",
        "--branch",
        "--deploy-id",
        "--meta",
        "--no-drill",
        "--no-wait",
        "--quiet",
        "--json",
    ] {
        assert!(help.contains(option), "{option}:\n{help}");
    }
}

#[test]
fn the_break_glass_password_is_set_and_taken_away_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().to_str().unwrap().to_owned();
    let file = home.path().join("break-glass");
    let ask = |arguments: &[&str], input: &str| {
        let mut command = holdfast();
        command.arg("break-glass").args(arguments).args(["--data-dir", &data]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    };
    assert_eq!(ask(&["status", "--json"], "").expect(0).json()["set"], false);
    let short = ask(&["set"], "too short\n").expect(1);
    assert!(short.err.contains("14 to 512 letters") && !file.exists(), "{}", short.err);
    let set = ask(&["set"], "a canary of a password\n").expect(0);
    assert!(set.out.is_empty() && set.err.contains("no identity provider"), "{set:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("$argon2id$v=19$m=65536,") && !text.contains("canary"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(ask(&["status"], "").expect(0).out.contains("is set, since"));
    let made = ask(&["set", "--generate", "--json"], "").expect(0).json();
    assert_eq!(made["password"].as_str().unwrap().len(), 29);
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
    assert!(ask(&["off"], "").expect(0).out.contains("is gone"));
    assert!(!file.exists() && ask(&["off"], "").expect(0).out.contains("No break-glass password was set"));
    assert_eq!(run(&["admin", "break-glass", "off"]).expect(2).out, "", "it asks no server");
}
