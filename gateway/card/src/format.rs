//! One format: masks in, fields out.

use gateway_core::CardFrame;

use crate::bits::{MAX_BITS, bits_of, frame_of};

/// A field of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Facility or site code: `F`.
    Facility,
    /// Issue level: `I`.
    Issue,
    /// Code of the manufacturer or dealer: `M`.
    Manufacturer,
    /// Card number: `N`.
    Number,
}

impl Field {
    /// Every field, in the order in which people read them.
    pub const ALL: [Self; 4] = [Self::Manufacturer, Self::Facility, Self::Number, Self::Issue];

    /// The word used on the command line and in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Facility => "facility",
            Self::Issue => "issue",
            Self::Manufacturer => "manufacturer",
            Self::Number => "number",
        }
    }
}

/// Values of the fields that a format has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Facility or site code.
    pub facility: Option<u64>,
    /// Issue level.
    pub issue: Option<u64>,
    /// Code of the manufacturer or dealer.
    pub manufacturer: Option<u64>,
    /// Card number.
    pub number: Option<u64>,
}

impl Fields {
    /// The value of a field.
    #[must_use]
    pub const fn of(&self, field: Field) -> Option<u64> {
        match field {
            Field::Facility => self.facility,
            Field::Issue => self.issue,
            Field::Manufacturer => self.manufacturer,
            Field::Number => self.number,
        }
    }

    /// Sets the value of a field.
    pub const fn set(&mut self, field: Field, value: Option<u64>) {
        match field {
            Field::Facility => self.facility = value,
            Field::Issue => self.issue = value,
            Field::Manufacturer => self.manufacturer = value,
            Field::Number => self.number = value,
        }
    }
}

/// Masks that are no format. Positions count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A mask of another length than the layout.
    #[error("parity mask {row} has {found} places, the layout has {wanted}")]
    Length {
        /// Which mask, from 1.
        row: usize,
        /// Its length.
        found: usize,
        /// The layout's.
        wanted: usize,
    },
    /// A letter that means nothing.
    #[error("{found:?} at place {at} is not allowed: a layout is made of F, N, I, M, P, 0, 1 and .")]
    Letter {
        /// Place, from 1.
        at: usize,
        /// What was found.
        found: char,
    },
    /// Neither number nor facility.
    #[error("the layout has no N: it says nothing of the number")]
    NoNumber,
    /// A parity mask covers a parity bit that a later mask sets.
    #[error("parity mask {row} covers place {at}, which a later mask sets: put that one first")]
    Order {
        /// Which mask, from 1.
        row: usize,
        /// Place, from 1.
        at: usize,
    },
    /// A parity place of the layout that no mask, or more than one, sets.
    #[error("place {at} is P in the layout and set by {found} parity masks: exactly one must")]
    Place {
        /// Place, from 1.
        at: usize,
        /// How many masks set it.
        found: usize,
    },
    /// A parity mask that does not set exactly one P.
    #[error(
        "parity mask {row} must have exactly one E or O, at a place that is P in the layout, and X for what it covers"
    )]
    Row {
        /// Which mask, from 1.
        row: usize,
    },
    /// Too short, too long, or a field too long.
    #[error("{found} places: a layout has 1 to 256, and a field of it at most 64")]
    Size {
        /// How many.
        found: usize,
    },
}

/// A value that a format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A field that has to be given.
    #[error("format {format} has a field {}, which is not given", field.word())]
    Missing {
        /// Name of the format.
        format: String,
        /// Which.
        field: Field,
    },
    /// Larger than its field.
    #[error("{} {found} does not fit: at most {max} in format {format}", field.word())]
    Range {
        /// Name of the format.
        format: String,
        /// Which.
        field: Field,
        /// What was found.
        found: u64,
        /// Largest.
        max: u64,
    },
    /// A field that the format does not have.
    #[error("format {format} has no field {}", field.word())]
    Unknown {
        /// Name of the format.
        format: String,
        /// Which.
        field: Field,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// Any value.
    Any,
    Field(Field),
    Fixed(bool),
    Parity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parity {
    at: usize,
    covers: Vec<usize>,
    odd: bool,
}

impl Parity {
    fn of(&self, bits: &[bool]) -> bool {
        let ones = self
            .covers
            .iter()
            .filter(|at| bits.get(**at) == Some(&true))
            .count();
        (ones % 2 == 1) != self.odd
    }
}

/// A card format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    cells: Vec<Cell>,
    name: String,
    parity: Vec<Parity>,
    title: String,
}

