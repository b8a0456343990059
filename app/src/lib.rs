//! The dashboard: shell, routes, pages and server functions, rendered on the server and alive in the browser.
//!
//! It stands on `holdfast-model` alone and reaches the server only through [`backend::Backend`].

// Properties of leptos components are taken by value: the macro's calling convention.
#![allow(clippy::needless_pass_by_value)]

mod api;
pub mod backend;
mod chart;
mod components;
pub mod error;
mod pages;
mod run_state;
mod sentence;
mod shell;
mod stream;
mod text;

pub use shell::App;
#[cfg(feature = "ssr")]
pub use shell::shell;
