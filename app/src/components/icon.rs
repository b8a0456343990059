//! Icons as inline SVG, 16 units square, drawn with the colour of the text around them.

use leptos::prelude::*;

/// What an icon shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// A tick.
    Check,
    /// A cross.
    Cross,
    /// A triangle with an exclamation mark.
    Alert,
    /// A clock.
    Clock,
    /// An arc that turns.
    Spinner,
    /// A shield with a tick.
    Shield,
    /// A circle, half of it filled.
    Half,
    /// A broken circle.
    Empty,
    /// A small dot.
    Dot,
    /// A square: stopped.
    Stop,
    /// A dash: left out.
    Dash,
    /// A padlock.
    Lock,
    /// A label.
    Tag,
    /// Four tiles.
    Tiles,
    /// Stacked layers.
    Layers,
    /// A pulse.
    Pulse,
    /// Two sheets.
    Copy,
    /// An arrow that turns back.
    Back,
    /// Three sliders.
    Sliders,
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Check => "M3 8.5l3.2 3.2L13 4.8",
            Self::Cross => "M4 4l8 8M12 4l-8 8",
            Self::Alert => "M8 2.2l6.2 11.3H1.8zM8 6.5v3.2M8 11.6v.1",
            Self::Clock => "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 4.8V8l2.2 1.6",
            Self::Spinner => "M8 1.8a6.2 6.2 0 1 1-6.2 6.2",
            Self::Shield => {
                "M8 1.6l5.2 1.9v4c0 3.3-2.1 5.7-5.2 6.9-3.1-1.2-5.2-3.6-5.2-6.9v-4zM5.4 7.8l1.9 1.9 3.4-3.5"
            }
            Self::Half => "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 1.8v12.4M8 4.5h3.5M8 8h5M8 11.5h3.5",
            Self::Empty => {
                "M5.2 2.5a6.2 6.2 0 0 1 5.6 0M13.7 5.5a6.2 6.2 0 0 1 0 5M10.8 13.5a6.2 6.2 0 0 1-5.6 0M2.3 10.5a6.2 6.2 0 0 1 0-5"
            }
            Self::Dot => "M8 7.5a.5.5 0 1 0 0 1 .5.5 0 0 0 0-1z",
            Self::Stop => "M4 4h8v8H4z",
            Self::Dash => "M4 8h8",
            Self::Lock => "M3.5 7.2h9v6.3h-9zM5.5 7.2V5a2.5 2.5 0 0 1 5 0v2.2",
            Self::Tag => "M2 2.5h5.5L14 9l-5 5-6.5-6.5zM5 5.2v.1",
            Self::Tiles => "M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z",
            Self::Layers => "M8 2l6 3-6 3-6-3zM2 8.2l6 3 6-3M2 11.2l6 3 6-3",
            Self::Pulse => "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
            Self::Copy => "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
            Self::Sliders => "M2 4h5M11 4h3M9 2.3v3.4M2 8h1.5M7.5 8H14M5.5 6.3v3.4M2 12h6.5M12.5 12H14M10.5 10.3v3.4",
            Self::Back => "M2.5 5.5h7a4 4 0 0 1 0 8H5M5.5 2.5l-3 3 3 3",
        }
    }
}

/// The icon, hidden from screen readers: a word always stands beside it.
pub fn icon(icon: Icon) -> AnyView {
    let class = if icon == Icon::Spinner { "icon spin" } else { "icon" };
    view! {
        <svg class=class viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path d=icon.path() />
        </svg>
    }
    .into_any()
}

/// The kelp's holdfast: stipe above, roots below.
pub fn mark() -> AnyView {
    view! {
        <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <path d="M16 2.5c4 3.2-4 6.3 0 9.5v5" />
            <path d="M16 16.5c-2 5.5-5.5 4.5-7.5 10M16 16.5c2 5.5 5.5 4.5 7.5 10M16 17v10" />
            <path d="M16 16c-4 1-9 .5-12 5.5M16 16c4 1 9 .5 12 5.5" />
            <path d="M5 29.5h22" />
        </svg>
    }
    .into_any()
}
