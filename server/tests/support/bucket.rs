//! A bucket of a test's own, behind a link that can be made slow: SeaweedFS, a real S3 store, on loopback ports. It goes
//! when the test does.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use holdfast_model::request::BucketAccess;

const NAME: &str = "holdfast";
const KEY: &str = "AKIDHOLDFAST";
const SECRET: &str = "very-secret-holdfast";

/// The store, and the way to it.
pub struct Bucket {
    endpoint: String,
    /// Milliseconds after which an answer comes.
    delay: Arc<AtomicU64>,
    /// As long as this pipe is open the store lives.
    _life: ChildStdin,
}

impl Bucket {
    /// Starts it, which takes some seconds. Blocking.
    #[allow(clippy::zombie_processes, reason = "the shell ends with us, and waits for the store")]
    pub fn start() -> Self {
        let home = tempfile::Builder::new().prefix("hf-bucket-").tempdir().unwrap().keep();
        let identity = serde_json::json!({ "identities": [{
            "name": "owner", "credentials": [{ "accessKey": KEY, "secretKey": SECRET }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }] });
        std::fs::write(home.join("s3.json"), identity.to_string()).unwrap();
        let ports = free_ports();
        let roles = ["master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc"];
        let port = |(role, port): (&str, &u16)| match role.split_once('.') {
            Some((role, _)) => format!("-{role}.port.grpc={port}"),
            None => format!("-{role}.port={port}"),
        };
        // The shell outlives us by a moment: when our end of the pipe closes, however we end, it stops the store.
        let script = r#""$@" >"$home/log" 2>&1 & store=$!; cat >/dev/null; kill -9 $store; wait; rm -rf "$home""#;
        let mut shell = Command::new("sh")
            .args(["-c", script, "weed"])
            .arg(program())
            .arg("server")
            .args(roles.into_iter().zip(&ports).map(port))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args(["-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=100"])
            .args(["-volume.preStopSeconds=0"])
            .arg(format!("-dir={}", home.display()))
            .arg(format!("-s3.config={}/s3.json", home.display()))
            .env("home", &home)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let delay = Arc::default();
        let bucket = Self {
            endpoint: format!("http://127.0.0.1:{}", link(ports[6], &delay)),
            delay,
            _life: shell.stdin.take().unwrap(),
        };
        bucket.make(&home);
        bucket
    }

    /// From now on each answer comes so much later.
    pub fn slow(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// A place in it.
    pub fn place(&self) -> String {
        format!("s3://{NAME}/vaults/shop")
    }

    /// The way into it.
    pub fn access(&self) -> BucketAccess {
        BucketAccess {
            endpoint: Some(self.endpoint.clone()),
            region: None,
            access_key: KEY.into(),
            secret_key: SECRET.into(),
            path_style: None,
            checksum: None,
            ca: None,
            lock: None,
        }
    }

    /// restic makes a bucket where there is none, as soon as the store is up.
    fn make(&self, home: &Path) {
        let begun = Instant::now();
        loop {
            let made = Command::new("restic")
                .args(["--no-cache", "init", "-r", &format!("s3:{}/{NAME}/made-by-restic", self.endpoint)])
                .env("RESTIC_PASSWORD", "x")
                .env("AWS_ACCESS_KEY_ID", KEY)
                .env("AWS_SECRET_ACCESS_KEY", SECRET)
                .output()
                .unwrap();
            if made.status.success() || String::from_utf8_lossy(&made.stderr).contains("already") {
                return;
            }
            let log = || std::fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "SeaweedFS does not come up:\n{}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn program() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([tools])
        .map(|dir| dir.join("weed"))
        .find(|file| file.is_file())
        .expect("SeaweedFS (`weed`) is neither in PATH nor in target/tools/bin: run .ci/install test")
}

/// Ports that are free now, and that no outgoing connection is given before the store has them: the system takes those
/// from 32768 on.
fn free_ports() -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < 8 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).unwrap();
        held.extend(TcpListener::bind(("127.0.0.1", 20_000 + u16::from_be_bytes(bytes) % 12_000)).ok());
    }
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// A link to this port of loopback; gives its own.
fn link(port: u16, delay: &Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let delay = delay.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(store) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for end in [&client, &store] {
                end.set_nodelay(true).unwrap();
            }
            carry(client.try_clone().unwrap(), store.try_clone().unwrap(), Arc::default());
            carry(store, client, delay.clone());
        }
    });
    own
}

/// Carries one direction; the connection's end is carried too.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Arc<AtomicU64>) {
    let (send, receive) = mpsc::sync_channel::<(Instant, Vec<u8>)>(256);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + Duration::from_millis(delay.load(Ordering::Relaxed));
            if send.send((due, buffer[..count].to_vec())).is_err() {
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
        let _ = to.shutdown(Shutdown::Write);
    });
}
