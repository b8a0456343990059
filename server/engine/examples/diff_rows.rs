//! What comparing one large table costs, beside the time that reading both dumps from the vault takes.
//!
//! `diff_rows [MEGABYTES [CHANGED]]` starts a PostgreSQL server of its own, fills a table (1000 MB of dump unless told),
//! seals it, changes one row of CHANGED (1000 unless told), seals it again, compares both three times, and prints what
//! that took and the most memory that it had. All of it lies below the folder for temporary files, and goes at the end.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/compared.rs"]
mod compared;
#[path = "../tests/support/postgres.rs"]
mod support;

use std::{fs, io::Read as _, path::Path, time::Instant};

use compared::Compared;
use holdfast_engine::diff::End;
use support::{Bench, Server};

/// Bytes of one row in a dump.
const ROW: u64 = 200;

#[tokio::main]
async fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let rows = numbers.first().unwrap_or(&1000) * 1_000_000 / ROW;
    let one_of = numbers.get(1).unwrap_or(&1000);
    let (server, bench) = (Server::ready().await, Bench::new().await);
    server
        .sql(
            "shop",
            &format!(
                "create table orders as select i::bigint as id, i % 1000 as customer, timestamptz '2026-01-01' + i * interval '1 s' as placed,
                    (i % 9973)::numeric / 100 as amount, md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text) as what,
                    repeat('x', 42) as note from generate_series(1, {rows}) i;
                alter table orders add primary key (id); alter table orders owner to app"
            ),
        )
        .await;
    let url = server.app("shop");
    let first = bench.checkpoint(&url).await.unwrap();
    server.sql("shop", &format!("update orders set amount = amount + 1 where id % {one_of} = 7")).await;
    let second = bench.checkpoint(&url).await.unwrap();
    let compared = Compared::new(&bench, &first, &second).await;
    println!("{rows} rows, stored by the second checkpoint: {} MB", second.component.stored / 1_000_000);
    for round in 1..=3 {
        forget_the_peak();
        let begun = Instant::now();
        let changes = compared.changes().await;
        let took = begun.elapsed();
        println!(
            "round {round}: {} in {took:.2?}, {}",
            changes.tables.iter().map(|table| format!("{:?}", table.rows)).collect::<Vec<_>>().join(", "),
            peak()
        );
        let begun = Instant::now();
        let opened = compared.table("public", "orders", 500).await.unwrap();
        println!("  opened, {} of {} rows, in {:.2?}", opened.rows.len(), opened.total, begun.elapsed());
        let ends = [compared.work.first.clone(), compared.work.second.clone()];
        let one_by_one = ends.clone();
        let begun = Instant::now();
        let bytes: u64 = blocking(move || one_by_one.iter().map(read).sum()).await;
        let alone = begun.elapsed();
        let begun = Instant::now();
        for one in ends.map(|end| blocking(move || read(&end))) {
            one.await;
        }
        let together = begun.elapsed();
        println!(
            "  both dumps ({} MB) read in {alone:.2?}, by two threads in {together:.2?}: ratio {:.2} and {:.2}",
            bytes / 1_000_000,
            took.as_secs_f64() / alone.as_secs_f64(),
            took.as_secs_f64() / together.as_secs_f64(),
        );
    }
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let working = tokio::task::spawn_blocking(work);
    async { working.await.unwrap() }
}

fn read(end: &End) -> u64 {
    let node = end.vault.find(&end.root, Path::new("databases/postgres/dump.pgc")).unwrap();
    let mut reader = end.vault.read(&node).unwrap();
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0_u64);
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => return bytes,
            count => bytes += count as u64,
        }
    }
}

/// From now on the peak is that of what follows.
fn forget_the_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}
