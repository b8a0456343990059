//! One page a file. A page holds only the case that all is well; `loaded` holds the others.

pub mod activity;
pub mod browse;
pub mod checkpoint;
pub mod compare;
pub mod environment;
pub mod not_found;
pub mod overview;
pub mod project;
pub mod projects;
pub mod restore;
pub mod run;
pub mod settings;
pub mod tables;
