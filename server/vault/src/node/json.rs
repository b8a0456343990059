//! Trees as JSON, byte for byte as restic writes them, so that equal directories have equal ids.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::quote::{quote, unquote};
use super::{Node, NodeKind, Tree, Xattr, os_string};
use crate::snapshot::in_utc;
use crate::{Error, Id};

// Bits of Go's os.FileMode beside the nine permission bits.
const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
const GO_FIFO: u32 = 1 << 25;
const GO_SOCKET: u32 = 1 << 24;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_CHAR_DEVICE: u32 = 1 << 21;
const GO_STICKY: u32 = 1 << 20;

fn go_mode(kind: NodeKind, mode: u32) -> u32 {
    let kind = match kind {
        NodeKind::File => 0,
        NodeKind::Dir => GO_DIR,
        NodeKind::Symlink => GO_SYMLINK,
        NodeKind::Device => GO_DEVICE,
        NodeKind::CharDevice => GO_DEVICE | GO_CHAR_DEVICE,
        NodeKind::Fifo => GO_FIFO,
        NodeKind::Socket => GO_SOCKET,
    };
    let bit = |unix, go| if mode & unix == 0 { 0 } else { go };
    kind | bit(0o4000, GO_SETUID) | bit(0o2000, GO_SETGID) | bit(0o1000, GO_STICKY) | mode & 0o777
}

fn unix_mode(mode: u32) -> u32 {
    let bit = |go, unix| if mode & go == 0 { 0 } else { unix };
    bit(GO_SETUID, 0o4000) | bit(GO_SETGID, 0o2000) | bit(GO_STICKY, 0o1000) | mode & 0o777
}

/// The JSON of a tree of these nodes, which must be sorted by name.
pub(crate) fn write_tree(nodes: &[Node]) -> Vec<u8> {
    let mut out = String::with_capacity(16 + nodes.len() * 480);
    out.push_str("{\"nodes\":[");
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_node(node, &mut out);
    }
    out.push_str("]}\n");
    out.into_bytes()
}

fn write_node(node: &Node, out: &mut String) {
    let mut name = String::new();
    quote(node.name.as_encoded_bytes(), &mut name);
    out.push_str("{\"name\":");
    string(&name, out);
    out.push_str(",\"type\":\"");
    out.push_str(node.kind.word());
    out.push('"');
    number("mode", u64::from(go_mode(node.kind, node.mode)), out);
    time("mtime", node.mtime, out);
    time("atime", node.atime, out);
    time("ctime", node.ctime, out);
    // Writing to a String cannot fail.
    let _ = write!(out, ",\"uid\":{},\"gid\":{}", node.uid, node.gid);
    text("user", &node.user, out);
    text("group", &node.group, out);
    number("inode", node.inode, out);
    number("device_id", node.device_id, out);
    number("size", node.size, out);
    number("links", node.links, out);
    if !node.linktarget.is_empty() {
        out.push_str(",\"linktarget\":\"");
        for chunk in node.linktarget.as_encoded_bytes().utf8_chunks() {
            escaped(chunk.valid(), out);
            // Go writes this escape for each byte that is not UTF-8, and the character itself where it stands in a text.
            chunk.invalid().iter().for_each(|_| out.push_str("\\ufffd"));
        }
        out.push('"');
        if node.linktarget.to_str().is_none() {
            text("linktarget_raw", &STANDARD.encode(node.linktarget.as_encoded_bytes()), out);
        }
    }
    for (at, xattr) in node.xattrs.iter().enumerate() {
        out.push_str(if at == 0 { ",\"extended_attributes\":[{\"name\":" } else { ",{\"name\":" });
        string(&xattr.name, out);
        out.push_str(",\"value\":\"");
        STANDARD.encode_string(&xattr.value, out);
        out.push_str("\"}");
    }
    if !node.xattrs.is_empty() {
        out.push(']');
    }
    number("device", node.device, out);
    out.push_str(",\"content\":");
    if node.kind == NodeKind::File {
        for (at, id) in node.content.iter().enumerate() {
            out.push_str(if at == 0 { "[\"" } else { ",\"" });
            hex(id, out);
            out.push('"');
        }
        out.push_str(if node.content.is_empty() { "[]" } else { "]" });
    } else {
        out.push_str("null");
    }
    if let Some(id) = &node.subtree {
        out.push_str(",\"subtree\":\"");
        hex(id, out);
        out.push('"');
    }
    out.push('}');
}

