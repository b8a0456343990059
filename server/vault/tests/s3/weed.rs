//! A SeaweedFS of this test run's own: a real S3 store on loopback ports, which goes when the tests' process goes.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use holdfast_vault::{S3Options, SecretKey};

use super::support::random;

pub const BUCKET: &str = "holdfast";
/// With object lock.
pub const LOCKED: &str = "holdfast-locked";
/// That keeps versions, and holds nothing.
pub const VERSIONED: &str = "holdfast-versions";
pub const KEY: &str = "AKIDHOLDFAST";
pub const SECRET: &str = "very-secret-holdfast";
/// May read and list, and nothing else.
pub const READER: (&str, &str) = ("AKIDREADER", "very-secret-reader");

pub struct Weed {
    pub port: u16,
    /// The same with TLS, by a certificate of its own.
    pub tls_port: u16,
    /// That certificate, in PEM.
    pub ca: String,
    /// As long as this pipe is open the store lives.
    _life: ChildStdin,
}

/// The one store of this test run.
pub fn weed() -> &'static Weed {
    static WEED: OnceLock<Weed> = OnceLock::new();
    WEED.get_or_init(start)
}

/// Options for a place in the bucket, straight to the store, with short times.
pub fn options_at(prefix: &str) -> S3Options {
    options_by(weed().port, prefix)
}

/// The same through another port.
pub fn options_by(port: u16, prefix: &str) -> S3Options {
    let endpoint = format!("http://127.0.0.1:{port}");
    let place = format!("s3://{BUCKET}/{prefix}");
    let mut options = S3Options::new(&place, Some(&endpoint), None, KEY, SecretKey::new(SECRET)).unwrap();
    options.patience = Duration::from_secs(20);
    options
}

fn program() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([tools])
        .map(|dir| dir.join("weed"))
        .find(|file| file.is_file())
        .expect("SeaweedFS (`weed`) is neither in PATH nor in target/tools/bin: run .ci/install test")
}

#[allow(clippy::zombie_processes, reason = "the store lives as long as we do, and then the shell waits for it")]
fn start() -> Weed {
    let dir = tempfile::Builder::new().prefix("holdfast-weed-").tempdir().unwrap().keep();
    let identity = |name: &str, (key, secret): (&str, &str), actions: &[&str]| serde_json::json!({ "name": name, "credentials": [{ "accessKey": key, "secretKey": secret }], "actions": actions });
    let identities = [
        identity("owner", (KEY, SECRET), &["Admin", "Read", "Write", "List", "Tagging"]),
        identity("reader", READER, &["Read", "List"]),
    ];
    let config = dir.join("s3.json");
    std::fs::write(&config, serde_json::json!({ "identities": identities }).to_string()).unwrap();
    let ports = free_ports();
    let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"];
    let mut args: Vec<String> = names.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}")).collect();
    args.extend([format!("-s3.port={}", ports[6]), format!("-s3.port.grpc={}", ports[7])]);
    args.extend([format!("-dir={}", dir.display()), format!("-s3.config={}", config.display())]);
    args.extend(
        [
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ]
        .map(String::from),
    );
    args.extend(["-volume.max=100", "-master.volumeSizeLimitMB=1024", "-volume.preStopSeconds=0"].map(String::from));
    certificates(&dir);
    args.extend([format!("-s3.port.https={}", ports[8]), format!("-s3.cert.file={}/leaf.pem", dir.display())]);
    args.push(format!("-s3.key.file={}/leaf.key", dir.display()));
    // The shell outlives us by a moment: when our end of the pipe closes, however we end, it stops the store.
    let script = r#""$@" >"$dir/log" 2>&1 & store=$!; cat >/dev/null; kill -9 $store; wait; rm -rf "$dir""#;
    let mut shell = Command::new("sh")
        .args(["-c", script, "weed"])
        .arg(program())
        .arg("server")
        .args(&args)
        .env("dir", &dir)
        // For server-side encryption, any key.
        .env("WEED_S3_SSE_KEK", "5a".repeat(32))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let ca = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    let weed = Weed { port: ports[6], tls_port: ports[8], ca, _life: shell.stdin.take().unwrap() };
    let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let started = Instant::now();
    let late = || assert!(started.elapsed() < Duration::from_secs(40), "SeaweedFS does not come up:\n{}", log());
    while TcpStream::connect(("127.0.0.1", weed.port)).is_err() {
        late();
        std::thread::sleep(Duration::from_millis(50));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while runtime.block_on(client(weed.port).create_bucket().bucket(BUCKET).send()).is_err() {
        late();
        std::thread::sleep(Duration::from_millis(100));
    }
    let owner = client(weed.port);
    runtime.block_on(async {
        owner.create_bucket().bucket(LOCKED).object_lock_enabled_for_bucket(true).send().await.unwrap();
        owner.create_bucket().bucket(VERSIONED).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        owner.put_bucket_versioning().bucket(VERSIONED).versioning_configuration(enabled).send().await.unwrap();
    });
    weed
}

/// The SDK's own client, for what a vault never does.
pub fn client(port: u16) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .force_path_style(true)
        .credentials_provider(aws_sdk_s3::config::Credentials::new(KEY, SECRET, None, None, "test"))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Nine ports that are free now, and that no outgoing connection is given before the store has them: the system takes
/// those from 32768 on.
fn free_ports() -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < 9 {
        let [high, low]: [u8; 2] = random(2).try_into().unwrap();
        let port = 20_000 + u16::from_be_bytes([high, low]) % 12_000;
        held.extend(TcpListener::bind(("127.0.0.1", port)).ok());
    }
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// A certification authority of this test run, and a certificate of it for loopback.
fn certificates(dir: &Path) {
    let config = "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
                  [leaf]\nbasicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(dir.join("openssl.conf"), config).unwrap();
    for (name, issuer) in [("ca", &[][..]), ("leaf", &["-CA", "ca.pem", "-CAkey", "ca.key"])] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-config", "openssl.conf", "-extensions", name, "-subj", &format!("/CN=holdfast test {name}")])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .args(issuer)
            .current_dir(dir)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
