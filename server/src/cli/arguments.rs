//! The tree of commands and the options that all of them take.

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Parser, Subcommand};

use super::{
    admin::AdminArguments, apply::ApplyArguments, audit::AuditCommand, auth::AuthCommand,
    break_glass::BreakGlassCommand, catalogue::CatalogueCommand, checkpoint::CheckpointCommand,
    completions::CompletionsArguments, environment::EnvironmentCommand, key::KeyCommand, login::LoginArguments,
    logs::LogsArguments, recover::RecoverArguments, session::ServeArguments, vault::VaultCommand,
};
use crate::auth::admin::Door;

const EXAMPLES: &str = "\
Examples:
  holdfast serve                                   start the server on this machine
  holdfast apply -f holdfast.yaml                  tell it what an environment consists of
  holdfast checkpoint create production            capture, seal and prove it
  holdfast checkpoint list --env production --since 7d
  holdfast checkpoint restore production@latest    put it back

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 sealed but not proven.";

/// Checkpoints a whole application, proves the copy, and puts it back.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print exactly one JSON value on stdout; progress goes to stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// The server's address [default: from client.json in the data directory]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "HOLDFAST_URL",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub url: Option<String>,
    /// The server's data directory on this machine, where client.json lies
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "HOLDFAST_DATA_DIR",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub data_dir: Option<PathBuf>,
    /// The server's settings [default: holdfast.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// The way past the identity provider, while `holdfast admin` runs.
    #[arg(skip)]
    pub door: Option<Arc<Door>>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: dashboard, API and workers in one process
    Serve(ServeArguments),
    /// Tell the server what an environment consists of
    Apply(ApplyArguments),
    /// List environments, or see how one stands
    #[command(subcommand, visible_alias = "environment")]
    Env(EnvironmentCommand),
    /// Create, list, show, verify, drill, restore, export, import and delete checkpoints
    #[command(subcommand)]
    Checkpoint(Box<CheckpointCommand>),
    /// Show what happened in an environment's runs
    Logs(LogsArguments),
    /// What is needed to read a vault without Holdfast, and adopting a vault that exists
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Copy the catalogue into a vault, and print what brings it back on another host
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
    /// Keys by which programs take checkpoints
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who may do what: people, programs, and where their roles come from
    Members,
    /// Who did what, and whether the log of it is whole
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Bring the catalogue of a lost host back from a vault, into an empty data directory
    Recover(Box<RecoverArguments>),
    /// Sign in at this terminal with an identity provider, by a code that you give in a browser
    Login(LoginArguments),
    /// Sign out at this terminal
    Logout,
    /// The token of whoever has signed in at this terminal
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Print a new link that signs one browser in, once
    SignInLink,
    /// Say what this machine has and lacks for captures and drills
    Doctor,
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
    /// Do something as the owner of the data directory, past the identity provider; audited as such
    Admin(AdminArguments),
    /// The password by which a browser gets in when no identity provider answers; on the server's host
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
    /// Print the version
    Version,
}