fn number(name: &str, value: u64, out: &mut String) {
    if value != 0 {
        let _ = write!(out, ",\"{name}\":{value}");
    }
}

fn text(name: &str, value: &str, out: &mut String) {
    if !value.is_empty() {
        let _ = write!(out, ",\"{name}\":");
        string(value, out);
    }
}

fn hex(id: &Id, out: &mut String) {
    let mut digits = [0; 64];
    if hex::encode_to_slice(id.as_bytes(), &mut digits).is_ok() {
        out.extend(digits.iter().map(|digit| char::from(*digit)));
    }
}

/// RFC 3339 in UTC with as many digits of the second as are needed, as Go writes it. Years beyond 0 to 9999 are clamped,
/// as restic does.
fn time(name: &str, time: OffsetDateTime, out: &mut String) {
    let time = time.to_offset(UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, nanos) = time.to_hms_nano();
    let year = year.clamp(0, 9999);
    let month = u8::from(month);
    let _ = write!(out, ",\"{name}\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos != 0 {
        let digits = format!("{nanos:09}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push_str("Z\"");
}

/// A JSON string.
fn string(text: &str, out: &mut String) {
    out.push('"');
    escaped(text, out);
    out.push('"');
}

/// The inside of a JSON string with the escapes of Go's encoder, which also hides what HTML would trip over.
fn escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
}

#[derive(Deserialize)]
struct TreeJson<'a> {
    #[serde(borrow)]
    nodes: Option<Vec<NodeJson<'a>>>,
}

#[derive(Deserialize)]
struct NodeJson<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    mode: u32,
    #[serde(default, borrow)]
    mtime: Cow<'a, str>,
    #[serde(default, borrow)]
    atime: Cow<'a, str>,
    #[serde(default, borrow)]
    ctime: Cow<'a, str>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    user: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    links: u64,
    #[serde(default)]
    linktarget: String,
    #[serde(default)]
    linktarget_raw: Option<String>,
    #[serde(default)]
    extended_attributes: Option<Vec<XattrJson>>,
    #[serde(default)]
    device: u64,
    #[serde(default)]
    content: Option<Vec<Id>>,
    #[serde(default)]
    subtree: Option<Id>,
}

#[derive(Deserialize)]
struct XattrJson {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

/// The tree that `json` holds, sorted by name.
pub(crate) fn parse_tree(id: &Id, json: &[u8]) -> Result<Tree, Error> {
    let damaged = |what: &str| Error::damaged(format!("tree {id}: {what}"));
    let tree: TreeJson<'_> = serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
    let mut nodes = Vec::new();
    for node in tree.nodes.unwrap_or_default() {
        nodes.push(read_node(node).map_err(damaged)?);
    }
    if !nodes.is_sorted_by(|a, b| a.name < b.name) {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if nodes.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(damaged("two entries of one name"));
        }
    }
    Ok(Tree { nodes })
}

fn read_node(json: NodeJson<'_>) -> Result<Node, &'static str> {
    let kind = match &*json.kind {
        "file" => NodeKind::File,
        "dir" => NodeKind::Dir,
        "symlink" => NodeKind::Symlink,
        "dev" => NodeKind::Device,
        "chardev" => NodeKind::CharDevice,
        "fifo" => NodeKind::Fifo,
        "socket" => NodeKind::Socket,
        _ => return Err("an entry of an unknown type"),
    };
    let linktarget = match json.linktarget_raw {
        Some(raw) => os_string(STANDARD.decode(raw).map_err(|_| "a link target that is not base64")?),
        None => OsString::from(json.linktarget),
    };
    let mut xattrs = Vec::new();
    for XattrJson { name, value } in json.extended_attributes.unwrap_or_default() {
        let value =
            STANDARD.decode(value.unwrap_or_default()).map_err(|_| "an extended attribute that is not base64")?;
        xattrs.push(Xattr { name, value });
    }
    Ok(Node {
        name: os_string(unquote(&json.name).ok_or("a name that is not quoted as Go does")?),
        kind,
        mode: unix_mode(json.mode),
        mtime: read_time(&json.mtime)?,
        atime: read_time(&json.atime)?,
        ctime: read_time(&json.ctime)?,
        uid: json.uid,
        gid: json.gid,
        user: json.user,
        group: json.group,
        inode: json.inode,
        device_id: json.device_id,
        size: json.size,
        links: json.links,
        linktarget,
        xattrs,
        device: json.device,
        content: json.content.unwrap_or_default(),
        subtree: json.subtree,
    })
}

fn read_time(text: &str) -> Result<OffsetDateTime, &'static str> {
    match read_utc(text.as_bytes()) {
        Some(time) => Ok(time),
        None if text.is_empty() => Ok(OffsetDateTime::UNIX_EPOCH),
        None => OffsetDateTime::parse(text, &Rfc3339).map(in_utc).map_err(|_| "a time that is not RFC 3339"),
    }
}

