use std::time::{Duration, Instant};

use holdfast_model::diff::{DiffLine, FileBody, Hunk, LineChange, LineEnd, Span};
use serde_json::json;

use super::{open, try_open, work};
use crate::bench::{Bench, Checkpoint};

/// Two checkpoints of one file each way.
async fn both(bench: &Bench, name: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> (Checkpoint, Checkpoint) {
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let file = bench.write(&format!("up/{name}"), "");
    let mut taken = Vec::new();
    for content in [before, after] {
        match content {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        taken.push(bench.take(&definition).await);
    }
    let second = taken.pop().unwrap();
    (taken.pop().unwrap(), second)
}

fn hunks(body: &FileBody) -> &[Hunk] {
    let FileBody::Text { hunks, .. } = body else { panic!("{body:?}") };
    hunks
}

fn text(line: &DiffLine) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

/// As `diff -u` prints it.
fn unified(body: &FileBody) -> String {
    let mut out = String::new();
    for hunk in hunks(body) {
        out.push_str(&format!("@@ -{} +{} @@\n", hunk.before_start, hunk.after_start));
        for line in &hunk.lines {
            let sign = match line.change {
                LineChange::Equal => ' ',
                LineChange::Added => '+',
                LineChange::Removed => '-',
            };
            out.push_str(&format!("{sign}{}\n", text(line)));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn hunks_are_those_of_diff_with_words_marked_and_colours_given() {
    let bench = Bench::new().await;
    let before = "fn main() {\n    let a = 1;\n    let b = 2;\n    // three\n    four();\n    five();\n    six();\n    seven();\n    eight();\n    nine();\n}\n";
    let after = before.replace("let b = 2;", "let b = 22;").replace("    nine();\n", "    nine();\n    \"ten\";\n");
    let (first, second) = both(&bench, "main.rs", Some(before.as_bytes()), Some(after.as_bytes())).await;
    let view = open(&bench, &first, &second, "up", b"main.rs").await;
    assert_eq!(
        unified(&view.body),
        "@@ -1 +1 @@\n fn main() {\n     let a = 1;\n-    let b = 2;\n+    let b = 22;\n     // three\n     four();\n     five();\n@@ -8 +8 @@\n     seven();\n     eight();\n     nine();\n+    \"ten\";\n }\n"
    );
    let FileBody::Text { language, hunks, more } = &view.body else { panic!() };
    assert_eq!((language.as_deref(), *more), (Some("Rust"), 0));
    let lines = &hunks[0].lines;
    let marked = |line: &DiffLine| -> Vec<String> {
        line.spans.iter().filter(|span| span.marked).map(|span| span.text.clone()).collect()
    };
    assert_eq!((marked(&lines[2]), marked(&lines[3])), (vec!["2".to_owned()], vec!["22".to_owned()]));
    assert_eq!((lines[2].before, lines[2].after, lines[3].before, lines[3].after), (Some(3), None, None, Some(3)));
    let class = |line: &DiffLine, text: &str| -> Option<String> {
        line.spans
            .iter()
            .find(|span| span.text.trim() == text)
            .unwrap_or_else(|| panic!("{text} in {line:?}"))
            .class
            .clone()
    };
    assert_eq!(class(&lines[0], "fn").as_deref(), Some("keyword"));
    assert_eq!(class(&lines[0], "main").as_deref(), Some("function"));
    assert_eq!(class(&lines[3], "22").as_deref(), Some("number"));
    assert_eq!(class(&lines[4], "// three").as_deref(), Some("comment"));
    assert_eq!(class(&hunks[1].lines[3], "\"ten\"").as_deref(), Some("string"));
    let classes =
        hunks.iter().flat_map(|hunk| &hunk.lines).flat_map(|line| &line.spans).filter_map(|span| span.class.as_deref());
    assert!(classes.into_iter().all(|class| Span::CLASSES.contains(&class)));
    let facts = view.after.unwrap();
    assert_eq!((facts.kind.as_str(), facts.size, facts.encoding), ("file", after.len() as u64, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_are_told_and_an_equal_file_has_no_hunk() {
    let bench = Bench::new().await;
    let (first, second) = both(&bench, "a.txt", Some(b"one\r\ntwo\r\nlast"), Some(b"one\r\ntwo\nlast\n")).await;
    let view = open(&bench, &first, &second, "up", b"a.txt").await;
    let ends: Vec<_> = hunks(&view.body)[0].lines.iter().map(|line| (line.change, text(line), line.end)).collect();
    use LineChange::{Added, Equal, Removed};
    let expected = [
        (Equal, "one", LineEnd::Crlf),
        (Removed, "two", LineEnd::Crlf),
        (Removed, "last", LineEnd::None),
        (Added, "two", LineEnd::Lf),
        (Added, "last", LineEnd::Lf),
    ];
    assert_eq!(ends, expected.map(|(change, text, end)| (change, text.to_owned(), end)));
    let view = open(&bench, &first, &first, "up", b"a.txt").await;
    assert!(hunks(&view.body).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_one_side_has_and_an_empty_one_are_shown_whole() {
    let bench = Bench::new().await;
    let (first, second) = both(&bench, "new.txt", None, Some(b"one\ntwo\n")).await;
    let view = open(&bench, &first, &second, "up", b"new.txt").await;
    assert_eq!(unified(&view.body), "@@ -0 +1 @@\n+one\n+two\n");
    assert!(view.before.is_none() && view.after.is_some());
    let view = open(&bench, &second, &first, "up", b"new.txt").await;
    assert_eq!(unified(&view.body), "@@ -1 +0 @@\n-one\n-two\n");
    let (first, second) = both(&bench, "empty.txt", None, Some(b"")).await;
    assert_eq!(unified(&open(&bench, &first, &second, "up", b"empty.txt").await.body), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_what_has_no_content() {
    let bench = Bench::new().await;
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    bench.write("up/dir/a", "a");
    std::os::unix::fs::symlink("one", bench.app("up/link")).unwrap();
    let first = bench.take(&definition).await;
    std::fs::remove_file(bench.app("up/link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bench.app("up/link")).unwrap();
    let second = bench.take(&definition).await;
    let view = open(&bench, &first, &second, "up", b"link").await;
    assert_eq!(unified(&view.body), "@@ -1 +1 @@\n-one\n+/etc/passwd\n");
    assert_eq!(open(&bench, &first, &second, "up", b"dir").await.body, FileBody::Nothing);
    // Nothing is looked for beyond a link, or above the component.
    let work = work(&bench, &first, &second);
    for path in ["../up/dir/a", "link/a", "dir/a/b", "../../manifest.json"] {
        assert!(try_open(&bench, &work, "up", path.as_bytes()).await.is_err(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_said_to_be_so() {
    let bench = Bench::new().await;
    let (first, second) = both(&bench, "a.bin", Some(b"GIF89a\0\x01\x02tail"), Some(b"GIF89a\0\x01\x03tail")).await;
    assert_eq!(open(&bench, &first, &second, "up", b"a.bin").await.body, FileBody::Binary { differs: Some(8) });
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain("héllo\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let (first, second) = both(&bench, "wide.txt", Some("h\n".as_bytes()), Some(&utf16)).await;
    let view = open(&bench, &first, &second, "up", b"wide.txt").await;
    assert_eq!(view.after.unwrap().encoding.as_deref(), Some("UTF-16LE"));
    assert!(unified(&view.body).contains("+héllo"));
    let (first, second) = both(&bench, "old.txt", Some(b"caf\xe9\n"), Some(b"caf\xe9 au lait\n")).await;
    let view = open(&bench, &first, &second, "up", b"old.txt").await;
    assert_eq!(view.before.unwrap().encoding.as_deref(), Some("Latin-1"));
    assert!(unified(&view.body).contains("+café au lait"));
    let (first, second) = both(&bench, "noise", Some(b"x"), Some(&[0x80, 0x81, 0xFE, 0xFF, 0x90].repeat(50))).await;
    assert_eq!(open(&bench, &first, &second, "up", b"noise").await.body, FileBody::Binary { differs: Some(0) });
}

/// Bytes that a generator gives, for content that does not repeat.
fn noise(bytes: usize, mut seed: u64) -> Vec<u8> {
    let mut made = Vec::with_capacity(bytes + 8);
    while made.len() < bytes {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        made.extend_from_slice(&seed.to_le_bytes());
    }
    made.truncate(bytes);
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn long_files_are_told_by_their_first_difference_without_reading_what_they_share() {
    let bench = Bench::new().await;
    let mut bytes = noise(20 << 20, 7);
    let before = bytes.clone();
    bytes[17_000_001] ^= 1;
    let (first, second) = both(&bench, "disk.img", Some(&before), Some(&bytes)).await;
    let view = open(&bench, &first, &second, "up", b"disk.img").await;
    assert_eq!(view.body, FileBody::Binary { differs: Some(17_000_001) });
    let text = "a line of text that is the same\n".repeat(50_000);
    let (first, second) =
        both(&bench, "big.log", Some(text.as_bytes()), Some((text.clone() + "more\n").as_bytes())).await;
    let view = open(&bench, &first, &second, "up", b"big.log").await;
    assert_eq!(view.body, FileBody::TooLarge { most: 1 << 20, differs: Some(text.len() as u64) });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_takes_longer_than_the_patience_lasts() {
    let bench = Bench::new().await;
    let random = |seed: u64, alphabet: u8, line: usize| -> Vec<u8> {
        let mut text: Vec<u8> = noise(1 << 20, seed).into_iter().map(|byte| b'a' + byte % alphabet).collect();
        text.iter_mut().skip(line).step_by(line + 1).for_each(|byte| *byte = b'\n');
        text
    };
    let nested = "(".repeat(200_000).into_bytes();
    let json: Vec<u8> = format!("{{\"a\":[{}]}}", "{\"b\":\"c\\n\"},".repeat(40_000)).into_bytes();
    let cases: [(&str, Vec<u8>, Vec<u8>); 6] = [
        ("few-words.txt", random(1, 2, 1), random(2, 2, 1)),
        ("lines.txt", "\n".repeat(1 << 20).into_bytes(), "\n".repeat(1 << 19).into_bytes()),
        ("one-line.min.js", random(3, 26, 1 << 21), random(4, 26, 1 << 21)),
        ("nested.rs", nested.clone(), [nested, b"x".to_vec()].concat()),
        ("big.json", json.clone(), [json, b"\n".to_vec()].concat()),
        ("code.php", random(5, 94, 60), random(6, 94, 60)),
    ];
    for (name, before, after) in cases {
        let (first, second) = both(&bench, name, Some(&before), Some(&after)).await;
        let mut work = work(&bench, &first, &second);
        work.limits.patience = Duration::from_millis(300);
        let begun = Instant::now();
        let view = try_open(&bench, &work, "up", name.as_bytes()).await.unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        let size = serde_json::to_vec(&view).unwrap().len();
        assert!(size < 8 << 20, "{name}: an answer of {size} bytes");
    }
}
