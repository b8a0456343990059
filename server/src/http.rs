//! Listener and routes.
