//! The log: readable lines on a terminal, one JSON object a line otherwise, always on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Ours in detail; libraries only when something is wrong, since at finer levels they show headers and statements.
const DEFAULT: &str = "warn,holdfast=info,holdfast_engine=info,holdfast_vault=info";

/// Starts it; `HOLDFAST_LOG` replaces the default filter. A second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        log.with_target(false).try_init()
    } else {
        log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    // The only reason for an error is that a log has been started already.
    drop(started);
}
