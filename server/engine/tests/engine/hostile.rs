//! A tree that somebody made who wants out of the target.

use std::{fs, os::unix::fs::MetadataExt as _};

use holdfast_engine::Destination;
use holdfast_vault::{Cancel, Chunking, Meter, Node, TreeId};
use serde_json::json;

use crate::{
    bench::{Bench, Checkpoint, listing},
    shop::{carry_out, plan},
};

/// Puts a tree that no capture would write into the place of a component.
fn with_tree(
    bench: &Bench,
    checkpoint: &Checkpoint,
    make: impl FnOnce(&holdfast_vault::Writer) -> TreeId,
) -> Checkpoint {
    let writer = bench.vault.writer(Cancel::new()).unwrap();
    let time = checkpoint.manifest.created_at;
    let up = make(&writer);
    let files = writer.put_tree(vec![Node::dir("up", up, time)]).unwrap();
    let root = writer.put_tree(vec![Node::dir("files", files, time)]).unwrap();
    let draft = holdfast_vault::SnapshotDraft {
        tree: root,
        time,
        paths: vec!["/".into()],
        tags: vec!["holdfast".into()],
        parent: None,
        hostname: "host".into(),
        username: "attacker".into(),
        program_version: "of their own".into(),
    };
    writer.seal(draft).unwrap();
    Checkpoint { root, ..checkpoint.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_stays_inside_whichever_way_it_is_put_back() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "as sealed");
    bench.write("outside/precious", "precious");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    let hostile = with_tree(&bench, &checkpoint, |writer| {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        std::io::Write::write_all(&mut stream, b"evil").unwrap();
        let content = stream.finish().unwrap().content[0].to_string();
        let file = |name: &str, mode: u64| json!({"name": name, "type": "file", "mode": mode, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "size": 4, "content": [content]});
        let tree =
            |nodes: serde_json::Value| writer.put_raw_tree(json!({"nodes": nodes}).to_string().as_bytes()).unwrap();
        let dir = |name: &str, nodes: serde_json::Value| json!({"name": name, "type": "dir", "mode": (1_u64 << 31) | 0o755, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "content": null, "subtree": tree(nodes).to_string()});
        let link = json!({"name": "door", "type": "symlink", "mode": 0o777, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "linktarget": "../outside", "content": null});
        let device = json!({"name": "null", "type": "chardev", "mode": (1_u64 << 26) | (1 << 21) | 0o666, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "device": 259, "content": null});
        tree(json!([
            file("sound", 0o644),
            file("raised", (1_u64 << 23) | 0o755),
            device,
            link,
            dir(
                "sub",
                json!([
                    file("sound", 0o644),
                    file("../../../outside/precious", 0o644),
                    dir("..", json!([file("evil", 0o644)]))
                ])
            ),
            file("/etc/holdfast-evil", 0o644),
            dir("../outside", json!([file("precious", 0o644)])),
        ]))
    });
    let around = || {
        let mut all = listing(bench.dir.path());
        all.retain(|path, _| !["vault", "scratch", "app/up", "out"].iter().any(|own| path.starts_with(own)));
        all.retain(|path, _| !path.display().to_string().contains(".holdfast-trash-"));
        all
    };
    let before = around();
    let work = |paths: &[&str], destination: Destination| {
        let mut work = bench.restore_work(&definition, &hostile);
        work.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        work.destination = destination;
        work
    };
    let folder = bench.dir.path().join("out");
    for (paths, into_folder) in [
        (&[][..], false),
        (&[][..], true),
        (&["**"][..], false),
        (&["**"][..], true),
        (&["sub/", "precious", "../outside"][..], false),
    ] {
        let destination = || if into_folder { Destination::Folder(folder.clone()) } else { Destination::Definition };
        let _ = fs::remove_dir_all(bench.app("up"));
        let planned = plan(&bench, work(paths, destination())).await;
        assert!(planned.items.iter().all(|item| !format!("{item:?}").contains("outside")), "{:?}", planned.items);
        // What cannot be put back is an error that names it; the rest stays usable.
        let error = carry_out(&bench, work(paths, destination())).await.unwrap_err();
        assert!(
            error.to_string().contains("cannot be a name") || error.to_string().contains("matches nothing"),
            "{error}"
        );
        assert_eq!(around(), before, "{paths:?} {into_folder}");
        assert!(!folder.exists());
        let up = bench.app("up");
        assert!(up.join("null").symlink_metadata().is_err() && !up.join("sub/evil").exists());
        if let Ok(facts) = fs::metadata(up.join("raised")) {
            assert_eq!(facts.mode() & 0o6000, 0);
        }
    }
    // Who names only what is sound gets it, though the rest of the tree is not.
    carry_out(&bench, work(&["/sound", "/raised"], Destination::Definition))
        .await
        .map(drop)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fs::read_to_string(bench.app("up/sound")).unwrap(), "evil");
    assert_eq!(around(), before);
}
