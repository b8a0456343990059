//! What pages read, and what forms do: server functions with stable addresses below `/ui`.

mod act;
mod door;
mod read;

pub use act::{BackUp, ConfirmRecoveryKit, Delete, Drill, Restore, Verify, confirm_word};
pub use read::{
    ActivityPage, CheckpointData, EnvironmentData, ProjectPage, ProjectsPage, RunData, read_activity, read_checkpoint,
    read_environment, read_overview, read_project, read_projects, read_run, read_running,
};
