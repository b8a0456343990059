//! How a command is told the way into a bucket.

use std::path::PathBuf;

use clap::Args;
use holdfast_model::{
    request::{BucketAccess, ObjectLock},
    state::{Checksum, LockMode},
};

use super::failure::Failure;

/// Options for a location in a bucket. The secret never stands in an argument, where others could see it.
#[derive(Debug, Args)]
pub struct BucketArguments {
    /// Where the bucket is served [default: AWS]
    #[arg(long, value_name = "URL", help_heading = "For a bucket")]
    endpoint: Option<String>,
    /// The bucket's region [default: AWS_REGION, else us-east-1]
    #[arg(long, value_name = "NAME", help_heading = "For a bucket")]
    region: Option<String>,
    /// The access key's id [default: AWS_ACCESS_KEY_ID]
    #[arg(long, value_name = "ID", help_heading = "For a bucket")]
    access_key: Option<String>,
    /// A file with the access key's secret [default: AWS_SECRET_ACCESS_KEY]
    #[arg(long, value_name = "FILE", help_heading = "For a bucket")]
    secret_key_file: Option<PathBuf>,
    /// Put the bucket's name into the path, and not into the host's name [default: everywhere but at AWS]
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no, help_heading = "For a bucket")]
    path_style: Option<bool>,
    /// Checksum of each upload: none, md5, crc32, crc32c, sha256 [default: sha256]
    #[arg(long, value_name = "KIND", help_heading = "For a bucket")]
    checksum: Option<Checksum>,
    /// Certificates in PEM that alone are trusted
    #[arg(long, value_name = "FILE", help_heading = "For a bucket")]
    ca: Option<PathBuf>,
    /// Lock what is sealed for so many days: nobody can remove it before, whatever credential he has. The bucket must
    /// have been made with object lock
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=36500), help_heading = "For a bucket")]
    lock_days: Option<u16>,
    /// How firmly: compliance, or governance, which a permission of its own can lift
    #[arg(
        long,
        value_name = "MODE",
        default_value = "compliance",
        requires = "lock_days",
        help_heading = "For a bucket"
    )]
    lock_mode: LockMode,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".into()),
    }
}

impl BucketArguments {
    /// The way into the bucket; none where the location is no bucket.
    ///
    /// # Errors
    /// When the credential is not given, or a file cannot be read.
    pub fn read(&self, location: &str) -> Result<Option<BucketAccess>, Failure> {
        if !location.starts_with("s3:") {
            return Ok(None);
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let missing = |what: &str, mend: &str| Failure::Usage { message: what.into(), mend: mend.into() };
        let file = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|source| Failure::Io { what: format!("reading {}", path.display()), source })
        };
        let access_key = self.access_key.clone().or_else(|| variable("AWS_ACCESS_KEY_ID")).ok_or_else(|| {
            missing("the id of the access key is not given", "set AWS_ACCESS_KEY_ID, or give it with --access-key")
        })?;
        let secret_key = match &self.secret_key_file {
            Some(path) => file(path)?.trim().to_owned(),
            None => variable("AWS_SECRET_ACCESS_KEY").ok_or_else(|| {
                missing(
                    "the secret of the access key is not given",
                    "set AWS_SECRET_ACCESS_KEY, or name a file with --secret-key-file",
                )
            })?,
        };
        Ok(Some(BucketAccess {
            endpoint: self.endpoint.clone(),
            region: self.region.clone().or_else(|| variable("AWS_REGION")),
            access_key,
            secret_key,
            path_style: self.path_style,
            checksum: self.checksum,
            ca: self.ca.as_ref().map(file).transpose()?,
            lock: self.lock_days.map(|days| ObjectLock { days, mode: self.lock_mode }),
        }))
    }
}
