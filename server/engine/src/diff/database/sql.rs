//! The words of PostgreSQL's SQL, as far as they are needed to read what `pg_dump` writes: it knows quoted names, texts,
//! dollar quotes, comments and parentheses, and of grammar nothing.

/// A word, a text or a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name without quotes, a number.
    Word,
    /// A name in quotes.
    Name,
    /// A text in quotes, or between dollars.
    Text,
    /// Any other sign, alone.
    Sign,
}

/// One of them, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: &'a str,
    /// Where it begins in the statement, in bytes.
    pub(super) from: usize,
}

impl Token<'_> {
    /// Whether it is this keyword, in capitals.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this sign.
    pub(super) fn sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign && self.text.starts_with(sign)
    }

    /// The name that it is, without its quotes.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Name => Some(self.text.get(1..self.text.len() - 1)?.replace("\"\"", "\"")),
            _ => None,
        }
    }

    /// Where it ends.
    pub(super) fn end(&self) -> usize {
        self.from + self.text.len()
    }
}

/// Everything in a statement but blanks and comments; none if a quote has no end.
pub(super) fn tokens(sql: &str) -> Option<Vec<Token<'_>>> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &sql[at..];
        let (kind, length) = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += comment(rest)?;
                continue;
            }
            b'\'' => (Kind::Text, quoted(rest, '\'', false)?),
            b'E' | b'e' if rest[1..].starts_with('\'') => (Kind::Text, 1 + quoted(&rest[1..], '\'', true)?),
            b'"' => (Kind::Name, quoted(rest, '"', false)?),
            b'$' => match dollars(rest) {
                Some(length) => (Kind::Text, length?),
                None => (Kind::Sign, 1),
            },
            _ if is_word(byte) => {
                (Kind::Word, rest.bytes().position(|b| !is_word(b) && b != b'$').unwrap_or(rest.len()))
            }
            _ => (Kind::Sign, 1),
        };
        found.push(Token { kind, text: &sql[at..at + length], from: at });
        at += length;
    }
    Some(found)
}

/// Letters, digits, underscores, and whatever is not ASCII: a quoted name's bytes never come here.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of a quoted text; a doubled quote stands for itself, and with `escapes` a backslash for what follows it.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if escapes && letter == '\\' {
            letters.next();
        } else if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// The length of `$tag$ … $tag$`; within, none if it has no end; none if it is no such quote.
fn dollars(text: &str) -> Option<Option<usize>> {
    let tag = 2 + text[1..].find('$')?;
    let (mark, rest) = text.split_at(tag);
    if !mark[1..tag - 1].bytes().all(is_word) || mark.as_bytes()[1].is_ascii_digit() {
        return None;
    }
    Some(rest.find(mark).map(|end| tag + end + tag))
}

/// The length of a comment, with those within it.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'/', b'*') => {
                depth += 1;
                at += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// Behind the parenthesis that `tokens` begin with, and what stands within; none if it is not closed.
pub(super) fn within<'a, 'b>(tokens: &'b [Token<'a>]) -> Option<(&'b [Token<'a>], &'b [Token<'a>])> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.sign('(') {
            depth += 1;
        } else if token.sign(')') {
            depth = depth.checked_sub(1)?;
        }
        if depth == 0 {
            return (at > 0).then(|| (&tokens[1..at], &tokens[at + 1..]));
        }
    }
    None
}

/// Divides at a sign outside of parentheses and brackets; nothing gives nothing.
pub(super) fn divided<'a, 'b>(tokens: &'b [Token<'a>], sign: char) -> Vec<&'b [Token<'a>]> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        if token.sign('(') || token.sign('[') {
            depth += 1;
        } else if token.sign(')') || token.sign(']') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.sign(sign) {
            parts.push(&tokens[from..at]);
            from = at + 1;
        }
    }
    if from < tokens.len() {
        parts.push(&tokens[from..]);
    }
    parts
}

/// The text of some tokens of `sql`, blanks and line ends as one blank.
pub(super) fn text(sql: &str, tokens: &[Token<'_>]) -> String {
    let mut out = String::new();
    let mut end = None;
    for token in tokens {
        if end.is_some_and(|end| end < token.from) && sql.get(end.unwrap_or(0)..token.from).is_some() {
            out.push(' ');
        }
        out.push_str(token.text);
        end = Some(token.end());
    }
    out
}

/// `schema.name` or `name`, and what follows.
pub(super) fn qualified<'a, 'b>(tokens: &'b [Token<'a>]) -> Option<(String, String, &'b [Token<'a>])> {
    let (first, rest) = tokens.split_first()?;
    match rest {
        [dot, name, rest @ ..] if dot.sign('.') => Some((first.name()?, name.name()?, rest)),
        _ => Some((String::new(), first.name()?, rest)),
    }
}

