//! Env files in dotenv syntax: quotes, `export`, comments, values of several lines.

/// `$` and `\$` while the parser is at work: it would put in this process's own variables otherwise.
const DOLLAR: char = '\u{E000}';
const ESCAPED_DOLLAR: char = '\u{E001}';

/// Names and values in the file's order, with `$NAME` as written.
///
/// An entry that is not strictly dotenv (a value with bare spaces) is read as Docker does: all up to the line's end.
///
/// # Errors
/// The number of the line that is not `NAME=value`; never its content.
pub(crate) fn env_file(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "the env file is not UTF-8 text; its bytes are kept, its variables are not listed".to_owned())?;
    let lines: Vec<&str> = text.strip_prefix('\u{FEFF}').unwrap_or(text).lines().collect();
    let (mut pairs, mut at) = (Vec::new(), 0);
    while let Some(line) = lines.get(at) {
        let (found, used) = match entry(&lines[at..]) {
            Some(found) => found,
            None => (plain(line).map(|pair| vec![pair]).ok_or_else(|| {
                let number = at + 1;
                format!("line {number} of the env file is not NAME=value; the file is kept as it is, its variables are not listed")
            })?, 1),
        };
        pairs.extend(found);
        at += used;
    }
    Ok(pairs)
}

/// The entry that begins with the first line, and how many lines it takes; a quoted value may take several.
fn entry(lines: &[&str]) -> Option<(Vec<(String, String)>, usize)> {
    let first = lines.first()?;
    let opens = first.split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with(['"', '\'']));
    // Longer than any key or certificate; a quote that is never closed is not looked for in the whole file.
    let longest = if opens { lines.len().min(512) } else { 1 };
    (1..=longest).find_map(|used| strictly(&lines[..used].join("\n")).map(|pairs| (pairs, used)))
}

fn strictly(text: &str) -> Option<Vec<(String, String)>> {
    if text.contains([DOLLAR, ESCAPED_DOLLAR]) {
        return None;
    }
    let hidden = text.replace("\\$", &ESCAPED_DOLLAR.to_string()).replace('$', &DOLLAR.to_string());
    let shown = |value: String| value.replace(ESCAPED_DOLLAR, "\\$").replace(DOLLAR, "$");
    dotenvy::from_read_iter(hidden.as_bytes()).map(|pair| pair.ok().map(|(name, value)| (name, shown(value)))).collect()
}

fn plain(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    let bare = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some((name.to_owned(), bare.unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::env_file;

    #[test]
    fn quotes_comments_export_and_several_lines() {
        let text = "# head\nexport A=1\nB='two words' # note\nC=\"line 1\nline 2\"\nD=\"$HOME \\$X\"\nE=\nF='$HOME'\n";
        let pairs = env_file(text.as_bytes()).unwrap();
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "line 1\nline 2"), ("D", "$HOME \\$X"), ("E", ""), ("F", "$HOME")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn bare_spaces_are_read_as_docker_does() {
        let pairs = env_file(b"NAME=My Shop\nURL=\"postgres://a:b@c/d\"\n").unwrap();
        assert_eq!(pairs[0].1, "My Shop");
        assert_eq!(pairs[1].1, "postgres://a:b@c/d");
    }

    #[test]
    fn a_bad_line_is_named_by_number_only() {
        let error = env_file(b"A=1\nhunter2 is the password\n").unwrap_err();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }
}
