//! A link with delay: `link PORT MILLISECONDS [BYTES_PER_SECOND]` listens on a port of its own on loopback, says which
//! on its first line, and passes everything on to PORT. What comes back comes so much later; with a rate, each
//! connection carries no more than that in either direction.
//!
//! With a store behind it, it is how the vault is measured over a distance.
#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(port), Some(delay)) = (args.first(), args.get(1)) else {
        return Err("usage: link PORT MILLISECONDS [BYTES_PER_SECOND]".into());
    };
    let (port, delay) = (port.parse::<u16>()?, Duration::from_millis(delay.parse()?));
    let rate = args.get(2).map_or(Ok(0), |rate| rate.parse::<u64>())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for client in listener.incoming() {
        let (client, server) = (client?, TcpStream::connect(("127.0.0.1", port))?);
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        carry(client.try_clone()?, server.try_clone()?, Duration::ZERO, rate);
        carry(server, client, delay, rate);
    }
    Ok(())
}

/// Carries one direction on threads of its own; the connection's end is carried too.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, rate: u64) {
    let (send, receive) = mpsc::sync_channel::<(Instant, Vec<u8>)>(256);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if let Some(time) = (count as u64 * 1_000_000).checked_div(rate) {
                thread::sleep(Duration::from_micros(time));
            }
            if send.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, bytes)) = receive.recv() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // Whoever is at the other end has gone, or nothing more will come: both are told by the end of this direction.
        let _ = to.shutdown(Shutdown::Write);
    });
}
