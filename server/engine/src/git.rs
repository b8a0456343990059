//! Git repositories: every ref with its history, and uncommitted work.

use std::path::Path;

/// The version of that `git` program.
pub async fn version(git: &Path) -> Result<String, String> {
    let mend = "install git, or set its path";
    let output = tokio::process::Command::new(git)
        .arg("--version")
        .output()
        .await
        .map_err(|error| format!("`{}` cannot be run ({error}); {mend}", git.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .strip_prefix("git version ")
        .map(str::to_owned)
        .ok_or_else(|| format!("`{} --version` did not answer as git does; {mend}", git.display()))
}
