//! `holdfast vault`: which vaults there are, making one at a place of one's choice, adopting one that exists, what is done
//! with one as a whole, and what is needed to read one without Holdfast.

use std::{io::Read as _, path::PathBuf};

use clap::{Args, Subcommand};
use holdfast_model::{
    name::Name,
    request::{AddVault, AdoptVault, KeyFile},
    size,
    view::{Adopted, RecoveryKit, Trial},
};

use time::OffsetDateTime;

mod work;

use super::{
    Ending,
    bucket::BucketArguments,
    confirm,
    failure::Failure,
    print::{
        table::Table,
        text::{count, plain},
        times,
    },
    session::Session,
};

use work::{CheckArguments, CopyArguments, PruneArguments, RepairArguments, Which};

/// What `vault` can do.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// List all vaults
    List,
    /// Make a project's vault in a bucket or in a folder of the server's host, before its first checkpoint
    Add(AddArguments),
    /// Print location, password, key file and commands: enough to restore with stock restic alone
    RecoveryKit(KitArguments),
    /// Copy every checkpoint into another vault, which from then on is kept as a mirror, or takes the vault's place
    Copy(CopyArguments),
    /// Check that everything is there and whole; the server reads a share of the data each day by itself
    Check(CheckArguments),
    /// Make a damaged vault's index anew from its packs
    Repair(RepairArguments),
    /// Take out what no checkpoint needs any more; the server does so once a day by itself
    Prune(PruneArguments),
    /// Make the checkpoints of a vault visible here: one of ours, or a plain restic repository
    Adopt(AdoptArguments),
}

/// Options of `vault add`.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// The project; made where there is none
    #[arg(value_name = "PROJECT")]
    project: Name,
    /// s3://bucket/prefix, or a path on the server's host
    #[arg(value_name = "LOCATION")]
    location: String,
    #[command(flatten)]
    bucket: BucketArguments,
}

/// Options of `vault adopt`.
#[derive(Debug, Args)]
pub struct AdoptArguments {
    /// Where it is: a path on the server's host [default: what the kit says]
    #[arg(value_name = "LOCATION", required_unless_present = "kit")]
    location: Option<String>,
    /// The recovery kit: a file with what `vault recovery-kit --json` printed
    #[arg(long, value_name = "FILE")]
    kit: Option<PathBuf>,
    /// A file with the password, `-` for stdin [default: from the kit, else RESTIC_PASSWORD]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The project that it becomes the vault of [default: the one that its checkpoints name]
    #[arg(long, value_name = "NAME")]
    project: Option<Name>,
    #[command(flatten)]
    bucket: BucketArguments,
}

/// Options of `vault recovery-kit`.
#[derive(Debug, Args)]
pub struct KitArguments {
    #[command(flatten)]
    which: Which,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: VaultCommand) -> Result<Ending, Failure> {
    match command {
        VaultCommand::RecoveryKit(arguments) => recovery_kit(session, arguments).await,
        VaultCommand::Copy(arguments) => work::copy(session, arguments).await,
        VaultCommand::Check(arguments) => work::check(session, arguments).await,
        VaultCommand::Repair(arguments) => work::repair(session, arguments).await,
        VaultCommand::Prune(arguments) => work::prune(session, arguments).await,
        VaultCommand::List => list(session).await,
        VaultCommand::Add(arguments) => add(session, arguments).await,
        VaultCommand::Adopt(arguments) => adopt(session, arguments).await,
    }
}

async fn list(session: &Session<'_>) -> Result<Ending, Failure> {
    let vaults = session.client()?.vaults().await?;
    let output = session.output;
    if output.is_json() {
        output.json(&vaults)?;
        return Ok(Ending::Done);
    }
    if vaults.is_empty() {
        output.note(
            "There is no vault yet; a project's first checkpoint makes one, or: holdfast vault add PROJECT LOCATION",
        )?;
        return Ok(Ending::Done);
    }
    let mut table =
        Table::new(&["PROJECT", "ROLE", "CHECKPOINTS", "STORED", "FREE", "CHECKED", "RECOVERY KIT", "LOCATION"])
            .right(&[2, 3, 4]);
    let now = OffsetDateTime::now_utc();
    for vault in &vaults {
        let (here, all) = vault.checkpoints;
        let checked = match vault.checked_at {
            Some(at) if vault.damaged == 0 => times::ago(at, now),
            Some(at) => format!("{} damaged, {}", count(vault.damaged), times::ago(at, now)),
            None => "never".into(),
        };
        table.row(vec![
            vault.project.to_string(),
            vault.role.to_string(),
            if here == all { here.to_string() } else { format!("{here} of {all}") },
            size::display(vault.stored),
            vault.free.map_or_else(|| "?".into(), size::display),
            checked,
            if vault.recovery_kit_confirmed { "stored" } else { "not confirmed" }.into(),
            plain(&vault.location).into_owned(),
        ]);
    }
    output.line(table.render())?;
    Ok(Ending::Done)
}

