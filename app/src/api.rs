//! What pages read, and what forms do: server functions with stable addresses below `/ui`.

mod act;
mod door;
mod read;

pub use act::{BackUp, CompareNow, ConfirmRecoveryKit, Delete, Drill, Restore, Verify, confirm_word, restore_word};
pub use read::{
    ActivityPage, CheckpointData, EnvironmentData, ProjectPage, ProjectsPage, RestoreData, RunData, read_activity,
    read_audit, read_checkpoint, read_compare, read_compared_file, read_compared_table, read_compared_value,
    read_environment, read_folder, read_keys, read_members, read_overview, read_project, read_projects, read_restore,
    read_rows, read_run, read_running, read_sessions, read_tables,
};