impl Format {
    /// Reads the masks of a format.
    ///
    /// The layout has one letter for each bit in transmission order: `F` facility, `N` number, `I` issue level, `M`
    /// manufacturer, `P` parity, `0` or `1` for bits that never change, `.` for bits of no meaning. Each parity
    /// mask is as long and has `E` (even) or `O` (odd) at the bit it sets and `X` at those that it covers. Even
    /// parity makes the number of ones, with the parity bit, even.
    ///
    /// ```
    /// # use gateway_card::Format;
    /// let format = Format::parse(
    ///     "h10301",
    ///     "26 bits",
    ///     "PFFFFFFFFNNNNNNNNNNNNNNNNP",
    ///     &["EXXXXXXXXXXXX.............", ".............XXXXXXXXXXXXO"],
    /// );
    /// assert!(format.is_ok());
    /// ```
    ///
    /// # Errors
    /// [`FormatError`] says which mask is wrong at which place.
    pub fn parse(name: &str, title: &str, layout: &str, parity: &[&str]) -> Result<Self, FormatError> {
        let cells = layout.chars().enumerate().map(|(at, letter)| match letter {
            '.' => Ok(Cell::Any),
            '0' | '1' => Ok(Cell::Fixed(letter == '1')),
            'F' => Ok(Cell::Field(Field::Facility)),
            'I' => Ok(Cell::Field(Field::Issue)),
            'M' => Ok(Cell::Field(Field::Manufacturer)),
            'N' => Ok(Cell::Field(Field::Number)),
            'P' => Ok(Cell::Parity),
            found => Err(FormatError::Letter { at: at + 1, found }),
        });
        let cells = cells.take(MAX_BITS + 1).collect::<Result<Vec<_>, _>>()?;
        let mut format = Self {
            cells,
            name: name.to_owned(),
            parity: Vec::new(),
            title: title.to_owned(),
        };
        let longest = Field::ALL
            .iter()
            .map(|field| format.width(*field))
            .max()
            .unwrap_or(0);
        if !(1..=MAX_BITS).contains(&format.cells.len()) || longest > 64 {
            return Err(FormatError::Size {
                found: format.cells.len().max(longest),
            });
        }
        if format.width(Field::Number) == 0 {
            return Err(FormatError::NoNumber);
        }
        for (row, mask) in parity.iter().enumerate() {
            let read = format.row(row + 1, mask)?;
            format.parity.push(read);
        }
        format.check_parity()?;
        Ok(format)
    }

    fn row(&self, row: usize, mask: &str) -> Result<Parity, FormatError> {
        let (found, wanted) = (mask.chars().count(), self.cells.len());
        if found != wanted {
            return Err(FormatError::Length { row, found, wanted });
        }
        let mut place = None;
        let mut covers = Vec::new();
        for (at, letter) in mask.chars().enumerate() {
            match letter {
                '.' => {}
                'X' => covers.push(at),
                'E' | 'O' if place.is_none() && self.cells.get(at) == Some(&Cell::Parity) => {
                    place = Some((at, letter == 'O'));
                }
                _ => return Err(FormatError::Row { row }),
            }
        }
        let (at, odd) = place.ok_or(FormatError::Row { row })?;
        Ok(Parity { at, covers, odd })
    }

