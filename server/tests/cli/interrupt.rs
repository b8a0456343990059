//! Ctrl-C cancels the run, and nothing of it is left behind.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Server, Shop};

#[test]
fn ctrl_c_cancels_the_run_and_seals_nothing() {
    let server = Server::start();
    let shop = Shop::make(server.folder(), "shop", "production", "");
    // Random bytes cannot be deduplicated or compressed: the capture takes long enough to be interrupted.
    let mut random = File::open("/dev/urandom").unwrap().take(600_000_000);
    io::copy(&mut random, &mut File::create(shop.folder.join("uploads/big.bin")).unwrap()).unwrap();
    shop.apply(&server);
    let mut child = server
        .command()
        .args(["checkpoint", "create", "production"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "Creating checkpoint for environment: production\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{err}");
    assert!(err.contains("Cancelling run_"), "{err}");
    assert!(err.contains("the checkpoint was cancelled"), "{err}");
    assert_eq!(server.run(&["checkpoint", "list", "--json"]).expect(0).json()["count"], 0);
    fs::remove_file(shop.folder.join("uploads/big.bin")).unwrap();
    // The slot is free again.
    server.run(&["checkpoint", "create", "production", "--quiet"]).expect(0);
}
