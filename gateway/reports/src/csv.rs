//! Comma-separated values (RFC 4180) that a spreadsheet takes for what they are.

/// One line, with its end.
#[must_use]
pub fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text.as_ref())).collect();
    cells.join(",") + "\r\n"
}

/// A cell. What a spreadsheet would take for a formula gets a `'` before it: names come from whoever calls.
fn cell(text: &str) -> String {
    let number = text
        .strip_prefix(['+', '-'])
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let formula = text.starts_with(['=', '+', '-', '@', '\t']) && !number;
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula() {
        for (text, want) in [
            ("", ""),
            ("front", "front"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("+33476123456", "+33476123456"),
            ("-12.5", "-12.5"),
            ("=1+1", "'=1+1"),
            ("@sum(a1)", "'@sum(a1)"),
            ("+cmd|' /c calc'!a1", "'+cmd|' /c calc'!a1"),
        ] {
            assert_eq!(cell(text), want);
        }
        assert_eq!(line(&["a", "b c"]), "a,b c\r\n");
    }

    proptest! {
        #[test]
        fn a_cell_is_one_cell_whatever_is_in_it(text in "\\PC{0,40}") {
            let cell = cell(&text);
            let quotes = cell.matches('"').count();
            prop_assert!(quotes.is_multiple_of(2) || !cell.starts_with('"'));
            prop_assert!(cell.starts_with('"') || !cell.contains([',', '\n', '\r']));
        }
    }
}
