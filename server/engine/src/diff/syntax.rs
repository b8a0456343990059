//! What each piece of source code is in its language, as one of a few classes; a style sheet gives them colours.
//!
//! The grammars are compiled into the program and unpacked at the first use. Colour is a courtesy: it is given up where
//! a text is too long or takes too long, and never holds up an answer.

use std::{path::Path, sync::LazyLock, time::Instant};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

/// Bytes of a text that are looked at.
const LONGEST: usize = 256 << 10;
/// A text whose wanted lines lie within so many bytes is read from its start, as its grammar wants it.
const FROM_START: usize = 64 << 10;
/// In a longer one reading begins so many lines above wanted ones: a comment that began further up is not seen as one.
const ABOVE: usize = 80;
/// A longer line is not source code that somebody wrote.
const LONGEST_LINE: usize = 1000;

static GRAMMARS: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

/// Languages without a grammar of their own, and the one that fits them best.
const NEAREST: [(&str, &str); 16] = [
    ("ts", "js"),
    ("tsx", "js"),
    ("jsx", "js"),
    ("mjs", "js"),
    ("cjs", "js"),
    ("vue", "html"),
    ("svelte", "html"),
    ("scss", "css"),
    ("less", "css"),
    ("kt", "java"),
    ("swift", "rs"),
    ("toml", "properties"),
    ("ini", "properties"),
    ("conf", "properties"),
    ("env", "properties"),
    ("zsh", "sh"),
];

/// The first rule that fits a scope decides; a scope without a rule leaves it to the one around it.
const RULES: [(&str, Option<&str>); 34] = [
    ("comment", Some("comment")),
    ("punctuation.definition.comment", Some("comment")),
    ("meta.template.expression", None),
    ("meta.interpolation", None),
    ("source", None),
    ("punctuation.definition.string", Some("string")),
    ("string", Some("string")),
    ("markup.raw", Some("string")),
    ("constant.numeric", Some("number")),
    ("constant", Some("constant")),
    ("support.constant", Some("constant")),
    ("keyword.operator", Some("operator")),
    ("keyword", Some("keyword")),
    ("storage", Some("keyword")),
    ("support.type.property-name", Some("attribute")),
    ("meta.property-name", Some("attribute")),
    ("entity.name.function", Some("function")),
    ("support.function", Some("function")),
    ("variable.function", Some("function")),
    ("entity.name.tag", Some("tag")),
    ("entity.other.attribute-name", Some("attribute")),
    ("entity.name.section", Some("heading")),
    ("markup.heading", Some("heading")),
    ("entity.name.class", Some("type")),
    ("entity.name.struct", Some("type")),
    ("entity.name.enum", Some("type")),
    ("entity.name.trait", Some("type")),
    ("entity.name.interface", Some("type")),
    ("entity.name.type", Some("type")),
    ("entity.other.inherited-class", Some("type")),
    ("support.class", Some("type")),
    ("support.type", Some("type")),
    ("variable.parameter", Some("variable")),
    ("variable.language", Some("variable")),
];

static SCOPES: LazyLock<Vec<(Scope, Option<&'static str>)>> =
    LazyLock::new(|| RULES.iter().filter_map(|(scope, class)| Some((Scope::new(scope).ok()?, *class))).collect());

/// The classes of one line: up to which byte each goes.
pub(super) type Classes = Vec<(usize, Option<&'static str>)>;

/// A language that there is a grammar for.
#[derive(Clone, Copy)]
pub(super) struct Language(&'static SyntaxReference);

impl Language {
    /// By the file's name, or else by its first line.
    pub(super) fn of(path: &Path, first_line: &str) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
        let nearest = NEAREST.iter().find(|(other, _)| *other == extension).map(|(_, nearest)| *nearest);
        let bare = name.trim_start_matches('.');
        let first_line = first_line.get(..LONGEST_LINE.min(first_line.len())).unwrap_or_default();
        let found = [name, &extension, nearest.unwrap_or_default(), bare]
            .into_iter()
            .filter(|word| !word.is_empty())
            .find_map(|word| GRAMMARS.find_syntax_by_extension(word))
            .or_else(|| GRAMMARS.find_syntax_by_first_line(first_line))?;
        (found.name != "Plain Text").then_some(Self(found))
    }

    /// Its name: `Rust`.
    pub(super) fn name(self) -> &'static str {
        &self.0.name
    }

    /// The classes of the lines that are `wanted`, in the order of the lines; empty for those that were given up.
    pub(super) fn classes(self, lines: &[&str], wanted: &[bool], end: Instant) -> Vec<Classes> {
        // A grammar is a program in a language of patterns: what goes wrong in it costs the colours and nothing else.
        let paint = std::panic::AssertUnwindSafe(|| self.paint(lines, wanted, end));
        let mut found = std::panic::catch_unwind(paint).unwrap_or_default();
        found.resize(lines.len(), Classes::new());
        found
    }

    fn paint(self, lines: &[&str], wanted: &[bool], end: Instant) -> Vec<Classes> {
        let mut found = vec![Classes::new(); lines.len()];
        let mut bytes = 0;
        for stretch in stretches(lines, wanted) {
            let (mut state, mut stack) = (ParseState::new(self.0), ScopeStack::new());
            for at in stretch {
                let line = lines[at];
                bytes += line.len();
                if bytes > LONGEST || Instant::now() >= end {
                    return found;
                }
                if line.len() > LONGEST_LINE {
                    continue;
                }
                let Ok(steps) = state.parse_line(line, &GRAMMARS) else { break };
                let mut classes = Classes::new();
                let mut sound = true;
                for (byte, step) in steps {
                    enter(&mut classes, byte, &stack, wanted[at]);
                    sound &= stack.apply(&step).is_ok();
                }
                enter(&mut classes, line.len(), &stack, wanted[at]);
                if !sound {
                    break;
                }
                found[at] = classes;
            }
        }
        found
    }
}

/// The lines to read for the sake of those that are wanted.
fn stretches(lines: &[&str], wanted: &[bool]) -> Vec<std::ops::Range<usize>> {
    let last = wanted.iter().rposition(|wanted| *wanted).map_or(0, |last| last + 1);
    let before: usize = lines.iter().take(last).map(|line| line.len()).sum();
    if before <= FROM_START {
        return std::iter::once(0..last).collect();
    }
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for at in (0..last).filter(|at| wanted[*at]) {
        match found.last_mut() {
            Some(stretch) if at <= stretch.end + ABOVE => stretch.end = at + 1,
            _ => found.push(at.saturating_sub(ABOVE)..at + 1),
        }
    }
    found
}

/// Notes that the class of `stack` goes up to byte `at`.
fn enter(classes: &mut Classes, at: usize, stack: &ScopeStack, wanted: bool) {
    let from = classes.last().map_or(0, |(end, _)| *end);
    if !wanted || at <= from {
        return;
    }
    let class = class(stack);
    match classes.last_mut() {
        Some((end, last)) if *last == class => *end = at,
        _ => classes.push((at, class)),
    }
}

fn class(stack: &ScopeStack) -> Option<&'static str> {
    let decides = |scope: &Scope| SCOPES.iter().find(|(rule, _)| rule.is_prefix_of(*scope)).map(|(_, class)| *class);
    stack.as_slice().iter().rev().find_map(decides).flatten()
}