    fn check_parity(&self) -> Result<(), FormatError> {
        for (at, _) in self
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| **cell == Cell::Parity)
        {
            let found = self.parity.iter().filter(|p| p.at == at).count();
            if found != 1 {
                return Err(FormatError::Place { at: at + 1, found });
            }
        }
        for (row, parity) in self.parity.iter().enumerate() {
            let later = self.parity.iter().skip(row);
            let mut ahead = later.map(|p| p.at).filter(|at| parity.covers.contains(at));
            if let Some(at) = ahead.next() {
                return Err(FormatError::Order {
                    row: row + 1,
                    at: at + 1,
                });
            }
        }
        Ok(())
    }

    /// Its name: lower-case letters and digits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its layout, as [`parse`](Self::parse) takes it.
    #[must_use]
    pub fn layout(&self) -> String {
        let letter = |cell: &Cell| match cell {
            Cell::Any => '.',
            Cell::Field(Field::Facility) => 'F',
            Cell::Field(Field::Issue) => 'I',
            Cell::Field(Field::Manufacturer) => 'M',
            Cell::Field(Field::Number) => 'N',
            Cell::Fixed(false) => '0',
            Cell::Fixed(true) => '1',
            Cell::Parity => 'P',
        };
        self.cells.iter().map(letter).collect()
    }

    /// Its parity masks, as [`parse`](Self::parse) takes them.
    #[must_use]
    pub fn masks(&self) -> Vec<String> {
        let mask = |parity: &Parity| {
            let letter = |at: usize| match (at == parity.at, parity.odd, parity.covers.contains(&at)) {
                (true, false, _) => 'E',
                (true, true, _) => 'O',
                (false, _, true) => 'X',
                (false, _, false) => '.',
            };
            (0..self.cells.len()).map(letter).collect()
        };
        self.parity.iter().map(mask).collect()
    }

    /// Number of bits, 1 to 256.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.cells.len()
    }

    /// Number of parity bits. Of noise of the right length, one in two to this power passes.
    #[must_use]
    pub fn parity_bits(&self) -> usize {
        self.parity.len()
    }

    /// Number of bits of a field; 0 if the format does not have it.
    #[must_use]
    pub fn width(&self, field: Field) -> usize {
        self.cells
            .iter()
            .filter(|cell| **cell == Cell::Field(field))
            .count()
    }

    /// Could these bits be a card of this format: length, bits that never change, and every parity?
    #[must_use]
    pub fn fits(&self, frame: &CardFrame) -> bool {
        let bits = bits_of(frame);
        bits.len() == self.cells.len()
            && self.fixed_holds(&bits)
            && self.parity.iter().all(|p| holds(p, &bits))
    }

    fn fixed_holds(&self, bits: &[bool]) -> bool {
        let mut pairs = self.cells.iter().zip(bits);
        pairs.all(|(cell, bit)| !matches!(cell, Cell::Fixed(one) if one != bit))
    }

    /// Reads the fields, whatever the parity; `None` if the length is another.
    #[must_use]
    pub fn read(&self, frame: &CardFrame) -> Option<Fields> {
        let bits = bits_of(frame);
        if bits.len() != self.cells.len() {
            return None;
        }
        let mut fields = Fields::default();
        for (cell, bit) in self.cells.iter().zip(bits) {
            if let Cell::Field(field) = cell {
                let value = fields.of(*field).unwrap_or(0) << 1 | u64::from(bit);
                fields.set(*field, Some(value));
            }
        }
        Some(fields)
    }

    /// Places, from 0, of parity bits that are wrong; empty if the length is another.
    #[must_use]
    pub fn wrong_parity(&self, frame: &CardFrame) -> Vec<usize> {
        let bits = bits_of(frame);
        if bits.len() != self.cells.len() {
            return Vec::new();
        }
        let wrong = self.parity.iter().filter(|p| !holds(p, &bits));
        wrong.map(|p| p.at).collect()
    }

    /// Makes the bits of a card. Bits of no meaning are 0.
    ///
    /// # Errors
    /// [`ValueError`] if a field is missing, is not in the format, or does not fit.
    pub fn write(&self, fields: &Fields) -> Result<CardFrame, ValueError> {
        for field in Field::ALL {
            let format = self.name.clone();
            match (self.width(field), fields.of(field)) {
                (0, None) => {}
                (0, Some(_)) => return Err(ValueError::Unknown { format, field }),
                (_, None) => return Err(ValueError::Missing { format, field }),
                (width, Some(found)) => {
                    let max = u64::MAX >> (64 - width);
                    if found > max {
                        return Err(ValueError::Range {
                            format,
                            field,
                            found,
                            max,
                        });
                    }
                }
            }
        }
        let mut left = *fields;
        // from the last bit on: the lowest bit of a value stands last
        let mut bits: Vec<bool> = self
            .cells
            .iter()
            .rev()
            .map(|cell| match cell {
                Cell::Any | Cell::Parity => false,
                Cell::Field(field) => {
                    let value = left.of(*field).unwrap_or(0);
                    left.set(*field, Some(value >> 1));
                    value & 1 == 1
                }
                Cell::Fixed(one) => *one,
            })
            .collect();
        bits.reverse();
        for parity in &self.parity {
            let one = parity.of(&bits);
            if let Some(bit) = bits.get_mut(parity.at) {
                *bit = one;
            }
        }
        Ok(frame_of(&bits).expect("a format has 1 to 256 bits"))
    }
}

