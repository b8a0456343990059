//! Streams: cut where the caller says, deduplicated where content moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/lib.rs"]
mod support;

use std::io::{Read, Seek, SeekFrom, Write};

use holdfast_vault::{Cancel, Chunking, Error, Meter, Node, Streamed, Vault};
use support::*;
use time::OffsetDateTime;

fn put(vault: &Vault, chunking: Chunking, bytes: &[u8]) -> Streamed {
    let writer = vault.writer(Cancel::new()).unwrap();
    let mut stream = writer.stream(chunking, &Meter::new());
    for piece in bytes.chunks(60_001) {
        stream.write_all(piece).unwrap();
    }
    let streamed = stream.finish().unwrap();
    let node = Node::file("dump", streamed.content.clone(), streamed.bytes, OffsetDateTime::now_utc());
    let tree = writer.put_tree(vec![node]).unwrap();
    writer.seal(draft(tree)).unwrap();
    streamed
}

/// Rows of a dump; those that `changed` names have another content of the same length.
fn rows(count: u32, changed: impl Fn(u32) -> bool) -> Vec<u8> {
    let row = |n: u32| {
        let noise = n.wrapping_mul(2_654_435_761) ^ if changed(n) { 0x5555_5555 } else { 0 };
        format!("{n:08}\tcustomer {noise:08x}\t2026-01-02 03:04:05\t{:08x}\n", noise.rotate_left(7)).into_bytes()
    };
    (0..count).flat_map(row).collect()
}

#[test]
fn a_cut_starts_a_blob_and_both_sides_are_read_alone() {
    let place = Place::new();
    let vault = place.vault();
    let writer = vault.writer(Cancel::new()).unwrap();
    let (head, tail) = (random(300_000), random(1_000_000));
    let mut stream = writer.stream(Chunking::Dump, &Meter::new());
    stream.write_all(&head).unwrap();
    stream.cut().unwrap();
    stream.cut().unwrap();
    stream.write_all(&tail).unwrap();
    let streamed = stream.finish().unwrap();
    assert_eq!(streamed.bytes, 1_300_000);
    let node = Node::file("dump", streamed.content.clone(), streamed.bytes, OffsetDateTime::now_utc());
    let tree = writer.put_tree(vec![node.clone()]).unwrap();
    writer.seal(draft(tree)).unwrap();
    // Some blob begins at byte 300,000: a file of the blobs from there on is the tail.
    let mut read = Vec::new();
    let starts_there = (0..streamed.content.len()).any(|n| {
        let rest = Node::file("rest", streamed.content[n..].to_vec(), 0, OffsetDateTime::now_utc());
        let mut reader = vault.read(&rest).unwrap();
        read.clear();
        reader.len() == 1_000_000 && reader.read_to_end(&mut read).is_ok()
    });
    assert!(starts_there && read == tail);
    let mut reader = vault.read(&node).unwrap();
    reader.seek(SeekFrom::Start(299_990)).unwrap();
    let mut middle = [0; 20];
    reader.read_exact(&mut middle).unwrap();
    assert_eq!(middle[..10], head[299_990..]);
    assert_eq!(middle[10..], tail[..10]);
    place.restic_accepts();
    assert!(place.restic_command(&["dump", "latest", "/dump"]).output().unwrap().stdout == [head, tail].concat());
}

#[test]
fn a_changed_dump_stores_little_again() {
    let place = Place::new();
    let vault = place.vault();
    let first = put(&vault, Chunking::Dump, &rows(400_000, |_| false));
    let again = put(&vault, Chunking::Dump, &rows(400_000, |_| false));
    assert_eq!(again.content, first.content);
    assert_eq!(again.stored, 0);
    let one_place = put(&vault, Chunking::Dump, &rows(400_000, |n| (200_000..204_000).contains(&n)));
    assert!(one_place.stored * 100 <= first.stored * 3, "{} of {}", one_place.stored, first.stored);
    // One percent of the rows in bursts of a hundred.
    let scattered = put(&vault, Chunking::Dump, &rows(400_000, |n| n % 10_000 < 100));
    assert!(scattered.stored * 100 <= first.stored * 15, "{} of {}", scattered.stored, first.stored);
}

#[test]
fn many_streams_at_once_each_keep_their_order() {
    let place = Place::new();
    let vault = place.vault();
    let writer = vault.writer(Cancel::new()).unwrap();
    let contents: Vec<Vec<u8>> = (0..6).map(|n| random(2_000_000 + n * 77_777)).collect();
    let nodes: Vec<Node> = std::thread::scope(|scope| {
        let threads: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(n, content)| {
                let mut stream =
                    writer.stream(if n % 2 == 0 { Chunking::Files } else { Chunking::Dump }, &Meter::new());
                scope.spawn(move || {
                    content.chunks(9_999).for_each(|piece| stream.write_all(piece).unwrap());
                    let streamed = stream.finish().unwrap();
                    Node::file(&format!("stream-{n}"), streamed.content, streamed.bytes, OffsetDateTime::now_utc())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let tree = writer.put_tree(nodes.clone()).unwrap();
    writer.seal(draft(tree)).unwrap();
    for (node, content) in nodes.iter().zip(&contents) {
        let mut read = Vec::new();
        vault.read(node).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == *content);
    }
}

#[test]
fn an_empty_stream_and_an_abandoned_one() {
    let place = Place::new();
    let vault = place.vault();
    let streamed = put(&vault, Chunking::Dump, b"");
    assert_eq!((streamed.content.len(), streamed.bytes), (0, 0));
    let writer = vault.writer(Cancel::new()).unwrap();
    let mut dropped = writer.stream(Chunking::Dump, &Meter::new());
    dropped.write_all(&random(1 << 20)).unwrap();
    drop(dropped);
    let mut late = writer.stream(Chunking::Dump, &Meter::new());
    let node = Node::dir("x", holdfast_vault::Id::of(b"never written"), OffsetDateTime::now_utc());
    let twice = writer.put_tree(vec![node.clone(), node]);
    assert!(matches!(twice, Err(Error::Refused(_))));
    assert!(matches!(writer.seal(draft(holdfast_vault::Id::of(b"never written"))), Err(Error::Refused(_))));
    late.write_all(&random(10)).unwrap_err();
    place.restic_accepts();
}
