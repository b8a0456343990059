//! Names inside of JSON: Go's `strconv.Quote`, by which restic keeps names that are not UTF-8.

use std::fmt::Write as _;

/// Appends `name` as `strconv.Quote` would, without the quotation marks.
pub(super) fn quote(name: &[u8], out: &mut String) {
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0b' => out.push_str("\\v"),
                ' '..='~' => out.push(c),
                '\0'..='\x7f' => push_hex(out, "\\x", u32::from(c), 2),
                _ if is_printable(c) => out.push(c),
                '\u{80}'..='\u{ffff}' => push_hex(out, "\\u", u32::from(c), 4),
                _ => push_hex(out, "\\U", u32::from(c), 8),
            }
        }
        for byte in chunk.invalid() {
            push_hex(out, "\\x", u32::from(*byte), 2);
        }
    }
}

fn push_hex(out: &mut String, prefix: &str, value: u32, width: usize) {
    out.push_str(prefix);
    // Writing to a String cannot fail.
    let _ = write!(out, "{value:0width$x}");
}

/// Rust escapes in strings what has no picture, as Go does; a combining mark only at the very start.
fn is_printable(c: char) -> bool {
    let mut pair = [b'a', 0, 0, 0, 0];
    let len = c.encode_utf8(&mut pair[1..]).len();
    std::str::from_utf8(&pair[..=len]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// The bytes that `strconv.Unquote` gives, or `None` where it gives an error.
pub(super) fn unquote(text: &str) -> Option<Vec<u8>> {
    if !text.contains(['\\', '"', '\n']) {
        return Some(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' | '\n' => return None,
            '\\' => rest = unescape(rest, &mut bytes)?,
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}

/// Takes what follows a backslash off `rest`.
fn unescape<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let c = rest.chars().next()?;
    let tail = &rest[c.len_utf8()..];
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => {
            bytes.push(u8::try_from(digits(tail, 2, 16)?).ok()?);
            return tail.get(2..);
        }
        'u' | 'U' => {
            let width = if c == 'u' { 4 } else { 8 };
            let decoded = char::from_u32(digits(tail, width, 16)?)?;
            bytes.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            return tail.get(width..);
        }
        '0'..='7' => {
            bytes.push(u8::try_from(digits(rest, 3, 8)?).ok()?);
            return rest.get(3..);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(tail)
}

fn digits(text: &str, width: usize, radix: u32) -> Option<u32> {
    let digits = text.get(..width)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Left: what Go's strconv.Quote printed for the bytes on the right.
    const FROM_GO: &[(&str, &[u8])] = &[
        ("plain", b"plain"),
        ("tab\\tnew\\nline", b"tab\tnew\nline"),
        ("q\\\"b\\\\", b"q\"b\\"),
        ("\\xff\\xfe", b"\xff\xfe"),
        ("ü\\xfc", b"\xc3\xbc\xfc"),
        ("\\a\\b\\f\\r\\v\\x00\\x1b\\x7f", b"\x07\x08\x0c\r\x0b\x00\x1b\x7f"),
        ("\\u00a0\\u200b", "\u{a0}\u{200b}".as_bytes()),
        ("e\u{301}", "e\u{301}".as_bytes()),
        ("\\U000e0001", "\u{e0001}".as_bytes()),
        ("日本🙂", "日本🙂".as_bytes()),
    ];

    #[test]
    fn quotes_as_go_does_and_back() {
        for (quoted, plain) in FROM_GO {
            let mut out = String::new();
            quote(plain, &mut out);
            assert_eq!(&out, quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(*plain));
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for bad in ["a\"b", "\\x1", "\\q", "\\", "\\u12", "\\xg0", "\\U00110000", "\\x+1"] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}
