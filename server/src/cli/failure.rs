//! Everything that can go wrong on the way from a command to its answer, each with what a person can do about it.

use holdfast_model::{id::RunId, problem::Problem};
use serde_json::json;

use super::print::text::plain;

/// Why a command did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing listens there.
    #[error("the server at {url} does not answer{}", because(.reason))]
    NoAnswer {
        /// The address that was tried.
        url: String,
        /// What the operating system said.
        reason: String,
    },
    /// Something listens, but the exchange broke off.
    #[error("the exchange with the server at {url} broke off{}", because(.reason))]
    BrokenOff {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Something else than a Holdfast answered.
    #[error("what answers at {url} is not a Holdfast of a version that this one understands ({reason})")]
    NotHoldfast {
        /// The address.
        url: String,
        /// What was odd.
        reason: String,
    },
    /// The address or the credential cannot be found.
    #[error("{message}")]
    NoServer {
        /// What was looked for and not found.
        message: String,
        /// How to give it.
        mend: String,
    },
    /// The server refused.
    #[error("{}", plain(.0.detail.as_deref().unwrap_or(&.0.title)))]
    Problem(Box<Problem>),
    /// The definition cannot be used; each line names its place.
    #[error("{file} cannot be used")]
    Definition {
        /// The file as it was given.
        file: String,
        /// `holdfast.yaml:12:5: …`
        faults: Vec<String>,
    },
    /// A run ended without its result.
    #[error("{message}")]
    Run {
        /// What ended, and why.
        message: String,
        /// The run.
        run: RunId,
        /// Where to look next.
        mend: String,
    },
    /// What was looked at beforehand would be refused; a line for each reason, with its mend.
    #[error("it would be refused, and nothing was touched")]
    Refused(Vec<String>),
    /// The arguments do not fit together.
    #[error("{message}")]
    Usage {
        /// What does not fit.
        message: String,
        /// What to type instead.
        mend: String,
    },
    /// Something that cannot be undone was not confirmed, because nobody could be asked.
    #[error("this needs a confirmation, and there is no terminal to ask on")]
    Unconfirmed {
        /// What to type when it is meant.
        mend: String,
    },
    /// Reading or writing on this machine failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Nobody is signed in there at this terminal, or no longer.
    #[error("{message}")]
    Login {
        /// What is not as it must be.
        message: String,
        /// What to type.
        mend: String,
    },
    /// The identity provider cannot be asked.
    #[error("the identity provider {issuer} cannot be asked{}", because(.reason))]
    Provider {
        /// Which.
        issuer: String,
        /// What happened.
        reason: String,
    },
    /// What needs a new sign-in was not confirmed, and so not done.
    #[error("{message}")]
    NotConfirmed {
        /// What became of it.
        message: String,
        /// Whether the person left before anybody had decided.
        left: bool,
    },
    /// The server could not be run, or this machine could not be examined.
    #[error("{0}")]
    Server(String),
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

impl Failure {
    /// The exit code: 2 for wrong usage, 130 where the person left, 1 for all else.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::NotConfirmed { left: true, .. } => 130,
            _ => 1,
        }
    }

    /// Whether trying again in a moment may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::BrokenOff { .. } | Self::Provider { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 502..=504),
            _ => false,
        }
    }

    /// What to do about it, where that is not a part of the message.
    fn mend(&self) -> Option<String> {
        match self {
            Self::NoAnswer { .. } => {
                Some("start it with: holdfast serve (or name another one by --url or HOLDFAST_URL)".into())
            }
            Self::BrokenOff { .. } => Some("try again; what had begun on the server goes on there".into()),
            Self::NotHoldfast { .. } => {
                Some("check --url and HOLDFAST_URL, and compare the versions of both sides".into())
            }
            Self::NoServer { mend, .. }
            | Self::Run { mend, .. }
            | Self::Usage { mend, .. }
            | Self::Login { mend, .. }
            | Self::Unconfirmed { mend } => Some(mend.clone()),
            Self::Provider { .. } => {
                Some("try again; it is asked when you sign in, and every few minutes after".into())
            }
            Self::Problem(problem) if problem.status == 401 => {
                Some("use the credential in client.json of this server's data directory, or set HOLDFAST_TOKEN".into())
            }
            Self::NotConfirmed { .. } => Some("type the command again if it is meant".into()),
            Self::Problem(_) | Self::Definition { .. } | Self::Refused(_) | Self::Io { .. } | Self::Server(_) => None,
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Problem(problem) => problem
                .errors
                .iter()
                .map(|fault| match (fault.at.is_empty(), fault.message.is_empty()) {
                    (true, _) => plain(&fault.message).into_owned(),
                    (_, true) => plain(&fault.at).into_owned(),
                    _ => format!("{}: {}", plain(&fault.at), plain(&fault.message)),
                })
                .collect(),
            Self::Definition { faults, .. } | Self::Refused(faults) => faults.clone(),
            _ => Vec::new(),
        }
    }

    /// A word for programs.
    fn kind(&self) -> &str {
        match self {
            Self::NoAnswer { .. } => "no-answer",
            Self::BrokenOff { .. } => "broken-off",
            Self::NotHoldfast { .. } => "not-holdfast",
            Self::NoServer { .. } => "no-server",
            Self::Problem(problem) => &problem.kind,
            Self::Definition { .. } => "definition",
            Self::Run { .. } => "run-failed",
            Self::Refused(_) => "refused",
            Self::Usage { .. } => "usage",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Io { .. } => "io",
            Self::Server(_) => "server",
            Self::Login { .. } => "login",
            Self::Provider { .. } => "provider",
            Self::NotConfirmed { .. } => "not-confirmed",
        }
    }

    /// The lines for stderr, without a newline at the end.
    pub fn for_people(&self) -> String {
        let mut text = format!("{} {self}", console::style("error:").red().bold().for_stderr());
        for line in self.details() {
            text.push_str("\n  ");
            text.push_str(&line);
        }
        if let Some(mend) = self.mend() {
            text.push_str(&format!("\n  {} {mend}", console::style("mend:").green().for_stderr()));
        }
        text
    }

    /// The one value that `--json` prints when there is no answer: a problem in the API's own shape.
    pub fn to_json(&self) -> serde_json::Value {
        if let Self::Problem(problem) = self {
            return json!(problem);
        }
        let mut value = json!({ "type": self.kind(), "title": self.to_string() });
        if let Some(mend) = self.mend() {
            value["detail"] = json!(mend);
        }
        if let Self::Definition { faults, .. } | Self::Refused(faults) = self {
            value["errors"] = json!(faults);
        }
        if let Self::Run { run, .. } = self {
            value["run"] = json!(run);
        }
        value
    }
}
