//! What an attacker with the vault's password writes into it: trees by hand, and one with all of it.

use std::io::Write as _;

use holdfast_vault::{Cancel, Chunking, Id, Meter, TreeId, Vault, Writer};
use serde_json::{Value, json};

use super::support::draft;

pub const SETUID: u64 = 1 << 23;
pub const SETGID: u64 = 1 << 22;
pub const DEVICE: u64 = 1 << 26;
pub const CHAR: u64 = 1 << 21;
pub const DIR: u64 = 1 << 31;

/// Every name that could lead elsewhere. NUL cannot be in a name on disk, but in a tree.
pub const BAD_NAMES: [&str; 10] = [
    "..",
    ".",
    "",
    "a/b",
    "/etc/evil",
    "../outside/evil",
    "../../evil",
    "nul\\x00here",
    "outside/precious",
    "sub/../../evil",
];

/// Whoever writes by hand: blobs of content, and trees of any JSON.
pub struct Hand<'a> {
    writer: &'a Writer,
    content: Id,
}

impl<'a> Hand<'a> {
    pub fn new(writer: &'a Writer) -> Self {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        stream.write_all(b"evil").unwrap();
        let content = stream.finish().unwrap().content;
        Self { writer, content: content[0] }
    }

    pub fn node(&self, name: &str, kind: &str, more: Value) -> Value {
        let mut node = json!({
            "name": name, "type": kind, "mode": 0o644, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "content": null
        });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    }

    pub fn file(&self, name: &str, more: Value) -> Value {
        let mut node = self.node(name, "file", json!({ "size": 4, "content": [self.content.to_string()] }));
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    }

    pub fn dir(&self, name: &str, nodes: &[Value]) -> Value {
        let tree = self.tree(nodes).to_string();
        self.node(name, "dir", json!({ "mode": DIR | 0o755, "subtree": tree }))
    }

    pub fn link(&self, name: &str, target: &str) -> Value {
        self.node(name, "symlink", json!({ "mode": (1_u64 << 27) | 0o777, "linktarget": target }))
    }

    /// Unsorted and unseen.
    pub fn tree(&self, nodes: &[Value]) -> TreeId {
        self.writer.put_raw_tree(json!({ "nodes": nodes }).to_string().as_bytes()).unwrap()
    }
}

/// A tree with everything in it that could do harm, and with `sound` files that must come through.
pub fn hostile(hand: &Hand<'_>) -> TreeId {
    let mut nodes = vec![
        hand.file("sound", json!({})),
        hand.link("door", "../outside"),
        hand.link("etc", "/etc"),
        hand.link("self", "."),
        // A link, and a folder of the same name behind it: such a tree is nobody's.
        hand.dir("twins", &[hand.link("x", "../../outside"), hand.dir("x", &[hand.file("evil", json!({}))])]),
        hand.dir("doubles", &[hand.file("y", json!({})), hand.file("y", json!({ "mode": 0o777 }))]),
        // Case and form twins are different names here, and both are put back.
        hand.dir(
            "cases",
            &[
                hand.file("Name", json!({})),
                hand.file("name", json!({})),
                hand.file("NAME", json!({})),
                hand.file("\u{e9}", json!({})),
                hand.file("e\u{301}", json!({})),
            ],
        ),
        hand.dir(
            "raised",
            &[
                hand.file("setuid", json!({ "mode": SETUID | 0o755 })),
                hand.file("setgid", json!({ "mode": SETGID | 0o755 })),
                hand.node("null", "chardev", json!({ "mode": DEVICE | CHAR | 0o666, "device": 259 })),
                hand.node("disk", "dev", json!({ "mode": DEVICE | 0o666, "device": 1794 })),
                hand.file(
                    "able",
                    json!({ "mode": 0o755, "extended_attributes": [{ "name": "security.capability", "value": "AQAAAgAgAAAAAAAAAAAAAAAAAAA=" }] }),
                ),
            ],
        ),
        // Further names of one file, the last of them in a place that would lead out.
        hand.dir(
            "hard",
            &[
                hand.file("one", json!({ "inode": 7, "links": 3, "device_id": 1 })),
                hand.file("two", json!({ "inode": 7, "links": 3, "device_id": 1 })),
                hand.file("../../outside/three", json!({ "inode": 7, "links": 3, "device_id": 1 })),
            ],
        ),
        hand.dir("no tree", &[hand.node("dir", "dir", json!({ "mode": DIR | 0o755 }))]),
        hand.dir("lost", &[hand.file("file", json!({ "content": [Id::of(b"nowhere").to_string()] }))]),
        hand.node("lost dir", "dir", json!({ "subtree": Id::of(b"no such tree").to_string() })),
        hand.dir("kinds", &[hand.node("what", "wormhole", json!({}))]),
    ];
    let long = "n".repeat(255);
    nodes.push(hand.dir(
        "long",
        &[hand.file(&long, json!({})), hand.file(&"n".repeat(256), json!({})), hand.file(&"n".repeat(9000), json!({}))],
    ));
    nodes.push(hand.dir(
        "odd",
        &[
            hand.file("new\\nline", json!({})),
            hand.file("\\xff\\xfe", json!({})),
            hand.file("-rf *", json!({})),
            hand.file("$(reboot)", json!({})),
        ],
    ));
    let mut deep = vec![hand.file("bottom", json!({}))];
    for _ in 0..40 {
        deep = vec![hand.dir(&"d".repeat(200), &deep)];
    }
    nodes.push(hand.dir("deep", &deep));
    for (number, name) in BAD_NAMES.into_iter().enumerate() {
        let bad = [
            hand.file(name, json!({})),
            hand.dir(name, &[hand.file("evil", json!({}))]),
            hand.link(name, "../outside"),
        ];
        for (kind, node) in bad.into_iter().enumerate() {
            nodes.push(hand.dir(&format!("bad {number} {kind}"), &[node, hand.file("sound", json!({}))]));
        }
    }
    // And once where they would count the most: at the top.
    nodes.push(hand.dir("..", &[hand.file("evil", json!({}))]));
    nodes.push(hand.file("../evil", json!({})));
    hand.tree(&nodes)
}

/// A sealed tree by somebody's hand.
pub fn sealed(vault: &Vault, make: impl FnOnce(&Hand<'_>) -> TreeId) -> TreeId {
    let writer = vault.writer(Cancel::new()).unwrap();
    let tree = make(&Hand::new(&writer));
    writer.seal(draft(tree)).unwrap();
    tree
}
