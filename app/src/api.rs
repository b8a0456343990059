//! The server functions: what pages read, and what forms do. Stable addresses below `/ui`.

mod act;
mod read;

pub use act::{BackUp, Cancel, ConfirmRecoveryKit, Delete, Drill, Restore, Verify, confirm_word};
pub use read::{
    ActivityPage, CheckpointData, EnvironmentData, ProjectPage, ProjectsPage, RunData, read_activity, read_checkpoint,
    read_environment, read_overview, read_project, read_projects, read_run, read_running,
};

#[cfg(feature = "ssr")]
mod door;
