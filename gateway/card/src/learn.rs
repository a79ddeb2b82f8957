//! A format from cards whose printed numbers are known.

use std::collections::BTreeSet;

use gateway_core::CardFrame;

use crate::bits::bits_of;
use crate::format::Format;
use crate::table::formats;

/// Fewest cards that say anything.
pub const FEWEST: usize = 3;

/// A card whose numbers are printed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Facility or site code, if it is printed.
    pub facility: Option<u64>,
    /// What the reader sent.
    pub frame: CardFrame,
    /// Card number.
    pub number: u64,
}

/// Cards that say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// Too few cards, or the same ones again.
    #[error("{found} different cards are too few: {FEWEST} with different numbers are needed")]
    Few {
        /// How many different ones.
        found: usize,
    },
    /// Frames of several lengths.
    #[error("the frames have {one} and {other} bits: cards of one format have the same length")]
    Lengths {
        /// One length.
        one: u16,
        /// Another.
        other: u16,
    },
    /// The numbers stand nowhere in the bits.
    #[error(
        "the {field} stands in no row of bits of all cards: the printed number may be another than the sent one"
    )]
    Nowhere {
        /// `number` or `facility`.
        field: &'static str,
    },
}

/// A format that all the cards fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The format; a published one, or one made up here.
    pub format: Format,
    /// Its layout, as the site file takes it.
    pub layout: String,
    /// Its parity masks.
    pub parity: Vec<String>,
    /// True if it is published.
    pub published: bool,
    /// How the printed numbers have to be turned to be the sent ones; `None` if they are the same.
    pub turned: Option<Turned>,
}

/// How a printed number and the sent one differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The last bit comes first, in so many bits (8 to 64).
    Bits(u32),
    /// The last byte comes first, in so many bytes (2 to 8).
    Bytes(u32),
}

impl Turned {
    /// All ways, the commoner ones first.
    fn all() -> impl Iterator<Item = Self> {
        let lengths = [4, 3, 2, 5, 7, 8, 6];
        let bytes = lengths.into_iter().map(Self::Bytes);
        let whole = lengths.into_iter().map(|bytes| Self::Bits(bytes * 8));
        bytes.chain(whole).chain((8..=64).map(Self::Bits))
    }

    /// What is sent of a printed number; `None` if it has more bits.
    #[must_use]
    pub fn sent(self, printed: u64) -> Option<u64> {
        let (bits, other) = match self {
            Self::Bits(bits) => (bits, printed.reverse_bits()),
            Self::Bytes(bytes) => (bytes * 8, printed.swap_bytes()),
        };
        let spare = 64_u32.checked_sub(bits)?;
        (printed.leading_zeros() >= spare).then_some(other >> spare)
    }
}

impl std::fmt::Display for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bits(bits) => write!(f, "{bits} bits, the last bit first"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes, the last byte first"),
        }
    }
}

/// Formats that make of each card what is printed on it: the published ones, or else one that is made up.
///
/// What is made up says where number and facility are, as wide as the cards allow, and takes parity for what it mostly
/// is (even before the first half, odd after the second) if every card agrees. Three cards agree by chance once in 64
/// times: more cards make it surer. Numbers that stand nowhere as they are printed are looked for with their bytes or bits the
/// other way round; a site file has no word for that, so that the format reads them as they are sent.
///
/// # Errors
/// [`LearnError`] if the cards are too few, of several lengths, or do not hold their numbers.
pub fn learn(cards: &[Known]) -> Result<Vec<Proposal>, LearnError> {
    let numbers: BTreeSet<u64> = cards.iter().map(|card| card.number).collect();
    if numbers.len() < FEWEST {
        return Err(LearnError::Few { found: numbers.len() });
    }
    let one = cards.first().map_or(0, |card| card.frame.bits);
    if let Some(other) = cards.iter().map(|card| card.frame.bits).find(|bits| *bits != one) {
        return Err(LearnError::Lengths { one, other });
    }
    let straight = as_they_are(cards);
    if straight != Err(LearnError::Nowhere { field: "number" }) {
        return straight;
    }
    let turned = Turned::all().find_map(|turn| {
        let sent = cards.iter().map(|card| {
            let number = turn.sent(card.number)?;
            Some(Known {
                number,
                ..card.clone()
            })
        });
        let mut proposals = as_they_are(&sent.collect::<Option<Vec<_>>>()?).ok()?;
        for proposal in &mut proposals {
            proposal.turned = Some(turn);
        }
        Some(proposals)
    });
    turned.map_or(straight, Ok)
}

