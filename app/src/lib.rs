//! The dashboard. The server draws every page whole, and each works as plain HTML; in the browser a small wasm makes
//! live what gains by it: the panel of a run, forms that answer in place, copying.
//!
//! It stands on `holdfast-model` alone and reaches the server only through [`backend::Backend`].

// Properties of leptos components are taken by value: the macro's calling convention.
#![allow(clippy::needless_pass_by_value)]

pub mod backend;
pub mod error;

#[cfg(any(feature = "ssr", feature = "browser"))]
#[cfg_attr(not(feature = "ssr"), allow(dead_code, reason = "the browser draws only the panel of a run"))]
mod components;
#[cfg(any(feature = "ssr", feature = "browser"))]
#[cfg_attr(not(feature = "ssr"), allow(dead_code, reason = "the browser draws only the panel of a run"))]
mod run_state;
#[cfg(any(feature = "ssr", feature = "browser"))]
#[cfg_attr(not(feature = "ssr"), allow(dead_code, reason = "the browser draws only the panel of a run"))]
mod text;

#[cfg(feature = "ssr")]
mod api;
#[cfg(feature = "ssr")]
mod chart;
#[cfg(feature = "ssr")]
mod may;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
mod sentence;
#[cfg(feature = "ssr")]
mod shell;
#[cfg(feature = "ssr")]
pub use shell::{App, shell};

#[cfg(feature = "browser")]
mod browser;
#[cfg(feature = "browser")]
pub use browser::start;