async fn add(session: &Session<'_>, arguments: AddArguments) -> Result<Ending, Failure> {
    let bucket = arguments.bucket.read(&arguments.location)?;
    let request = AddVault { location: absolute(arguments.location)?, bucket };
    if request.bucket.is_some() {
        session.output.note("Trying the bucket …")?;
    }
    let added = session.client()?.add_vault(&arguments.project, &request).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&added)?;
        return Ok(Ending::Done);
    }
    for trial in &added.trials {
        output.line(tried(trial))?;
    }
    output.line(format!(
        "The vault of project {} is at {}.\nStore its recovery kit elsewhere: holdfast vault recovery-kit {}",
        added.vault.project,
        plain(&added.vault.location),
        added.vault.project
    ))?;
    Ok(Ending::Done)
}

/// One thing that a storage was tried with.
fn tried(trial: &Trial) -> String {
    let mark = if trial.works { "✓" } else { "–" };
    format!("  {mark} {:<16} {}", trial.name, plain(&trial.message))
}

async fn adopt(session: &Session<'_>, arguments: AdoptArguments) -> Result<Ending, Failure> {
    let kit = arguments.kit.as_ref().map(read_kit).transpose()?;
    let password = match (&arguments.password_file, &kit) {
        (Some(file), _) => read(file)?.lines().next().unwrap_or_default().to_owned(),
        (None, Some(kit)) => kit.password.clone(),
        (None, None) => std::env::var("RESTIC_PASSWORD").map_err(|_| Failure::Usage {
            message: "the vault's password is not given".into(),
            mend: "name the recovery kit with --kit, or a file with --password-file, or set RESTIC_PASSWORD".into(),
        })?,
    };
    let location = arguments.location.or_else(|| kit.as_ref().map(|kit| kit.repository.clone())).unwrap_or_default();
    let key = kit.map(|kit| KeyFile { name: kit.key_name, content: kit.key_file });
    let bucket = arguments.bucket.read(&location)?;
    let request = AdoptVault { location: absolute(location)?, password, bucket, project: arguments.project, key };
    session.output.note("Reading the vault; one with many checkpoints takes a while …")?;
    let adopted = session.client()?.adopt(&request).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&adopted)?;
    } else {
        output.line(summary(&adopted))?;
    }
    for problem in &adopted.problems {
        output.note(format!("not read: {}", plain(problem)))?;
    }
    Ok(Ending::Done)
}

fn summary(adopted: &Adopted) -> String {
    let mut lines = vec![format!(
        "{} is the vault of project {}: {} checkpoints ({} new here), {} drills new here",
        plain(&adopted.location),
        adopted.project,
        count(adopted.checkpoints),
        count(adopted.new_checkpoints),
        count(adopted.new_drills),
    )];
    for adopted in &adopted.environments {
        let name = format!("{}/{}", adopted.environment.project, adopted.environment.name);
        lines.push(match adopted.to_confirm {
            true => format!("  {name}  to be confirmed: holdfast env confirm {name}"),
            false => format!("  {name}"),
        });
    }
    lines.join("\n")
}

/// A path as the server understands it; what names a place elsewhere stays as it is.
pub(super) fn absolute(location: String) -> Result<String, Failure> {
    if location.contains(':') {
        return Ok(location);
    }
    let path = std::path::absolute(&location)
        .map_err(|source| Failure::Io { what: format!("the path {location}"), source })?;
    Ok(path.display().to_string())
}

fn read_kit(file: &PathBuf) -> Result<RecoveryKit, Failure> {
    serde_json::from_str(&read(file)?).map_err(|error| Failure::Usage {
        message: format!("{} is no recovery kit ({error})", file.display()),
        mend: "give the file that `holdfast vault recovery-kit PROJECT --json` printed".into(),
    })
}

pub(super) fn read(file: &PathBuf) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(|_| text),
        false => std::fs::read_to_string(file),
    };
    read.map_err(|source| Failure::Io { what: format!("reading {}", file.display()), source })
}

async fn recovery_kit(session: &Session<'_>, arguments: KitArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let Which { project, location } = arguments.which;
    let kit = client.recovery_kit(&project, location.as_deref()).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&kit)?;
        return Ok(Ending::Done);
    }
    output.line(page(&kit))?;
    output.note(
        "\nWhoever has this can read every checkpoint of the project. Keep it where this machine's end does not reach:\n\
         a password manager, or paper. It was not written to any file.",
    )?;
    let vaults = client.vaults().await?;
    for other in vaults.iter().filter(|vault| vault.project == kit.project && vault.location != kit.repository) {
        output.note(format!(
            "The project's {} at {} has a kit of its own: add --location {}",
            other.role,
            plain(&other.location),
            plain(&other.location)
        ))?;
    }
    if !output.can_ask() || !output.is_terminal() {
        return Ok(Ending::Done);
    }
    if confirm::yes_or_no("Have you stored it in another place?", false).await? {
        client.confirm_recovery_kit(&project, location.as_deref()).await?;
        output.note("Noted.")?;
    } else {
        output.note("The overview goes on asking until somebody has.")?;
    }
    Ok(Ending::Done)
}

fn page(kit: &RecoveryKit) -> String {
    let mut text = format!(
        "Recovery kit of project {}\n\n  Repository:  {}\n  Password:    {}\n\nKey file keys/{}\n(the password opens nothing without it; put it back if it is missing)\n\n{}\n\nCommands\n",
        kit.project,
        plain(&kit.repository),
        kit.password,
        kit.key_name,
        kit.key_file.trim_end(),
    );
    for command in &kit.commands {
        text.push_str(&format!("\n  {command}"));
    }
    text
}