/// Formats that read the numbers that the cards are said to have.
fn as_they_are(cards: &[Known]) -> Result<Vec<Proposal>, LearnError> {
    let says = |format: &Format, card: &Known| {
        let read = format.read(&card.frame).unwrap_or_default();
        format.fits(&card.frame)
            && read.number == Some(card.number)
            && (card.facility.is_none() || read.facility == card.facility)
    };
    let published = formats()
        .iter()
        .filter(|format| cards.iter().all(|card| says(format, card)));
    let published: Vec<Proposal> = published
        .map(|format| Proposal {
            format: format.clone(),
            layout: format.layout(),
            parity: format.masks(),
            published: true,
            turned: None,
        })
        .collect();
    if !published.is_empty() {
        return Ok(published);
    }
    made_up(cards).map(|proposal| vec![proposal])
}

/// Where a value stands in every card: first bit and width, the widest there is.
fn place(
    cards: &[(Vec<bool>, u64)],
    free: &[bool],
    field: &'static str,
) -> Result<(usize, usize), LearnError> {
    let length = free.len();
    let fits = |start: usize, width: usize| {
        let value = |bits: &[bool]| bits.iter().fold(0_u64, |n, one| n << 1 | u64::from(*one));
        let at = start..start + width;
        free.get(at.clone())
            .is_some_and(|free| free.iter().all(|free| *free))
            && cards
                .iter()
                .all(|(bits, wanted)| bits.get(at.clone()).map(value) == Some(*wanted))
    };
    let all = (0..length).flat_map(|start| (1..=64.min(length - start)).map(move |width| (start, width)));
    all.filter(|(start, width)| fits(*start, *width))
        .max_by_key(|(_, width)| *width)
        .ok_or(LearnError::Nowhere { field })
}

fn made_up(cards: &[Known]) -> Result<Proposal, LearnError> {
    let bits: Vec<Vec<bool>> = cards.iter().map(|card| bits_of(&card.frame)).collect();
    let length = bits.first().map_or(0, Vec::len);
    let halves = halves(&bits, length);
    // the ends are parity if they behave like it
    let mut free = vec![true; length];
    for at in halves.iter().flat_map(|_| [0, length - 1]) {
        free[at] = false;
    }
    let with = |value: fn(&Known) -> Option<u64>| {
        let pairs = bits.iter().cloned().zip(cards.iter().map(value));
        pairs
            .map(|(bits, value)| Some((bits, value?)))
            .collect::<Option<Vec<_>>>()
    };
    let mut layout = vec!['.'; length];
    // the facility first: it is narrow, and the number may spread over what is left
    if let Some(pairs) = with(|card| card.facility).filter(|pairs| pairs.iter().any(|(_, value)| *value > 0))
    {
        let numbers = with(|card| Some(card.number)).unwrap_or_default();
        let (start, width) = place(&numbers, &free, "number")?;
        let mut left = free.clone();
        // leave the facility the zeros before the number that it may own
        let narrow = numbers
            .iter()
            .map(|(_, n)| 64 - n.leading_zeros())
            .max()
            .unwrap_or(1)
            .max(1) as usize;
        left[start + width - narrow.min(width)..start + width].fill(false);
        let (at, wide) = place(&pairs, &left, "facility")?;
        layout[at..at + wide].fill('F');
        free[at..at + wide].fill(false);
    }
    let numbers = with(|card| Some(card.number)).unwrap_or_default();
    let (start, width) = place(&numbers, &free, "number")?;
    layout[start..start + width].fill('N');
    let mut parity = Vec::new();
    if let Some(half) = halves {
        for (at, kind, covers) in [(0, 'E', 1..half), (length - 1, 'O', half..length - 1)] {
            layout[at] = 'P';
            let mut mask = vec!['.'; length];
            mask[covers].fill('X');
            mask[at] = kind;
            parity.push(mask.iter().collect());
        }
    }
    let layout: String = layout.iter().collect();
    let masks: Vec<&str> = parity.iter().map(String::as_str).collect();
    let format = Format::parse("learned", "from cards of this site", &layout, &masks);
    Ok(Proposal {
        format: format.map_err(|_| LearnError::Nowhere { field: "number" })?,
        layout,
        parity,
        published: false,
        turned: None,
    })
}

