//! `holdfast recover`: an empty data directory gets the catalogue of a host that is lost. It needs no running server.

use std::path::PathBuf;

use clap::Args;
use holdfast_model::view::{Recovered, RecoveryKit};
use holdfast_vault::Password;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    Ending,
    bucket::BucketArguments,
    failure::Failure,
    print::text::{count, plain},
    session::Session,
    vault::{absolute, read},
};
use crate::{
    catalogue::{
        age,
        recover::{self, Kit, RecoverError},
    },
    keys::ServerKey,
    vaults::place::Place,
};

/// Options of `recover`.
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// The vault that holds the copies: a path, or s3:… [default: what the kit says]
    #[arg(value_name = "LOCATION")]
    location: Option<String>,
    /// A file with what `holdfast catalogue kit` printed
    #[arg(long, value_name = "FILE")]
    kit: PathBuf,
    /// The lost server's key file, where the kit is one of a project and holds no server key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    bucket: BucketArguments,
}

/// A kit of either kind: that of the catalogue, or that of a project.
#[derive(Deserialize)]
struct Given {
    #[serde(flatten)]
    vault: RecoveryKit,
    #[serde(default)]
    server_key: Option<String>,
}

/// Recovers, and says what comes next.
pub async fn run(session: &Session<'_>, arguments: RecoverArguments) -> Result<Ending, Failure> {
    let settings = session.settings()?;
    let (kit, location) = kit(arguments)?;
    let output = session.output;
    output.note(format!("Looking for copies of the catalogue in {} …", plain(&location)))?;
    let recovered = recover::recover(&settings, kit).await.map_err(|error| failure(&error))?;
    for why in &recovered.passed_over {
        output.note(format!("warning: not usable, so the one before it was taken: {}", plain(why)))?;
    }
    for what in &recovered.problems {
        output.note(format!("warning: {}", plain(what)))?;
    }
    if output.is_json() {
        output.json(&recovered)?;
    } else {
        output.line(summary(&recovered))?;
    }
    Ok(Ending::Done)
}

fn kit(arguments: RecoverArguments) -> Result<(Kit, String), Failure> {
    let given: Given = serde_json::from_str(&read(&arguments.kit)?).map_err(|error| Failure::Usage {
        message: format!("{} is no kit ({error})", arguments.kit.display()),
        mend: "give the file that `holdfast catalogue kit` printed".into(),
    })?;
    let (from, text) = match (&arguments.key_file, given.server_key) {
        (Some(file), _) => (file, read(file)?),
        (None, Some(key)) => (&arguments.kit, key),
        (None, None) => {
            return Err(Failure::Usage {
                message: format!(
                    "{} holds no server key, without which nothing in a catalogue opens",
                    arguments.kit.display()
                ),
                mend: "give what `holdfast catalogue kit` printed, or name the lost server's key file with --key-file"
                    .into(),
            });
        }
    };
    let server_key = ServerKey::from_text(&text).ok_or_else(|| Failure::Usage {
        message: format!("{} does not hold a server key (64 hexadecimal characters)", from.display()),
        mend: "give the file as it was kept; one character that is missing makes it useless".into(),
    })?;
    let location = absolute(arguments.location.unwrap_or(given.vault.repository))?;
    let access = arguments.bucket.read(&location)?;
    let place = Place::read(&location, access.as_ref()).map_err(|error| Failure::Usage {
        message: error.to_string(),
        mend: "name the vault as `holdfast vault list` did, or the place where it lies now".into(),
    })?;
    let kit = Kit {
        place,
        access,
        password: Password::new(given.vault.password),
        key_file: (given.vault.key_name, given.vault.key_file.into_bytes()),
        server_key,
    };
    Ok((kit, location))
}

fn failure(error: &RecoverError) -> Failure {
    let text = error.to_string();
    let lines: Vec<_> = text.lines().map(plain).collect();
    Failure::Server(lines.join("\n"))
}

fn summary(recovered: &Recovered) -> String {
    let mut lines = vec![
        format!(
            "The catalogue is back in {}, from a copy that is {} old",
            plain(&recovered.data_dir),
            age(recovered.copied_at, OffsetDateTime::now_utc())
        ),
        format!(
            "  {} checkpoints ({} of them, and {} drills, are newer than the copy)",
            count(recovered.checkpoints),
            count(recovered.new_checkpoints),
            count(recovered.new_drills)
        ),
    ];
    if recovered.ended_runs > 0 {
        lines.push(format!("  {} runs had not ended then, and have failed now", count(recovered.ended_runs)));
    }
    for missing in &recovered.missing_vaults {
        lines.push(format!(
            "  the vault of {} is not at {} ({}): put it back there, or, wherever it lies now, run: holdfast vault adopt \
             LOCATION --kit KIT-OF-{}",
            missing.project,
            plain(&missing.location),
            plain(&missing.reason),
            missing.project
        ));
    }
    lines.push("Nothing is captured or put back before somebody has looked at each definition. Next:".into());
    lines.push("  holdfast serve".into());
    for environment in &recovered.environments {
        lines.push(format!("  holdfast env confirm {}/{}", environment.project, environment.name));
    }
    lines.join("\n")
}
