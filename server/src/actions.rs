//! What a request may cause.
