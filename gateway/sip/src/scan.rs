//! Small scanning functions that all header grammars share (RFC 3261 §25.1).

/// `token` characters.
pub(crate) const fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// True for a non-empty run of `token` characters.
pub(crate) fn is_token(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(is_token_byte)
}

/// Linear white space as it is left after unfolding.
pub(crate) const fn is_lws(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Trims linear white space.
pub(crate) fn trim(s: &str) -> &str {
    s.trim_matches(is_lws)
}

/// Offset of `part` inside `whole`; both must be slices of the same text.
pub(crate) fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize)
        .saturating_sub(whole.as_ptr() as usize)
        .min(whole.len())
}

/// Pieces of `s` between `separator`, as [`pieces_outside`], without the empty ones, because peers write `a,,b`.
pub(crate) fn split_outside(s: &str, separator: u8) -> impl Iterator<Item = &str> {
    pieces_outside(s, separator).filter(|piece| !piece.is_empty())
}

/// Pieces of `s` between `separator`, where the separator does not count inside a quoted string or `<…>`. They are trimmed.
pub(crate) fn pieces_outside(s: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(s);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match find_outside(text, |b| b == separator) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(trim(piece))
    })
}

/// First byte outside quoted strings and `<…>` that `wanted` likes. It must like ASCII only.
pub(crate) fn find_outside(s: &str, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (i, b) in s.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match b {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if angle && b != b'>' {
            // A quote inside <…> is part of the URI text, not of a string.
        } else if wanted(b) {
            return Some(i);
        } else {
            match b {
                b'"' => quoted = true,
                b'<' => angle = true,
                b'>' => angle = false,
                _ => {}
            }
        }
    }
    None
}

/// Length of the quoted string at the start of `s`, both quotes included; `None` if it does not end.
pub(crate) fn quoted_len(s: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, b) in s.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// Text of a quoted string without its quotes and backslashes.
pub(crate) fn unquote(s: &str) -> String {
    let inner = s.strip_prefix('"').unwrap_or(s);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Writes `s` as a quoted string. Control characters, which no quoting makes legal, become spaces.
pub(crate) fn write_quoted(f: &mut impl std::fmt::Write, s: &str) -> std::fmt::Result {
    f.write_char('"')?;
    for c in s.chars() {
        match c {
            '"' | '\\' => {
                f.write_char('\\')?;
                f.write_char(c)?;
            }
            c if c.is_control() && c != '\t' => f.write_char(' ')?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Decimal digits only, no sign, no overflow.
pub(crate) fn number<T: std::str::FromStr>(s: &str) -> Option<T> {
    if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) {
        None
    } else {
        s.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quotes_and_brackets_do_not_split() {
        let check = |s: &str, expected: &[&str]| {
            assert_eq!(split_outside(s, b',').collect::<Vec<_>>(), expected, "{s}");
        };
        check("a, b ,c", &["a", "b", "c"]);
        check("\"a,b\" <sip:x>, c", &["\"a,b\" <sip:x>", "c"]);
        check("\"a\\\",b\" <sip:x,y>,,c", &["\"a\\\",b\" <sip:x,y>", "c"]);
        check("", &[]);
        check("<sip:a\",b>, d", &["<sip:a\",b>", "d"]);
    }

    #[test]
    fn a_number_has_digits_only() {
        assert_eq!(number::<u16>("0600"), Some(600));
        assert_eq!(number::<u16>("65536"), None);
        assert_eq!(number::<u16>("+5"), None);
        assert_eq!(number::<u16>(""), None);
    }
}
