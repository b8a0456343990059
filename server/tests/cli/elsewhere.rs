//! `checkpoint restore` that only says what it would do, that takes a part, and that goes elsewhere.

use std::fs;

use crate::{
    cluster::Cluster,
    support::{Ran, Server, Shop},
};

#[test]
fn a_restore_is_looked_at_then_done_in_part_and_elsewhere() {
    let server = Server::start();
    let shop = Shop::make(server.folder(), "shop", "production", "");
    shop.apply(&server);
    let id = server.run(&["checkpoint", "create", "production", "--quiet"]).expect(0).out.trim().to_owned();
    let logo = shop.folder.join("uploads/logo.svg");
    fs::write(&logo, "broken").unwrap();
    fs::write(shop.folder.join("uploads/newer"), "newer").unwrap();
    fs::remove_file(shop.folder.join("uploads/deep/3.txt")).unwrap();

    // Only said.
    let said = server.run(&["checkpoint", "restore", &id, "--dry-run"]).expect(0).out;
    for word in [
        "Nothing was touched",
        "uploads (files) to ",
        "made: deep/3.txt",
        "replaced: logo.svg",
        "moved away: newer",
        "search (sqlite) to ",
        "• Safety checkpoint taken",
        "– Application stopped: not needed",
        "Expected: ",
        "Held by the safety checkpoint",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(fs::read_to_string(&logo).unwrap(), "broken");
    let plan = server.run(&["checkpoint", "restore", &id, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(plan["items"][0]["changed"]["first"][0], "logo.svg");
    assert_eq!(plan["target"]["own"], true);
    let refused = server.run(&["checkpoint", "restore", &id, "--dry-run", "--path", "nothing/*"]).expect(1).out;
    assert!(refused.contains("Refused") && refused.contains("`nothing/*` matches nothing"), "{refused}");

    // A part.
    let part = server.run(&["checkpoint", "restore", &id, "--path", "*.svg", "--path", "no/*"]).expect(1).err;
    assert!(part.contains("`no/*` matches nothing"), "{part}");
    let part = server.run(&["checkpoint", "restore", &id, "--path", "*.svg"]).expect(0).out;
    assert!(part.contains("Matched:     `uploads`: 1 file matched"), "{part}");
    assert!(part.contains("Restored:    uploads\n"), "{part}");
    assert_eq!(fs::read_to_string(&logo).unwrap(), "<svg/>\n");
    assert!(!shop.folder.join("uploads/deep/3.txt").exists() && shop.folder.join("uploads/newer").exists());

    // A folder, named as the person's own shell would.
    let mut command = server.command();
    command.current_dir(server.folder()).args(["checkpoint", "restore", &id, "--to-dir", "out"]);
    let said = Ran::of(command.output().unwrap()).expect(0).out;
    let out = server.folder().join("out");
    assert!(said.contains(&format!("Into:        folder: {}", out.display())), "{said}");
    assert!(said.contains(&format!("Next: ls -la {}", out.display())), "{said}");
    assert!(out.join("uploads/deep/3.txt").is_file() && out.join("search/search.db").is_file());
    let again = server.run(&["checkpoint", "restore", &id, "--to-dir", out.to_str().unwrap()]).expect(1).err;
    assert!(again.contains("is not empty"), "{again}");

    // Another environment, made with places of its own; nobody is asked without a terminal.
    let copy = server.folder().join("copy");
    let map = [format!("uploads={}", copy.join("up").display()), format!("search={}", copy.join("s.db").display())];
    fs::write(server.folder().join("place"), map[1].split_once('=').unwrap().1).unwrap();
    let from_file = format!("search=@{}", server.folder().join("place").display());
    let to_copy = ["checkpoint", "restore", &id, "--to", "copy", "--map", &map[0], "--map", &from_file];
    let unconfirmed = server.run(&to_copy).expect(1);
    assert!(unconfirmed.out.contains("environment: copy (new)"), "{}", unconfirmed.out);
    assert!(unconfirmed.out.contains(copy.join("s.db").to_str().unwrap()), "{}", unconfirmed.out);
    assert!(unconfirmed.err.contains("--dry-run") && !copy.exists(), "{}", unconfirmed.err);
    let done = server.run(&[&to_copy[..], &["--yes"]].concat()).expect(0).out;
    assert!(done.contains("Application: shop/copy"), "{done}");
    assert!(copy.join("up/deep/3.txt").is_file());
    server.run(&["checkpoint", "create", "copy", "--quiet"]).expect(0);
    let alias = server.run(&["checkpoint", "restore", &id, "--target-app", "copy", "--yes", "--json"]).expect(0).json();
    assert_eq!(alias["run"]["environment"]["name"], "copy");
    assert!(alias["safety_checkpoint"].as_str().unwrap().starts_with("chk_"));
    let none = server.run(&["checkpoint", "restore", &id, "--to", "nowhere", "--yes"]).expect(1).err;
    assert!(none.contains("--map uploads=PATH"), "{none}");

    // What cannot be meant together is said before anything is asked.
    server.run(&["checkpoint", "restore", &id, "--to", "copy", "--to-dir", "/x"]).expect(2);
    server.run(&["checkpoint", "restore", &id, "--map", "a=/b"]).expect(2);
    server.run(&["checkpoint", "restore", &id, "--replace-database"]).expect(2);
    let unset = server.run(&["checkpoint", "restore", &id, "--to-url-env", "NO_SUCH_VARIABLE"]);
    assert!(unset.code != 0 && unset.err.contains("NO_SUCH_VARIABLE"), "{}", unset.err);
}

#[test]
fn a_database_goes_to_another_one_by_its_url_or_by_its_name() {
    const CANARY: &str = "canary-in-the-url";
    let cluster = Cluster::shared();
    let live = cluster.database();
    let (copy, clone) = (format!("{live}_copy"), format!("{live}_clone"));
    cluster.sql(&live, "create table orders (id int primary key); insert into orders select generate_series(1, 100)");
    let orders = |database: &str| cluster.sql(database, "select count(*) from orders");
    let server = Server::start();
    let url = |database: &str| cluster.url(database).replace("holdfast@", &format!("holdfast:{CANARY}@"));
    let main = format!("  - {{name: main, kind: postgres, url: '{}'}}\n", url(&live));
    let shop = Shop::make(server.folder(), "shop", "production", &main);
    shop.apply(&server);
    let id = server.run(&["checkpoint", "create", "production", "--no-drill", "--quiet"]).expect(0).out;
    let restore = |more: &[&str]| {
        let mut command = server.command();
        command.args(["checkpoint", "restore", id.trim(), "--components", "main"]).args(more);
        let ran = Ran::of(command.env("COPY_URL", url(&copy)).output().unwrap());
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{ran:?}");
        ran
    };

    let planned = restore(&["--to-url", &url(&copy), "--dry-run"]).expect(0).out;
    assert!(planned.contains("database: holdfast@") && planned.contains(&format!("/{copy}")), "{planned}");
    assert!(planned.contains("– Safety checkpoint taken: not needed"), "{planned}");
    assert_eq!(cluster.sql("postgres", &format!("select count(*) from pg_database where datname = '{copy}'")), "0");
    let done = restore(&["--to-url", &url(&copy)]).expect(0).out;
    assert!(done.contains("Restored:    main\n") && done.contains("Into:        another database"), "{done}");
    assert_eq!(orders(&copy), "100");

    // Filled, it is replaced only when that is meant, and what was in it stays beside it.
    cluster.sql(&copy, "delete from orders where id > 10");
    let file = server.folder().join("url");
    fs::write(&file, url(&copy)).unwrap();
    let filled = restore(&["--to-url-file", file.to_str().unwrap()]).expect(1).err;
    assert!(filled.contains("is not empty") && filled.contains("--replace-database"), "{filled}");
    assert_eq!(orders(&copy), "10");
    let done = restore(&["--to-url-env", "COPY_URL", "--replace-database"]).expect(0).out;
    assert!(done.contains(&format!("Kept:        database {copy}_before_")), "{done}");
    assert_eq!(orders(&copy), "100");

    // Over a database that lives only when that is meant, too.
    cluster.sql(&live, "delete from orders where id > 10");
    let over = ["--to-url", &url(&live), "--replace-database"];
    let refused = restore(&over).expect(1).err;
    assert!(refused.contains("component `main` of shop/production") && refused.contains("--overlap"), "{refused}");
    assert_eq!(orders(&live), "10");
    restore(&[&over[..], &["--overlap"]].concat()).expect(0);
    assert_eq!(orders(&live), "100");

    // A clone of the environment, by the name of a database on the same server.
    let to_clone = ["--to", "clone", "--map", &format!("main={clone}"), "--yes"];
    let taken = restore(&["--to", "clone", "--map", &format!("main={live}"), "--yes"]).expect(1);
    assert!(taken.err.contains("component `main` of shop/production"), "{taken:?}");
    restore(&to_clone).expect(0);
    assert_eq!(orders(&clone), "100");
    assert!(!server.log().contains(CANARY), "the URL is in the server's log");
}
