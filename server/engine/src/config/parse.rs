//! Env files in dotenv syntax: quotes, `export`, comments, values of several lines.

/// `$` and `\$` while the parser is at work: it would put in this process's own variables otherwise.
const DOLLAR: char = '\u{E000}';
const ESCAPED_DOLLAR: char = '\u{E001}';

/// Names and values in the file's order, with `$NAME` as written.
///
/// A file that is not strictly dotenv (values with bare spaces, as Docker takes them) is read line by line.
///
/// # Errors
/// The number of the line that is not `NAME=value`; never its content.
pub(crate) fn env_file(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "the env file is not UTF-8 text; its bytes are kept, its variables are not listed".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if !text.contains([DOLLAR, ESCAPED_DOLLAR])
        && let Some(pairs) = strictly(text)
    {
        return Ok(pairs);
    }
    by_line(text)
}

fn strictly(text: &str) -> Option<Vec<(String, String)>> {
    let hidden = text.replace("\\$", &ESCAPED_DOLLAR.to_string()).replace('$', &DOLLAR.to_string());
    let shown = |value: String| value.replace(ESCAPED_DOLLAR, "\\$").replace(DOLLAR, "$");
    dotenvy::from_read_iter(hidden.as_bytes()).map(|pair| pair.ok().map(|(name, value)| (name, shown(value)))).collect()
}

fn by_line(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        match pair.filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace)) {
            Some((name, value)) => {
                let bare = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
                pairs.push((name.to_owned(), bare.unwrap_or(value).to_owned()));
            }
            None => {
                let number = index + 1;
                return Err(format!(
                    "line {number} of the env file is not NAME=value; the file is kept as it is, its variables are not listed"
                ));
            }
        }
    }
    Ok(pairs)
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