fn holds(parity: &Parity, bits: &[bool]) -> bool {
    bits.get(parity.at) == Some(&parity.of(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(layout: &str, parity: &[&str], expected: &str) {
        let error = Format::parse("x", "x", layout, parity).expect_err("no format");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn masks_that_are_no_format_are_refused_with_the_place() {
        check(
            "",
            &[],
            "0 places: a layout has 1 to 256, and a field of it at most 64",
        );
        check(
            &"N".repeat(65),
            &[],
            "65 places: a layout has 1 to 256, and a field of it at most 64",
        );
        check(
            &".".repeat(300),
            &[],
            "257 places: a layout has 1 to 256, and a field of it at most 64",
        );
        check(
            "PFF",
            &["EXX"],
            "the layout has no N: it says nothing of the number",
        );
        check(
            "NNQ",
            &[],
            "'Q' at place 3 is not allowed: a layout is made of F, N, I, M, P, 0, 1 and .",
        );
        check("PNN", &["EX"], "parity mask 1 has 2 places, the layout has 3");
        check(
            "PNN",
            &[],
            "place 1 is P in the layout and set by 0 parity masks: exactly one must",
        );
        check(
            "PNN",
            &["EX.", "O.X"],
            "place 1 is P in the layout and set by 2 parity masks: exactly one must",
        );
        let row = "parity mask 1 must have exactly one E or O, at a place that is P in the layout, and X for what it \
                   covers";
        check("PNN", &["XXX"], row);
        check("PNN", &["XEX"], row);
        check("PPN", &["EOX"], row);
        check(
            "PNP",
            &["EXX", ".XO"],
            "parity mask 1 covers place 3, which a later mask sets: put that one first",
        );
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let format = Format::parse("x", "x", "FFNN", &[]).expect("a format");
        let write = |facility, number| {
            let fields = Fields {
                facility,
                number,
                ..Fields::default()
            };
            format.write(&fields).map_err(|error| error.to_string())
        };
        assert_eq!(write(Some(2), Some(1)).map(|f| f.data), Ok(vec![0b1001_0000]));
        assert_eq!(
            write(Some(4), Some(1)),
            Err("facility 4 does not fit: at most 3 in format x".into())
        );
        assert_eq!(
            write(Some(1), None),
            Err("format x has a field number, which is not given".into())
        );
        let issue = Fields {
            facility: Some(1),
            issue: Some(1),
            number: Some(1),
            manufacturer: None,
        };
        assert_eq!(
            format.write(&issue).expect_err("no such field").to_string(),
            "format x has no field issue"
        );
    }
}
