//! The embedded dashboard.
