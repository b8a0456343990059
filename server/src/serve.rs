//! The life of the service.
