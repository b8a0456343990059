//! The application around a restore: stopped, started and looked at by what its definition says.

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use holdfast_model::{
    definition::{After, Definition, Health, Settings},
    event::Level,
};
use holdfast_vault::Cancel;

use super::address;
use crate::{
    context::Context,
    failure::{Failure, blocking},
    postgres, source, sqlite,
};

/// A command that has not ended by then is killed.
const COMMAND: Duration = Duration::from_secs(120);
/// How long health is waited for.
const HEALTH: Duration = Duration::from_secs(60);
/// How much of a command's words is kept.
const WORDS: u64 = 4096;

/// Runs a command to its end; exit status 0 or it failed. What it said is told only when it failed.
///
/// What it leaves running in the background stays: that is how applications are started. So its words go to a file and
/// not to a pipe, which such a child would keep open.
pub(super) async fn run(command: &[String], scratch: &Path, cancel: &Cancel) -> Result<String, Failure> {
    let (command, scratch, cancel) = (command.to_vec(), scratch.to_path_buf(), cancel.clone());
    blocking(move || run_now(&command, &scratch, &cancel)).await
}

fn run_now(command: &[String], scratch: &Path, cancel: &Cancel) -> Result<String, Failure> {
    let shown = command.join(" ");
    let (program, arguments) =
        command.split_first().ok_or_else(|| Failure::Said("the command is an empty list".to_owned()))?;
    let said = |error: std::io::Error| Failure::Said(format!("`{shown}` could not be run: {error}"));
    fs::create_dir_all(scratch).map_err(said)?;
    let words = tempfile::tempfile_in(scratch).map_err(said)?;
    let mut reader = words.try_clone().map_err(said)?;
    let mut child = Command::new(program);
    child.args(arguments).current_dir("/").process_group(0).stdin(Stdio::null());
    child.stdout(words.try_clone().map_err(said)?).stderr(words);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HOLDFAST_")) {
        child.env_remove(name);
    }
    let begun = Instant::now();
    let mut child = child.spawn().map_err(said)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(said)? {
            break status;
        }
        let late = begun.elapsed() > COMMAND;
        if late || cancel.is_cancelled() {
            let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(group) = group {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
            if late {
                return Err(Failure::Said(format!(
                    "`{shown}` had not ended after {} s and was killed",
                    COMMAND.as_secs()
                )));
            }
            return Err(Failure::Cancelled);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(program.clone());
    }
    let mut text = Vec::new();
    std::io::Seek::rewind(&mut reader).map_err(said)?;
    reader.take(WORDS).read_to_end(&mut text).map_err(said)?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let how = status.code().map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
    Err(Failure::Said(format!("`{shown}` ended with {how}: {text}")))
}

/// Does what follows the start, then waits until everything that must be true is true.
pub(super) async fn look(definition: &Definition, scratch: &Path, ctx: &Context) -> Result<String, Failure> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .redirect(address::redirects())
        .dns_resolver(std::sync::Arc::new(address::Guarded))
        .build()
        .map_err(|error| Failure::Said(format!("the health checks cannot be made: {error}")))?;
    let plan = &definition.restore;
    for after in &plan.after {
        match after {
            After::Cmd { cmd } => drop(run(cmd, scratch, &ctx.cancel).await?),
            After::Http { http } => until(http, ctx, || call(&client, http)).await?,
        }
    }
    for health in &plan.health {
        match health {
            Health::Http { http } => until(http, ctx, || call(&client, http)).await?,
            Health::Sql { sql, component } => until(sql, ctx, || query(definition, component.as_str(), sql)).await?,
        }
    }
    Ok(format!("{} checks", plan.after.len() + plan.health.len()))
}

/// Tries until it works, for [`HEALTH`] at most.
async fn until<F: Future<Output = Result<(), String>>>(
    what: &str,
    ctx: &Context,
    mut attempt: impl FnMut() -> F,
) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        ctx.cancel.check()?;
        match attempt().await {
            Ok(()) => {
                ctx.log(Level::Info, None, format!("health: `{what}` is well"));
                return Ok(());
            }
            Err(why) if begun.elapsed() > HEALTH => {
                return Err(Failure::Said(format!("`{what}` was not well within {} s: {why}", HEALTH.as_secs())));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn call(client: &reqwest::Client, text: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    address::literal(&url).map_err(|refused| refused.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
}

async fn query(definition: &Definition, component: &str, sql: &str) -> Result<(), String> {
    let settings = definition.component(component).map(|component| &component.settings);
    let answer = match settings {
        Some(Settings::Postgres { url }) => {
            let url = source::read(url)?;
            postgres::is_true(&url, sql).await.map_err(|error| error.to_string())?
        }
        Some(Settings::Sqlite { path }) => {
            let (path, sql) = (path.clone(), sql.to_owned());
            blocking(move || sqlite::is_true(&path, &sql)).await.map_err(|error| error.to_string())?
        }
        _ => return Err(format!("`{component}` is not a database component")),
    };
    if answer { Ok(()) } else { Err("it is not true".to_owned()) }
}