/// The short way for what we write ourselves: UTC, nothing unusual.
fn read_utc(text: &[u8]) -> Option<OffsetDateTime> {
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?
            .iter()
            .try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let small = |range| number(range).and_then(|value| u8::try_from(value).ok());
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if punctuation.iter().any(|(at, mark)| text.get(*at) != Some(mark)) || text.last() != Some(&b'Z') {
        return None;
    }
    let year = i32::try_from(number(0..4)?).ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(small(5..7)?).ok()?, small(8..10)?).ok()?;
    let digits = text.len().saturating_sub(21);
    let nanos = match text.get(19)? {
        b'Z' if text.len() == 20 => 0,
        b'.' if (1..=9).contains(&digits) => number(20..20 + digits)? * 10u32.pow(9 - u32::try_from(digits).ok()?),
        _ => return None,
    };
    let time = Time::from_hms_nano(small(11..13)?, small(14..16)?, small(17..19)?, nanos).ok()?;
    Some(date.with_time(time).assume_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Odd entries in restic's form: what Go's encoder makes of its `Node` structure.
    const IN_RESTICS_FORM: &str = concat!(
        r#"{"nodes":[{"name":"a\\xff\u003c","type":"file","mode":8388989,"mtime":"2001-02-03T04:05:06.000000789Z","#,
        r#""atime":"2001-02-03T04:05:06.000000789Z","ctime":"2024-01-02T03:04:05.1Z","uid":0,"gid":5,"user":"root","#,
        r#""inode":77,"size":3,"links":1,"extended_attributes":[{"name":"user.x","value":"AAE="}],"content":"#,
        r#"["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]},"#,
        r#"{"name":"l","type":"symlink","mode":134218239,"mtime":"1969-12-31T23:59:59Z","#,
        r#""atime":"1969-12-31T23:59:59Z","ctime":"1970-01-01T00:00:00Z","uid":1,"gid":1,"links":1,"#,
        r#""linktarget":"x/y","content":null},"#,
        r#"{"name":"m","type":"symlink","mode":134218239,"mtime":"1970-01-01T00:00:00Z","#,
        r#""atime":"1970-01-01T00:00:00Z","ctime":"1970-01-01T00:00:00Z","uid":1,"gid":1,"links":1,"#,
        "\"linktarget\":\"\u{fffd}",
        r#"\ufffd\ufffd\u003c","linktarget_raw":"77+98J88","content":null}]}"#,
        "\n"
    );

    #[test]
    fn a_tree_comes_back_byte_for_byte() {
        let tree = parse_tree(&Id::default(), IN_RESTICS_FORM.as_bytes()).unwrap();
        assert_eq!(tree.nodes[0].name.as_encoded_bytes(), b"a\xff<");
        assert_eq!(tree.nodes[0].mode, 0o4575);
        assert_eq!(String::from_utf8(write_tree(&tree.nodes)).unwrap(), IN_RESTICS_FORM);
    }

    #[test]
    fn times_with_an_offset_and_odd_ones() {
        let same = read_time("2015-01-02T18:10:50.895208559+01:00").unwrap();
        assert_eq!(same, read_time("2015-01-02T17:10:50.895208559Z").unwrap());
        for bad in ["2015-01-02", "x", "2015-13-02T17:10:50Z", "2015-01-02T17:10:50.Z"] {
            assert!(read_time(bad).is_err(), "{bad}");
        }
    }
}
