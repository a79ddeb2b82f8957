//! Comma-separated values (RFC 4180): lines with a head line that names the columns. A semicolon between columns, as
//! some spreadsheets write, is understood by the head line.

/// A table: the head's cells and the lines, each with its number in the file (from 1).
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, in lower case.
    pub head: Vec<String>,
    /// The cells of each line.
    pub lines: Vec<(usize, Vec<String>)>,
}

/// The line (from 1), and what is wrong there.
type Fault = (usize, String);

/// How much is read: what is more is refused as soon as it is met, and takes no memory.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Cells of a line.
    pub cells: usize,
    /// Lines after the head line.
    pub lines: usize,
}

/// Reads a table; empty lines are passed over.
///
/// # Errors
/// The line (from 1), and what is wrong there.
pub fn read(text: &str, most: Most) -> Result<Table, (usize, String)> {
    match read_as_far(text, most)? {
        (table, None) => Ok(table),
        (_, Some(fault)) => Err(fault),
    }
}

/// The same, with what could be read before the place where reading ends, and why it ends there.
///
/// # Errors
/// As [`read`], if not even the head line can be read.
pub(crate) fn read_as_far(text: &str, most: Most) -> Result<(Table, Option<Fault>), Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or_default();
    let between = if first.contains(',') || !first.contains(';') {
        ','
    } else {
        ';'
    };
    let mut rows = Rows {
        between,
        line: 1,
        most: most.cells,
        rest: text.chars().peekable(),
    };
    let mut head = None;
    let mut lines = Vec::new();
    let fault = loop {
        let (number, row) = match rows.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        };
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match head {
            None => head = Some(row.iter().map(|cell| cell.trim().to_ascii_lowercase()).collect()),
            Some(_) if lines.len() == most.lines => {
                let text = format!("too many lines, at most {} are allowed at once", most.lines);
                break Some((number, text));
            }
            Some(_) => lines.push((number, row)),
        }
    };
    match (head, fault) {
        (Some(head), fault) => Ok((Table { head, lines }, fault)),
        (None, Some(fault)) => Err(fault),
        (None, None) => Err((
            1,
            "the head line with the names of the columns is missing".to_owned(),
        )),
    }
}

/// The line where something stands, and its cells.
type Row = (usize, Vec<String>);

struct Rows<'a> {
    between: char,
    line: usize,
    /// Cells of a line.
    most: usize,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Rows<'_> {
    fn next_row(&mut self) -> Result<Option<Row>, (usize, String)> {
        let number = self.line;
        if self.rest.peek().is_none() {
            return Ok(None);
        }
        let mut row = Vec::new();
        loop {
            if row.len() == self.most {
                let text = format!("too many columns, at most {} are allowed", self.most);
                return Err((number, text));
            }
            row.push(self.cell(number)?);
            match self.rest.next() {
                Some(c) if c == self.between => {}
                Some('\n') => {
                    self.line += 1;
                    return Ok(Some((number, row)));
                }
                None => return Ok(Some((number, row))),
                Some(_) => {
                    return Err((
                        number,
                        "something stands between a closing quote and the next column".to_owned(),
                    ));
                }
            }
        }
    }

    fn cell(&mut self, number: usize) -> Result<String, (usize, String)> {
        let mut cell = String::new();
        if self.rest.peek() == Some(&'"') {
            self.rest.next();
            loop {
                match self.rest.next() {
                    Some('"') if self.rest.peek() == Some(&'"') => {
                        self.rest.next();
                        cell.push('"');
                    }
                    Some('"') => break,
                    Some(c) => {
                        self.line += usize::from(c == '\n');
                        cell.push(c);
                    }
                    None => return Err((number, "a quote is not closed".to_owned())),
                }
            }
            // the carriage return of a line's end
            if self.rest.peek() == Some(&'\r') {
                self.rest.next();
            }
            return Ok(bare(cell));
        }
        while let Some(c) = self.rest.peek().copied() {
            if c == self.between || c == '\n' {
                break;
            }
            self.rest.next();
            cell.push(c);
        }
        Ok(bare(cell.trim_end_matches('\r').to_owned()))
    }
}