/// A key of the ledger, `schema.table` with quotes where they must be, as schema and table.
pub(crate) fn split(key: &str) -> Option<(String, String)> {
    let tokens = tokens(key)?;
    let (schema, name, rest) = qualified(&tokens)?;
    rest.is_empty().then_some((schema, name))
}

/// The names within a parenthesis: `(a, "b c")`.
pub(super) fn names(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    divided(tokens, ',')
        .into_iter()
        .map(|part| match part {
            [name] => name.name(),
            _ => None,
        })
        .collect()
}

/// The columns of `COPY schema.table (a, b) FROM stdin;`; none if it is not that.
pub(super) fn copied(statement: &str) -> Option<Vec<String>> {
    let tokens = tokens(statement)?;
    let (copy, rest) = tokens.split_first()?;
    let (_, _, rest) = qualified(rest).filter(|_| copy.is("copy"))?;
    let (columns, rest) = match rest.first()? {
        open if open.sign('(') => within(rest)?,
        _ => (&[][..], rest),
    };
    rest.first()?.is("from").then_some(())?;
    names(columns)
}

/// Table and columns of `ALTER TABLE ONLY schema.table ADD CONSTRAINT name PRIMARY KEY (a, b);`.
pub(super) fn primary_key(statement: &str) -> Option<((String, String), Vec<String>)> {
    let tokens = tokens(statement)?;
    let at = tokens.windows(3).position(|three| three[0].is("primary") && three[1].is("key") && three[2].sign('('))?;
    let [alter, table, rest @ ..] = tokens.get(..at)? else { return None };
    let rest = if rest.first()?.is("only") { &rest[1..] } else { rest };
    let (schema, name, rest) = qualified(rest).filter(|_| alter.is("alter") && table.is("table"))?;
    let [add, constraint, _] = rest else { return None };
    (add.is("add") && constraint.is("constraint")).then_some(())?;
    Some(((schema, name), names(within(&tokens[at + 2..])?.0)?))
}

#[cfg(test)]
mod tests {
    use super::{copied, primary_key, split, text, tokens};

    #[test]
    fn what_pg_dump_writes_is_read() {
        let odd = "COPY \"Odd. \"\"s\".\"t (a)\" (id, \"a, b\", \"Q\"\"q\") FROM stdin;\n";
        assert_eq!(copied(odd), Some(vec!["id".to_owned(), "a, b".to_owned(), "Q\"q".to_owned()]));
        assert_eq!(copied("COPY app.empty  FROM stdin;"), Some(Vec::new()));
        assert_eq!(copied("INSERT INTO x VALUES (1)"), None);
        let key = "ALTER TABLE ONLY public.\"from\"\n    ADD CONSTRAINT \"PRIMARY KEY (x)\" PRIMARY KEY (b, \"A\") INCLUDE (c);";
        let found = (("public".to_owned(), "from".to_owned()), vec!["b".to_owned(), "A".to_owned()]);
        assert_eq!(primary_key(key), Some(found));
        assert_eq!(primary_key("ALTER TABLE ONLY a.b ADD CONSTRAINT c UNIQUE (d);"), None);
        assert_eq!(split("app.\"a.\"\"b\""), Some(("app".to_owned(), "a.\"b".to_owned())));
    }

    #[test]
    fn quotes_of_every_sort() {
        let sql = "select 'it''s', E'a\\'b', $f$ ; ' $$ $f$, $1, /* a /* b */ ' */ \"x\" -- '\n;";
        let found = tokens(sql).unwrap_or_default();
        let words: Vec<&str> = found.iter().map(|token| token.text).collect();
        let expected = ["select", "'it''s'", ",", "E'a\\'b'", ",", "$f$ ; ' $$ $f$", ",", "$", "1", ",", "\"x\"", ";"];
        assert_eq!(words, expected);
        assert_eq!(text(sql, &found[..3]), "select 'it''s',");
        assert!(tokens("'open").is_none() && tokens("$a$ open $b$").is_none());
    }
}
