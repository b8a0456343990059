//! Words from elsewhere, made safe for a terminal, and numbers and states for people.

use std::borrow::Cow;

use console::{StyledObject, style};
use holdfast_model::state::{Integrity, Proof, RunState};

/// The text with every control character shown as an escape: a name is data and never moves a cursor.
pub fn plain(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(odd) {
        Cow::Owned(text.chars().map(|c| if odd(c) { c.escape_default().to_string() } else { c.to_string() }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 checkpoint`, `2 checkpoints`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A verdict, coloured where colours are wanted.
pub fn proof(proof: Proof) -> StyledObject<&'static str> {
    let word = style(proof.as_str());
    match proof {
        Proof::Proven => word.green(),
        Proof::Failed => word.red().bold(),
        Proof::Partial | Proof::Stale => word.yellow(),
        Proof::Unproven => word.dim(),
    }
}

/// Integrity, coloured.
pub fn integrity(integrity: Integrity) -> StyledObject<&'static str> {
    let word = style(integrity.as_str());
    match integrity {
        Integrity::Intact => word.green(),
        Integrity::Damaged => word.red().bold(),
        Integrity::Unchecked => word.dim(),
    }
}

/// A run's state, coloured.
pub fn run_state(state: RunState) -> StyledObject<&'static str> {
    let word = style(state.as_str());
    match state {
        RunState::Succeeded => word.green(),
        RunState::Failed => word.red().bold(),
        RunState::Warning | RunState::Cancelled => word.yellow(),
        RunState::Queued | RunState::Running => word.cyan(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "row", "rows"), "1 row");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(plain("a b"), "a b");
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(plain("\u{202e}gpj"), "\\u{202e}gpj");
    }
}