/// What a spreadsheet takes for a formula begins so.
const FORMULA: [char; 5] = ['=', '@', '+', '-', '\t'];

/// A cell without the apostrophe that [`cell`] put before what looks like a formula, or like such a cell.
fn bare(text: String) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest.to_owned(),
        Some(_) | None => text,
    }
}

/// A cell as it is written: quoted if it must be. What a spreadsheet would take for a formula gets an apostrophe,
/// which [`read`] takes off again; signs of numbers as telephones have them get none.
pub fn cell(text: &str) -> String {
    let number = text.starts_with(['+', '-']) && text[1..].bytes().all(|b| b.is_ascii_digit());
    let formula = !number && text.trim_start_matches('\'').starts_with(FORMULA);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', ';', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { cells: 4, lines: 5 };

    fn read(text: &str) -> Result<Table, (usize, String)> {
        super::read(text, MOST)
    }

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        read(text).expect("reads").lines
    }

    #[test]
    fn quotes_line_ends_and_semicolons_are_understood() {
        let table = read("\u{feff}Person, name\r\n\r\nann,\"Ann \"\"A\"\" B, C\"\r\nbob,\"two\nlines\"\ncy,")
            .expect("reads");
        assert_eq!(table.head, ["person", "name"]);
        let cells = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            table.lines,
            [
                (3, cells("ann", "Ann \"A\" B, C")),
                (4, cells("bob", "two\nlines")),
                (6, cells("cy", ""))
            ]
        );
        assert_eq!(rows("a;b\n1,5;2\n"), [(2, cells("1,5", "2"))]);
    }

    #[test]
    fn what_is_broken_is_told_with_its_line() {
        assert_eq!(read("a,b\n\"x").expect_err("broken").0, 2);
        assert_eq!(read("a,b\n1,2\n\"x\"y,2\n").expect_err("broken").0, 3);
        assert!(read("").is_err());
    }

    #[test]
    fn what_is_too_much_is_refused_where_it_begins() {
        let refused = |text: &str| read(text).expect_err("too much");
        assert_eq!(rows("a,b,c,d\n1,2,3,4\n").len(), 1);
        assert_eq!(
            refused("a,b\n1,2\n1,2,3,4,5"),
            (3, "too many columns, at most 4 are allowed".to_owned())
        );
        assert_eq!(rows("a\n1\n2\n\n3\n4\n5\n\n").len(), 5);
        assert_eq!(
            refused("a\n1\n2\n\n3\n4\n5\n6\n"),
            (8, "too many lines, at most 5 are allowed at once".to_owned())
        );
        // it stops there: what follows, which is broken, is not read any more
        assert_eq!(refused(",,,,,,,\"x").0, 1);
        assert!(refused(",,,,\"x").1.starts_with("too many columns"));
        assert!(
            refused("a\n1\n2\n3\n4\n5\n6\n\"x")
                .1
                .starts_with("too many lines")
        );
    }

    #[test]
    fn cells_are_written_so_that_they_read_again_and_are_no_formula() {
        for (text, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("+33476123456", "+33476123456"),
            ("+1+1", "'+1+1"),
            ("+33 6 12 77", "'+33 6 12 77"),
            ("'=x", "''=x"),
            ("'n Roll", "'n Roll"),
            ("@home, sweet", "\"'@home, sweet\""),
        ] {
            assert_eq!(cell(text), written);
            assert_eq!(rows(&format!("a,b\n{written},x\n"))[0].1[0], text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_panic_and_cells_come_back(text in "\\PC{0,60}", raw in "[a-z,;\"\n'=@+0-]{0,30}") {
            let _ = read(&text);
            let _ = read(&raw);
            let table = read(&format!("a,b\n{},x\n", cell(&raw))).expect("reads");
            proptest::prop_assert_eq!(&table.lines[0].1[0], &raw);
        }
    }
}