/// Where the second half begins, if the first bit is even parity of the first and the last bit odd parity of the second
/// half in every card.
fn halves(cards: &[Vec<bool>], length: usize) -> Option<usize> {
    if length < 8 {
        return None;
    }
    let odd = |bits: &[bool]| bits.iter().filter(|one| **one).count() % 2 == 1;
    let holds = |half: &usize| {
        let even_first = cards.iter().all(|bits| !odd(&bits[..*half]));
        even_first && cards.iter().all(|bits| odd(&bits[*half..]))
    };
    // of an odd length, the middle bit may belong to either half
    [length / 2, length.div_ceil(2)].into_iter().find(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Field, Fields};
    use crate::table::format_named;
    use proptest::prelude::*;

    fn cards(format: &Format, known: &[(Option<u64>, u64)]) -> Vec<Known> {
        let made = known.iter().map(|(facility, number)| {
            let fields = Fields {
                facility: *facility,
                number: Some(*number),
                ..Fields::default()
            };
            Known {
                facility: *facility,
                frame: format.write(&fields).expect("fits"),
                number: *number,
            }
        });
        made.collect()
    }

    #[test]
    fn cards_of_a_published_format_name_it() {
        let format = format_named("h10301").expect("there");
        let proposals = learn(&cards(
            format,
            &[(Some(5), 1000), (Some(5), 1001), (Some(5), 40_000)],
        ))
        .expect("found");
        assert_eq!(proposals.len(), 1);
        assert!(proposals[0].published && proposals[0].format.name() == "h10301");
        assert_eq!(proposals[0].layout, "PFFFFFFFFNNNNNNNNNNNNNNNNP");
    }

    #[test]
    fn cards_of_an_unknown_format_get_one_that_reads_them() {
        let house = Format::parse(
            "house",
            "x",
            "PFFFFFFNNNNNNNNNNNNP",
            &["EXXXXXXXXX..........", "..........XXXXXXXXXO"],
        )
        .expect("a format");
        let known = cards(
            &house,
            &[(Some(41), 7), (Some(41), 2900), (Some(41), 4095), (Some(42), 1)],
        );
        let proposals = learn(&known).expect("found");
        assert_eq!(proposals[0].layout, "PFFFFFFNNNNNNNNNNNNP");
        assert_eq!(
            proposals[0].parity,
            ["EXXXXXXXXX..........", "..........XXXXXXXXXO"]
        );
    }

    #[test]
    fn numbers_whose_bytes_or_bits_are_the_other_way_round_are_found() {
        let printed = [0x04A3_1B22, 0x7F00_1234, 0x0102_0304];
        for turn in [Turned::Bytes(4), Turned::Bits(32)] {
            let known = printed.map(|number: u64| {
                let sent = turn.sent(number).expect("32 bits");
                let bits: Vec<bool> = (0..32).rev().map(|n| sent >> n & 1 == 1).collect();
                Known {
                    facility: None,
                    frame: crate::bits::frame_of(&bits).expect("a frame"),
                    number,
                }
            });
            let proposals = learn(&known).expect("found");
            assert_eq!(proposals[0].turned, Some(turn));
            for card in &known {
                let read = proposals[0].format.read(&card.frame).expect("it fits");
                assert_eq!(read.number, turn.sent(card.number));
            }
        }
        // a published format whose reader swaps the two bytes of the number
        let format = format_named("h10301").expect("there");
        let mut swapped = cards(format, &[(Some(5), 0x1234), (Some(5), 0x1235), (Some(5), 0x4001)]);
        for card in &mut swapped {
            card.number = Turned::Bytes(2).sent(card.number).expect("two bytes");
        }
        let proposals = learn(&swapped).expect("found");
        assert!(proposals[0].published && proposals[0].turned == Some(Turned::Bytes(2)));
        assert_eq!(Turned::Bytes(2).sent(0x1_0000), None, "it has more bytes");
        assert_eq!(Turned::Bytes(8).sent(1), Some(1 << 56));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let format = format_named("h10301").expect("there");
        let two = cards(format, &[(Some(1), 1), (Some(1), 2)]);
        assert_eq!(learn(&two), Err(LearnError::Few { found: 2 }));
        let mut mixed = cards(format, &[(Some(1), 1), (Some(1), 2)]);
        mixed.extend(cards(format_named("h10306").expect("there"), &[(Some(1), 3)]));
        assert_eq!(learn(&mixed), Err(LearnError::Lengths { one: 26, other: 34 }));
        let mut wrong = cards(format, &[(Some(1), 1000), (Some(1), 2000), (Some(1), 3000)]);
        wrong[0].number = 54_321;
        assert_eq!(learn(&wrong), Err(LearnError::Nowhere { field: "number" }));
    }

    proptest! {
        #[test]
        fn what_is_learned_reads_the_cards_it_was_learned_from(
            length in 8_usize..70,
            bits in prop::collection::vec(prop::collection::vec(any::<bool>(), 70), 3..6),
            at in 0_usize..60, width in 4_usize..40,
        ) {
            let known: Vec<Known> = bits.iter().map(|bits| {
                let frame = crate::bits::frame_of(&bits[..length]).expect("a frame");
                let number = bits[..length].iter().skip(at).take(width).fold(0, |n, one| n << 1 | u64::from(*one));
                Known { facility: None, frame, number }
            }).collect();
            for proposal in learn(&known).unwrap_or_default() {
                for card in &known {
                    prop_assert!(proposal.format.fits(&card.frame));
                    let sent = proposal.turned.map_or(Some(card.number), |turn| turn.sent(card.number));
                    prop_assert_eq!(proposal.format.read(&card.frame).and_then(|f| f.of(Field::Number)), sent);
                }
            }
        }
    }
}
