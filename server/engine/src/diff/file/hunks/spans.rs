//! One line in pieces: cut where a mark or a class begins, without what could steer a page or a terminal, and short.

use holdfast_model::diff::Span;

/// A line of more characters is shown in part.
const LONGEST: usize = 2000;
/// Of it, characters that are kept at either end of a piece that is not marked.
const AROUND: usize = 80;
/// And of a marked one.
const MARKED: usize = 600;

/// Cuts the first `length` bytes of a line into spans.
pub(super) fn of(pieces: &[(bool, &str)], classes: &[(usize, Option<&'static str>)], length: usize) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut at, mut classes) = (0, classes.iter().peekable());
    for (marked, piece) in pieces {
        let mut rest = piece.get(..piece.len().min(length.saturating_sub(at))).unwrap_or(piece);
        while !rest.is_empty() {
            while classes.next_if(|(end, _)| *end <= at).is_some() {}
            let (end, class) = classes.peek().map_or((usize::MAX, None), |(end, class)| (*end, *class));
            let cut = rest.len().min(end - at);
            // Both count in bytes of the same line, so a class ends between two characters.
            let (text, left) = rest.split_at_checked(cut).unwrap_or((rest, ""));
            push(&mut spans, text, class, *marked);
            at += text.len();
            rest = left;
        }
    }
    if spans.iter().map(|span| span.text.len()).sum::<usize>() > LONGEST { shortened(spans) } else { spans }
}

fn push(spans: &mut Vec<Span>, text: &str, class: Option<&str>, marked: bool) {
    let text = plain(text);
    match spans.last_mut() {
        Some(last) if last.marked == marked && last.class.as_deref() == class => last.text.push_str(&text),
        _ => spans.push(Span { text, class: class.map(str::to_owned), marked }),
    }
}

/// Characters that steer as pictures or numbers: nobody hides a change behind them.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push('\t'),
            '\0'..='\u{1F}' => shown.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('␦')),
            '\u{7F}' => shown.push('␡'),
            '\u{80}'..='\u{9F}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' => shown.push_str(&format!("\\u{{{:04X}}}", u32::from(character))),
            other => shown.push(other),
        }
    }
    shown
}

/// What is marked, with a little around it.
fn shortened(spans: Vec<Span>) -> Vec<Span> {
    let (mut kept, mut room) = (Vec::new(), LONGEST);
    for span in spans {
        let around = if span.marked { MARKED / 2 } else { AROUND };
        let count = span.text.chars().count();
        let text = if count > 2 * around {
            let start: String = span.text.chars().take(around).collect();
            let end: String = span.text.chars().skip(count - around).collect();
            format!("{start}…{end}")
        } else {
            span.text
        };
        let long = text.chars().count();
        if long > room {
            kept.push(Span { text: "…".to_owned(), class: None, marked: false });
            break;
        }
        room -= long;
        kept.push(Span { text, ..span });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_marks_and_classes() {
        let spans = of(&[(false, "let a"), (true, "bc = 1;\n")], &[(3, Some("keyword")), (13, None)], 12);
        let told: Vec<_> = spans.iter().map(|s| (s.text.as_str(), s.class.as_deref(), s.marked)).collect();
        assert_eq!(told, [("let", Some("keyword"), false), (" a", None, false), ("bc = 1;", None, true)]);
    }

    #[test]
    fn what_steers_is_shown_and_what_is_long_is_cut_around_the_marks() {
        let spans = of(&[(false, "a\u{1b}[31m\u{202e}b\t\u{0}")], &[], 100);
        assert_eq!(spans[0].text, "a␛[31m\\u{202E}b\t␀");
        let long = "x".repeat(100_000);
        let spans = of(&[(false, &long), (true, "here"), (false, &long)], &[], usize::MAX);
        assert!(spans.iter().any(|span| span.marked && span.text == "here"));
        assert!(spans.iter().map(|span| span.text.chars().count()).sum::<usize>() <= LONGEST);
    }
}
