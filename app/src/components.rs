//! The pieces that pages are made of. Most are functions that give an erased view: the wasm stays small that way.

pub mod chart;
pub mod copy;
pub mod form;
pub mod frame;
pub mod icon;
pub mod layout;
pub mod list;
pub mod loaded;
pub mod run_panel;
pub mod word;
