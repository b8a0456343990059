//! Whether two definitions mean the same. PostgreSQL does not always print what it read: `x in ('a', 'b')` on a
//! `varchar` column becomes `(x)::text = any ((array['a'::varchar, …])::text[])`, and that, restored, becomes
//! `any (array[('a'::varchar)::text, …])`. So definitions that differ are compared once more without the casts and
//! the parentheses, in which alone a second reading differs. Texts and quoted names are never touched.

/// Whether two definitions mean the same.
pub(in super::super) fn same(one: &str, other: &str) -> bool {
    one == other || bare(one) == bare(other)
}

fn bare(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let end = match letter {
            '\'' | '"' => end_of_quote(&letters, at),
            '$' => end_of_dollars(&letters, at).unwrap_or(at + 1),
            ':' if letters.get(at + 1) == Some(&':') => {
                at = end_of_type(&letters, at + 2);
                continue;
            }
            '(' | ')' => {
                at += 1;
                continue;
            }
            other if other.is_whitespace() => {
                at += 1;
                continue;
            }
            _ => at + 1,
        };
        out.extend(&letters[at..end]);
        at = end;
    }
    out
}

/// Behind a quoted text or name; a doubled quote stands for itself.
fn end_of_quote(letters: &[char], from: usize) -> usize {
    let quote = letters[from];
    let mut at = from + 1;
    while at < letters.len() {
        if letters[at] == quote {
            if letters.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    letters.len()
}

/// Behind `$tag$ … $tag$`, if it is one.
fn end_of_dollars(letters: &[char], from: usize) -> Option<usize> {
    let length = letters[from + 1..].iter().position(|letter| !letter.is_alphanumeric() && *letter != '_')?;
    if letters[from + 1 + length] != '$' {
        return None;
    }
    let tag = &letters[from..from + length + 2];
    let body = from + tag.len();
    let close = letters[body..].windows(tag.len()).position(|window| window == tag)?;
    Some(body + close + tag.len())
}

/// Behind the name of a type: its words, its schema, its length, its brackets.
fn end_of_type(letters: &[char], from: usize) -> usize {
    let word_at = |mut at: usize| {
        while letters.get(at).is_some_and(|letter| *letter == ' ') {
            at += 1;
        }
        let begin = at;
        if letters.get(at) == Some(&'"') {
            return (begin, end_of_quote(letters, at));
        }
        while letters.get(at).is_some_and(|letter| letter.is_alphanumeric() || *letter == '_') {
            at += 1;
        }
        (begin, at)
    };
    let length_at = |at: usize| match letters.get(at) {
        Some('(') => letters[at..].iter().position(|letter| *letter == ')').map_or(at, |close| at + close + 1),
        _ => at,
    };
    let (mut begin, mut at) = word_at(from);
    while letters.get(at) == Some(&'.') {
        (begin, at) = word_at(at + 1);
    }
    let word: String = letters[begin..at].iter().collect();
    let followers: &[&str] = match word.as_str() {
        "character" | "bit" => &["varying"],
        "double" => &["precision"],
        "time" | "timestamp" => &["with", "without", "time", "zone"],
        _ => &[],
    };
    at = length_at(at);
    while !followers.is_empty() {
        let (begin, end) = word_at(at);
        let next: String = letters[begin..end].iter().collect();
        if !followers.contains(&next.as_str()) {
            break;
        }
        at = length_at(end);
    }
    while letters.get(at) == Some(&'[') {
        at = letters[at..].iter().position(|letter| *letter == ']').map_or(letters.len(), |close| at + close + 1);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn a_second_reading_is_the_same() {
        assert!(same(
            "CHECK (((status)::text = ANY ((ARRAY['new'::character varying, 'old'::character varying])::text[])))",
            "CHECK (((status)::text = ANY (ARRAY[('new'::character varying)::text, ('old'::character varying)::text])))"
        ));
        assert!(same("(now())::timestamp(3) without time zone + x", "now() + x"));
        assert!(same("a::app.\"Odd type\"[] = b", "a = b"));
    }

    #[test]
    fn what_counts_still_counts() {
        assert!(!same("CHECK ((a > 0))", "CHECK ((a > 1))"));
        assert!(!same("x = 'a::text'", "x = 'a'"));
        assert!(!same("x = '(a)'", "x = 'a'"));
        assert!(!same("AS $f$ select (1) $f$", "AS $f$ select 1 $f$"));
        assert!(!same("UNIQUE INDEX i ON t (a)", "UNIQUE INDEX i ON t (b)"));
    }
}
