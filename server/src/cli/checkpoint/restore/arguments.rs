//! What `checkpoint restore` takes.

use std::path::PathBuf;

use clap::Args;
use holdfast_model::{name::Name, request::RestoreCheckpoint, secret::Sent, table::TableMode};

use super::super::super::{failure::Failure, vault::read};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint restore production@latest
  holdfast checkpoint restore chk_0abc… --components database
  holdfast checkpoint restore chk_0abc… --dry-run
  holdfast checkpoint restore chk_0abc… --path 'uploads/2026/**' --path '*.svg'
  holdfast checkpoint restore chk_0abc… --table public.orders
  holdfast checkpoint restore chk_0abc… --to staging
  holdfast checkpoint restore chk_0abc… --to copy --map uploads=/srv/copy/uploads --map database=shop_copy
  holdfast checkpoint restore chk_0abc… --components uploads --to-dir /tmp/uploads
  holdfast checkpoint restore chk_0abc… --components database --to-url-file url.txt
  holdfast checkpoint restore chk_0abc… --no-backup --yes

It goes back to the environment that it was taken of, unless it is told otherwise. First a safety checkpoint of the
present state is taken; a database that is replaced stays beside the new one under another name, and newer files are
moved aside.

With --table only those tables are put back, in one transaction, while the application runs. The mode `insert`
brings back rows that are missing and columns that are gone, and changes nothing else; `overwrite` also gives changed
rows the values that they had; `replace` makes the table what it was, and rows that came since go.

With --path only what matches is put back, and everything else stays. Patterns are read as those of `exclude` are.
A place of --map that holds a password is better kept in a file: --map database=@FILE, or @- for stdin.";

/// Options of `checkpoint restore`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    pub id: String,
    /// Only these components: names, kinds or types
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    components: Vec<String>,
    /// Only what matches in components of files; may be given more than once
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<String>,
    /// Only this table of a PostgreSQL component, while the application runs; may be given more than once
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    tables: Vec<String>,
    /// How a table is put back: `insert` what is missing, `overwrite` changed rows too, or `replace` it whole
    #[arg(long, value_name = "MODE", requires = "tables")]
    mode: Option<TableMode>,
    /// Into another environment; one that does not exist is made with the places of --map
    #[arg(long, value_name = "ENV", alias = "target-app", group = "place")]
    to: Option<String>,
    /// Where a component goes in an environment that is made: a path, a database's name, a URL, or @FILE
    #[arg(long, value_name = "COMPONENT=PLACE", requires = "to")]
    map: Vec<String>,
    /// Into a folder of the server's host that is empty or not there
    #[arg(long, value_name = "DIR", group = "place")]
    to_dir: Option<PathBuf>,
    /// One PostgreSQL component into this database
    #[arg(long, value_name = "URL", group = "place", group = "database_url")]
    to_url: Option<Sent>,
    /// The same with the URL in a variable
    #[arg(long, value_name = "VARIABLE", group = "place", group = "database_url")]
    to_url_env: Option<String>,
    /// The same with the URL in a file, `-` for stdin
    #[arg(long, value_name = "FILE", group = "place", group = "database_url")]
    to_url_file: Option<PathBuf>,
    /// The database of the URL may hold something; it is kept under another name
    #[arg(long, requires = "database_url")]
    replace_database: bool,
    /// It may go to places that another environment uses
    #[arg(long)]
    overlap: bool,
    /// Put back devices, and set-uid and set-gid bits and capabilities of files, too
    #[arg(long)]
    privileged: bool,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Take no safety checkpoint first; says what would be lost, and asks
    #[arg(long)]
    pub no_backup: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Show the run's log too
    #[arg(long, short)]
    pub verbose: bool,
}

impl RestoreArguments {
    /// As the API takes it. A folder is named as the server understands it.
    pub fn request(&self) -> Result<RestoreCheckpoint, Failure> {
        let absolute = |folder: &PathBuf| {
            std::path::absolute(folder)
                .map_err(|source| Failure::Io { what: format!("the path {}", folder.display()), source })
        };
        Ok(RestoreCheckpoint {
            components: self.components.clone(),
            backup: !self.no_backup,
            paths: self.paths.clone(),
            to: self.to.clone(),
            map: self.map.iter().map(|text| mapping(text)).collect::<Result<_, _>>()?,
            overlap: self.overlap,
            to_dir: self.to_dir.as_ref().map(absolute).transpose()?,
            to_url: self.url()?,
            replace_database: self.replace_database,
            tables: self.tables.clone(),
            mode: self.mode,
            privileged: self.privileged,
        })
    }

    fn url(&self) -> Result<Option<Sent>, Failure> {
        if let Some(name) = &self.to_url_env {
            return std::env::var(name).map(|url| Some(url.into())).map_err(|_| Failure::Usage {
                message: format!("the variable {name} is not set, or is not text"),
                mend: "set it, or give the URL in a file with --to-url-file".into(),
            });
        }
        match &self.to_url_file {
            Some(file) => Ok(Some(first_line(&read(file)?))),
            None => Ok(self.to_url.clone()),
        }
    }
}

fn first_line(text: &str) -> Sent {
    text.lines().next().unwrap_or_default().trim().into()
}

/// `component=place`; a place that begins with `@` is read from a file, and a path is made absolute.
fn mapping(text: &str) -> Result<(Name, Sent), Failure> {
    let wrong = |message: String| Failure::Usage {
        message,
        mend: "write --map COMPONENT=PLACE, such as --map uploads=/srv/copy/uploads".into(),
    };
    let (name, place) = text.split_once('=').ok_or_else(|| wrong("a --map without `=` says no place".to_owned()))?;
    let name: Name = name.parse().map_err(|error| wrong(format!("`{name}` is no name of a component: {error}")))?;
    if let Some(file) = place.strip_prefix('@') {
        return Ok((name, first_line(&read(&PathBuf::from(file))?)));
    }
    if place.starts_with("./") || place.starts_with("../") {
        let place = std::path::absolute(place)
            .map_err(|source| Failure::Io { what: format!("the place of {name}"), source })?;
        return Ok((name, place.display().to_string().into()));
    }
    Ok((name, place.into()))
}
