//! A checkpoint's life from the command line: taken, listed, shown, read, verified, drilled, put back, deleted.

use std::fs;

use crate::support::{Server, Shop};

#[test]
fn a_checkpoint_is_taken_proven_put_back_and_deleted() {
    let server = Server::start();
    let shop = Shop::make(server.folder(), "shop", "production", "hooks: {pre_deploy: ['./x ${ENV_NAME}']}\n");

    let applied = shop.apply(&server).out;
    assert!(applied.contains("shop/production"), "{applied}");
    assert!(applied.contains("not in force in this version: hooks"), "{applied}");
    assert!(applied.contains(shop.folder.join("uploads").to_str().unwrap()), "{applied}");

    let created = server
        .run(&[
            "checkpoint",
            "create",
            "production",
            "--name",
            "before-migration",
            "--tags",
            "release,v2",
            "--commit",
            "abc123",
            "--meta",
            "ticket=7",
        ])
        .expect(0)
        .out;
    assert!(created.starts_with("Creating checkpoint for environment: production\n"), "{created}");
    assert!(created.contains("  ✓ "), "{created}");
    let fact = |label: &str| {
        let line = created
            .lines()
            .find(|line| line.trim_start().starts_with(label))
            .unwrap_or_else(|| panic!("{label}: {created}"));
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let id = fact("ID:");
    assert!(id.starts_with("chk_"), "{created}");
    assert_eq!(fact("Name:"), "before-migration");
    assert_eq!(fact("Environment:"), "production");
    assert!(fact("Created:").ends_with(" UTC"));
    assert!(fact("Proof:").starts_with("proven"), "{created}");
    assert!(created.ends_with(&format!("To restore: holdfast checkpoint restore {id}\n")), "{created}");

    // In a pipe, every line below the heads is a row, and the first word of it an id.
    let listed = server.run(&["checkpoint", "list", "--env", "shop/production", "--since", "7d"]).expect(0);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", listed.out);
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["ID", "NAME", "ENVIRONMENT", "SIZE", "CREATED"]);
    assert_eq!(lines[1].split_whitespace().next(), Some(id.as_str()));
    assert!(listed.err.starts_with("1 checkpoint, "), "{}", listed.err);
    let verbose = server.run(&["checkpoint", "list", "--verbose", "--tag", "release"]).expect(0).out;
    for word in ["PROOF", "proven", "TRIGGER", "manual", "STORED", "release,v2", "abc123"] {
        assert!(verbose.contains(word), "{word}: {verbose}");
    }
    assert_eq!(server.run(&["checkpoint", "list", "--tag", "other"]).expect(0).out, "");

    let shown = server.run(&["checkpoint", "show", &id[..id.len() - 2], "--json"]).expect(0).json();
    assert_eq!(shown["id"], id.as_str());
    assert_eq!(shown["proof"], "proven");
    assert_eq!(shown["metadata"]["git_commit"], "abc123");
    assert_eq!(shown["metadata"]["ticket"], "7");
    assert_eq!(shown["ledger"]["search"]["main.orders"]["rows"], 500);
    assert!(shown["size"]["total"].is_u64());
    let page = server.run(&["checkpoint", "show", "production@latest"]).expect(0).out;
    for word in ["Integrity", "Proof", "Protection", "main.orders", "before-migration", "restic -r ", "uploads"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let verified = server.run(&["checkpoint", "show", &id, "--verify", "--json"]).expect(0);
    assert_eq!(verified.json()["integrity"], "intact");
    assert!(verified.err.contains("Verifying "), "{}", verified.err);

    assert_eq!(server.run(&["checkpoint", "cat", &id, "files/uploads/logo.svg"]).expect(0).out, "<svg/>\n");
    server.run(&["checkpoint", "cat", &id, "files/uploads/none.svg"]).expect(1);
    let refused = server.run(&["checkpoint", "cat", &id, "files/uploads"]).expect(2);
    assert!(refused.err.contains("files/uploads --folder > uploads.tar.zst"), "{}", refused.err);
    let taken = server.command().args(["checkpoint", "cat", &id, "files/uploads", "--folder"]).output().unwrap();
    assert!(taken.status.success(), "{taken:?}");
    let mut archive = tar::Archive::new(zstd::Decoder::new(taken.stdout.as_slice()).unwrap());
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(
        (names.len(), names.first(), names.last()),
        (33, Some(&"uploads/".into()), Some(&"uploads/logo.svg".into()))
    );
    server.run(&["checkpoint", "cat", &id, "databases/search", "--folder"]).expect(2);
    assert!(server.run(&["checkpoint", "verify", &id]).expect(0).out.contains(" is intact"));
    assert!(server.run(&["checkpoint", "drill", "latest"]).expect(0).out.contains(" is proven: "));

    // A bad migration, and the way back from it.
    shop.sql("delete from orders where id > 10;");
    fs::write(shop.folder.join("uploads/logo.svg"), "broken").unwrap();
    let restored = server.run(&["checkpoint", "restore", &id]).expect(0).out;
    assert_eq!(shop.orders(), 500);
    assert_eq!(fs::read_to_string(shop.folder.join("uploads/logo.svg")).unwrap(), "<svg/>\n");
    for word in
        ["Restored", "uploads, search", "shop/production", "shop.example.org:8000", "Kept: ", "Next: ", "To undo: "]
    {
        assert!(restored.contains(word), "{word}: {restored}");
    }
    // `latest` never means the safety checkpoint.
    assert_eq!(server.run(&["checkpoint", "show", "latest", "--json"]).expect(0).json()["id"], id.as_str());
    // Without a terminal nothing dangerous happens unless it was said.
    let asked = server.run(&["checkpoint", "restore", &id, "--no-backup"]).expect(1);
    assert!(asked.out.contains("no checkpoint would hold what changed since"), "{}", asked.out);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    server.run(&["checkpoint", "restore", &id, "--components", "database", "--no-backup", "--yes"]).expect(0);

    // The newest proven one is kept; an older one goes, when it is meant.
    let refused = server.run(&["checkpoint", "delete", &id, "--yes"]).expect(1);
    assert!(refused.err.starts_with("error: "), "{}", refused.err);
    let newer = server.run(&["checkpoint", "create", "production", "--quiet"]).expect(0);
    assert_eq!(newer.out.trim(), newer.out.trim_end_matches('\n'), "one word: {:?}", newer.out);
    assert_eq!(newer.err, "");
    let asked = server.run(&["checkpoint", "delete", &id]).expect(1);
    assert!(asked.out.contains("This cannot be undone.") && asked.out.contains("before-migration"), "{}", asked.out);
    server.run(&["checkpoint", "show", &id]).expect(0);
    server.run(&["checkpoint", "delete", &id, "--yes"]).expect(0);
    let gone = server.run(&["checkpoint", "show", &id]).expect(1);
    assert!(gone.err.starts_with("error: "), "{}", gone.err);

    let status = server.run(&["env", "status", "production"]).expect(0).out;
    for word in ["shop/production", newer.out.trim(), "proven", "hooks", "search.db"] {
        assert!(status.contains(word), "{word}: {status}");
    }
    assert!(
        server
            .run(&["logs", "production", "--component", "checkpoint-agent"])
            .expect(0)
            .out
            .contains("checkpoint-agent")
    );
    let kit = server.run(&["vault", "recovery-kit", "shop", "--json"]).expect(0).json();
    let plain = server.run(&["vault", "recovery-kit", "shop"]).expect(0);
    assert!(plain.out.contains(kit["password"].as_str().unwrap()) && plain.out.contains("restic"), "{}", plain.out);
    assert!(plain.err.contains("password manager"), "{}", plain.err);
    assert!(server.run(&["sign-in-link"]).expect(0).out.starts_with("http://127.0.0.1:"));
}

#[test]
fn json_is_one_value_and_the_gate_decides_the_code() {
    let server = Server::start();
    let shop = Shop::make(server.folder(), "shop", "staging", "");
    shop.apply(&server);
    let created = server.run(&["checkpoint", "create", "staging", "--json"]).expect(0);
    assert_eq!(created.json()["proof"], "proven");
    assert!(created.err.contains("✓"), "progress goes to stderr: {}", created.err);

    let bare = server.run(&["checkpoint", "create", "staging", "--no-drill", "--json"]).expect(0);
    assert_eq!(bare.json()["proof"], "unproven");

    let started = server.run(&["checkpoint", "create", "staging", "--no-wait"]).expect(0).out;
    assert!(started.contains("run_") && started.contains("chk_"), "{started}");

    // A smoke check that is not true: sealed, and its gate shut.
    let shop = Shop::make(server.folder(), "shop", "broken", "drill: {smoke: [{component: search, sql: select 0}]}\n");
    shop.apply(&server);
    let shut = server.run(&["checkpoint", "create", "broken", "--quiet"]).expect(3);
    assert!(shut.out.starts_with("chk_"), "{}", shut.out);
    assert!(shut.err.contains("its gate is shut"), "{}", shut.err);
    server.run(&["checkpoint", "drill", shut.out.trim()]).expect(3);

    // A component that cannot be captured: no checkpoint.
    fs::write(shop.folder.join("search.db"), "this is no database, and long enough to be taken for one".repeat(50))
        .unwrap();
    for leftover in ["search.db-wal", "search.db-shm"] {
        let _ = fs::remove_file(shop.folder.join(leftover));
    }
    let failed = server.run(&["checkpoint", "create", "broken", "--json"]).expect(1);
    assert_eq!(failed.json()["type"], "run-failed", "{}", failed.out);
    assert!(failed.err.contains("error: the checkpoint failed: "), "{}", failed.err);
    assert!(failed.err.contains("holdfast logs shop/broken"), "{}", failed.err);
}

#[test]
fn a_name_that_means_two_environments_is_an_error_that_lists_them() {
    let server = Server::start();
    Shop::make(server.folder(), "frontend", "production", "").apply(&server);
    Shop::make(server.folder(), "backend", "production", "").apply(&server);
    let ran = server.run(&["checkpoint", "create", "production"]).expect(1);
    assert!(ran.err.contains("frontend/production") && ran.err.contains("backend/production"), "{}", ran.err);
    server.run(&["env", "status", "backend/production"]).expect(0);
    let unknown = server.run(&["env", "status", "nowhere"]).expect(1);
    assert!(unknown.err.contains("nowhere"), "{}", unknown.err);
    let listed = server.run(&["env", "list"]).expect(0).out;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    server.run(&["checkpoint", "show", "chk_00000000000000000000"]).expect(1);
    // A credential of another server opens nothing, and the answer says which one would.
    let ran = server.command().args(["env", "list"]).env("HOLDFAST_TOKEN", "hfk_other").output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(err.contains("client.json") && !err.contains("hfk_other"), "{err}");
}

#[test]
fn a_refusal_of_the_server_names_the_place_in_the_file() {
    let server = Server::start();
    let shop = Shop::make(server.folder(), "shop", "production", "");
    fs::remove_dir_all(shop.folder.join("uploads")).unwrap();
    let ran = server.run(&["apply", "-f", shop.definition().to_str().unwrap()]).expect(1);
    assert!(ran.err.contains("holdfast.yaml:5:"), "{}", ran.err);
    assert!(ran.err.contains("uploads"), "{}", ran.err);
}
