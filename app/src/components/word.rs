//! The states as icon, word and tone. Never by colour alone, and never two states in one.

use holdfast_model::{
    state::{Integrity, Proof, Protection, RunState},
    view::RunView,
};
use leptos::prelude::*;

use super::icon::{Icon, icon};

/// How a fact feels: the class that colours it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not quite.
    Warn,
    /// Wrong.
    Bad,
    /// Going on.
    Live,
    /// Nothing to say.
    Plain,
}

impl Tone {
    /// Its class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Live => "live",
            Self::Plain => "plain",
        }
    }
}

/// A state as it is drawn.
pub type Look = (Tone, Icon, &'static str);

/// How a proof looks.
pub const fn proof_look(proof: Proof) -> Look {
    match proof {
        Proof::Proven => (Tone::Good, Icon::Shield, "proven"),
        Proof::Partial => (Tone::Warn, Icon::Half, "partial"),
        Proof::Unproven => (Tone::Plain, Icon::Empty, "unproven"),
        Proof::Failed => (Tone::Bad, Icon::Cross, "failed"),
        Proof::Stale => (Tone::Warn, Icon::Clock, "stale"),
    }
}

/// How a run's state looks.
pub const fn run_look(state: RunState) -> Look {
    match state {
        RunState::Queued => (Tone::Plain, Icon::Clock, "queued"),
        RunState::Running => (Tone::Live, Icon::Spinner, "running"),
        RunState::Succeeded => (Tone::Good, Icon::Check, "succeeded"),
        RunState::Warning => (Tone::Warn, Icon::Alert, "warning"),
        RunState::Failed => (Tone::Bad, Icon::Cross, "failed"),
        RunState::Cancelled => (Tone::Plain, Icon::Stop, "cancelled"),
    }
}

/// How an integrity looks.
pub const fn integrity_look(integrity: Integrity) -> Look {
    match integrity {
        Integrity::Unchecked => (Tone::Plain, Icon::Empty, "unchecked"),
        Integrity::Intact => (Tone::Good, Icon::Check, "intact"),
        Integrity::Damaged => (Tone::Bad, Icon::Alert, "damaged"),
    }
}

/// How a protection looks.
pub const fn protection_look(protection: Protection) -> Look {
    match protection {
        Protection::None => (Tone::Plain, Icon::Dash, "none"),
        Protection::Tagged => (Tone::Good, Icon::Tag, "tagged"),
        Protection::Locked => (Tone::Good, Icon::Lock, "locked"),
    }
}

/// Icon and word.
pub fn word((tone, shape, text): Look) -> AnyView {
    view! { <span class=format!("word {}", tone.class())>{icon(shape)} <span>{text}</span></span> }.into_any()
}

/// A proof.
pub fn proof(proof: Proof) -> AnyView {
    word(proof_look(proof))
}

/// A run's state.
pub fn run(state: RunState) -> AnyView {
    word(run_look(state))
}

/// Whether a run's gate is open; nothing where none has spoken.
pub fn gate(run: &RunView) -> Option<AnyView> {
    run.gate_open.map(|open| {
        word(if open { (Tone::Good, Icon::Check, "gate open") } else { (Tone::Bad, Icon::Cross, "gate shut") })
    })
}
