//! How large should the chunks of a dump be? Cuts a dump and one with scattered changes at several sizes, and prints
//! what the first costs and what of the second would be stored again.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, clippy::indexing_slicing)]

use std::collections::HashMap;

use fastcdc::v2020::FastCDC;
use sha2::{Digest, Sha256};

/// What a blob costs beside its content: IV, MAC, header and a compressed index entry.
const OVERHEAD: usize = 32 + 41 + 60;

fn rows(count: u32, changed: impl Fn(u32) -> bool) -> Vec<u8> {
    let row = |n: u32| {
        let noise = n.wrapping_mul(2_654_435_761) ^ if changed(n) { 0x5555_5555 } else { 0 };
        let words = ["harbour", "anchor", "tide", "kelp", "current", "reef", "storm", "lantern"];
        let word = |shift: u32| words[(noise >> shift & 7) as usize];
        format!(
            "{n}\t{}-{}@example.org\t{} {} {}\t2026-01-{:02} 03:04:05\t{:.2}\n",
            word(0),
            noise % 9973,
            word(3),
            word(6),
            word(9),
            noise % 28 + 1,
            f64::from(noise % 100_000) / 100.0
        )
        .into_bytes()
    };
    (0..count).flat_map(row).collect()
}

fn stored(dump: &[u8], average: usize, known: &mut HashMap<[u8; 32], ()>) -> (usize, usize) {
    let (mut chunks, mut bytes) = (0, 0);
    for chunk in FastCDC::new(dump, average / 4, average, average * 8) {
        let content = &dump[chunk.offset..chunk.offset + chunk.length];
        if known.insert(Sha256::digest(content).into(), ()).is_none() {
            chunks += 1;
            bytes += zstd::bulk::compress(content, 3).map_or(content.len(), |packed| packed.len()) + OVERHEAD;
        }
    }
    (chunks, bytes)
}

fn main() {
    let count = 2_000_000;
    let first = rows(count, |_| false);
    println!("{:.0} MB of rows", first.len() as f64 / 1e6);
    println!("average   first MB  chunks   1 % in one place   in bursts of 1000 rows   of 100 rows   single rows");
    for average in [16, 32, 64, 128, 256, 1024].map(|kib| kib << 10) {
        let mut known = HashMap::new();
        let (chunks, bytes) = stored(&first, average, &mut known);
        let share = |changed: &dyn Fn(u32) -> bool| {
            let (_, again) = stored(&rows(count, changed), average, &mut known.clone());
            100.0 * again as f64 / bytes as f64
        };
        println!(
            "{:4} KiB  {:8.1}  {chunks:6}  {:14.1} %  {:20.1} %  {:12.1} %  {:10.1} %",
            average >> 10,
            bytes as f64 / 1e6,
            share(&|n| (1_000_000..1_020_000).contains(&n)),
            share(&|n| n % 100_000 < 1000),
            share(&|n| n % 10_000 < 100),
            share(&|n| n % 100 == 0),
        );
    }
}
