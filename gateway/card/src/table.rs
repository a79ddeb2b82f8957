//! The published formats.
//!
//! The layouts are facts from data sheets of HID (H10301, H10302, H10304, H10306, D10202, Corporate 1000), Promag and
//! ATS, from the format tables of proxmark3 (`wiegand_formats.c`; H800002 only there), of z9/open (`fc50` only there) and of
//! accessgrid.com. HGen37 and H10320 are left out, because their descriptions contradict themselves. `pair42` and
//! `pair48` are the usual halves, without a data sheet.

use std::sync::LazyLock;

use crate::format::Format;

struct Row {
    layout: &'static str,
    name: &'static str,
    parity: &'static [&'static str],
    title: &'static str,
}

static ROWS: &[Row] = &[
    Row {
        name: "h10301",
        title: "26 bits, HID H10301, the industry standard",
        layout: "PFFFFFFFFNNNNNNNNNNNNNNNNP",
        parity: &["EXXXXXXXXXXXX.............", ".............XXXXXXXXXXXXO"],
    },
    Row {
        name: "atsw30",
        title: "30 bits, ATS Wiegand",
        layout: "PFFFFFFFFFFFFNNNNNNNNNNNNNNNNP",
        parity: &["EXXXXXXXXXXXX.................", ".............XXXXXXXXXXXXXXXXO"],
    },
    Row {
        name: "promag30",
        title: "30 bits, Promag",
        layout: "PFFFFFFFFNNNNNNNNNNNNNNNNNNNNP",
        parity: &["EXXXXXXXXXXXXXX...............", "...............XXXXXXXXXXXXXXO"],
    },
    Row {
        name: "uid32",
        title: "32 bits, number of a contactless card, no parity",
        layout: "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN",
        parity: &[],
    },
    Row {
        name: "d10202",
        title: "33 bits, HID D10202",
        layout: "PFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXX................",
            "................XXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "h10306",
        title: "34 bits, HID H10306",
        layout: "PFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXX.................",
            ".................XXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "bqt34",
        title: "34 bits, facility of 8 bits",
        layout: "PFFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXX.................",
            ".................XXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "uid34",
        title: "34 bits, number of a contactless card",
        layout: "PNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXX.................",
            ".................XXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "c1k35s",
        title: "35 bits, HID Corporate 1000",
        layout: "PPFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            ".EXX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.",
            ".XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.O",
            "OXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        ],
    },
    Row {
        name: "c15001",
        title: "36 bits, HID Keyscan C15001",
        layout: "PMMMMMMMMMMFFFFFFFFNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXX..................",
            "..................XXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "h10302",
        title: "37 bits, HID H10302, number only",
        layout: "PNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXX..................",
            "..................XXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "h10304",
        title: "37 bits, HID H10304",
        layout: "PFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXX..................",
            "..................XXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "p10001",
        title: "40 bits, Honeywell P10001, bytes add up to nothing",
        layout: "1111FFFFFFFFFFFFNNNNNNNNNNNNNNNNPPPPPPPP",
        parity: &[
            "X.......X.......X.......X.......E.......",
            ".X.......X.......X.......X.......E......",
            "..X.......X.......X.......X.......E.....",
            "...X.......X.......X.......X.......E....",
            "....X.......X.......X.......X.......E...",
            ".....X.......X.......X.......X.......E..",
            "......X.......X.......X.......X.......E.",
            ".......X.......X.......X.......X.......E",
        ],
    },
    Row {
        name: "casi40",
        title: "40 bits, Casi-Rusco, no parity",
        layout: ".NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN.",
        parity: &[],
    },
    Row {
        name: "pair42",
        title: "42 bits, halves with parity",
        layout: "PNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXXXX.....................",
            ".....................XXXXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "h800002",
        title: "46 bits, HID H800002",
        layout: "PFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX.",
            ".XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "c1k48s",
        title: "48 bits, HID Corporate 1000",
        layout: "PPFFFFFFFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            ".E.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.",
            "..XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.XX.O",
            "OXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        ],
    },
    Row {
        name: "pair48",
        title: "48 bits, halves with parity",
        layout: "PNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXXXXXXX........................",
            "........................XXXXXXXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "fc50",
        title: "50 bits, facility and number, halves with parity",
        layout: "PFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXXXXXXXX.........................",
            ".........................XXXXXXXXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "ir56",
        title: "56 bits, Inner Range SIFER, no parity",
        layout: "FFFFFFFFFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN",
        parity: &[],
    },
    Row {
        name: "uid56",
        title: "56 bits, number of a contactless card, no parity",
        layout: "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN",
        parity: &[],
    },
    Row {
        name: "twic58",
        title: "58 bits, TWIC and CAC: agency and system, credential, series and issue",
        layout: "PFFFFFFFFFFFFFFFFFFFFFFFFFFFFNNNNNNNNNNNNNNNNNNNNIIIIIIIIP",
        parity: &[
            "EXXXXXXXXXXXXXXXXXXXXXXXXXXXX.............................",
            ".............................XXXXXXXXXXXXXXXXXXXXXXXXXXXXO",
        ],
    },
    Row {
        name: "uid64",
        title: "64 bits, number of a contactless card, no parity",
        layout: "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN",
        parity: &[],
    },
];

static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let read = |row: &Row| Format::parse(row.name, row.title, row.layout, row.parity);
    ROWS.iter()
        .map(|row| read(row).expect("a test reads every row"))
        .collect()
});

/// The published formats, shortest first. Several have the same length, and some of those look the same on the
/// wire: which one a site uses, only its people know.
#[must_use]
pub fn formats() -> &'static [Format] {
    &FORMATS
}

/// The published format of this name.
#[must_use]
pub fn format_named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{bits_of, frame_of};
    use crate::format::{Field, Fields};
    use proptest::prelude::*;

    fn frame(bits: &str) -> gateway_core::CardFrame {
        let bits: Vec<bool> = bits.chars().map(|c| c == '1').collect();
        frame_of(&bits).expect("a frame")
    }

    /// The bits mean these fields, and these fields make the bits.
    #[track_caller]
    fn check(name: &str, facility: Option<u64>, number: u64, bits: &str) {
        let format = format_named(name).expect("a format");
        let fields = Fields {
            facility,
            number: Some(number),
            ..Fields::default()
        };
        let read = frame(bits);
        assert!(format.fits(&read), "{name}: {:?}", format.wrong_parity(&read));
        assert_eq!(format.read(&read), Some(fields), "{name}");
        assert_eq!(format.write(&fields), Ok(read), "{name}");
    }

    #[test]
    fn published_cards_are_read_and_written() {
        // accessgrid.com, "Examples of every access control bit format", H10301
        check("h10301", Some(42), 69, "10010101000000000010001010");
        // README of the npm package wiegand-encoder
        check("h10301", Some(90), 324, "00101101000000001010001000");
        // proxmark3, example of `wiegand decode --raw 2006f623ae`, without the preamble of the air interface
        check("h10301", Some(123), 4567, "10111101100010001110101110");
        // Nedap Combi-Booster manual, page 8: 014088B, and 100EB79A2B for 37 bits
        check("h10301", Some(10), 1093, "00000101000000100010001011");
        check(
            "h10302",
            None,
            123_456_789,
            "1000000001110101101111001101000101011",
        );
        // by the integer arithmetic of proxmark3's Corporate 1000 packers, done apart from the masks
        check("c1k35s", Some(42), 69, "10000000101010000000000000010001010");
        check(
            "c1k35s",
            Some(1234),
            567_890,
            "11010011010010100010101010010100100",
        );
        check(
            "c1k48s",
            Some(42),
            69,
            "100000000000000000101010000000000000000010001010",
        );
        check(
            "c1k48s",
            Some(1_234_567),
            7_654_321,
            "110100101101011010000111111010011001011101100011",
        );
    }

    #[test]
    fn every_row_is_a_format_of_its_own_name_and_the_wanted_lengths_are_there() {
        let mut names: Vec<&str> = formats().iter().map(Format::name).collect();
        let lengths: Vec<usize> = formats().iter().map(Format::bits).collect();
        assert!(lengths.is_sorted());
        for wanted in [26, 30, 33, 34, 35, 36, 37, 40, 42, 46, 48, 50, 56, 58, 64] {
            assert!(lengths.contains(&wanted), "{wanted}");
        }
        for (format, row) in formats().iter().zip(ROWS) {
            assert_eq!(format.layout(), row.layout);
            assert_eq!(format.masks(), row.parity);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), formats().len());
    }

    #[test]
    fn cards_of_37_bits_look_alike_whatever_their_fields() {
        let one = format_named("h10302").expect("there");
        let two = format_named("h10304").expect("there");
        let fields = Fields {
            facility: Some(3),
            number: Some(5),
            ..Fields::default()
        };
        let card = two.write(&fields).expect("fits");
        assert!(one.fits(&card));
        assert_eq!(one.read(&card).and_then(|f| f.number), Some((3 << 19) + 5));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in 0..ROWS.len(), values in any::<[u64; 4]>()) {
            let format = &formats()[at];
            let mut fields = Fields::default();
            for (field, value) in Field::ALL.into_iter().zip(values) {
                let width = format.width(field);
                fields.set(field, (width > 0).then(|| value >> (64 - width)));
            }
            let card = format.write(&fields).expect("fits");
            prop_assert!(format.fits(&card));
            prop_assert_eq!(format.read(&card), Some(fields));
        }

        /// One wrong bit that a parity covers is always noticed.
        #[test]
        fn one_wrong_bit_never_passes_parity(at in 0..ROWS.len(), values in any::<[u64; 4]>(), place: prop::sample::Index) {
            let (row, format) = (&ROWS[at], &formats()[at]);
            let mut fields = Fields::default();
            for (field, value) in Field::ALL.into_iter().zip(values) {
                let width = format.width(field);
                fields.set(field, (width > 0).then(|| value >> (64 - width)));
            }
            let mut bits = bits_of(&format.write(&fields).expect("fits"));
            let place = place.index(bits.len());
            bits[place] = !bits[place];
            let covered = row.parity.iter().any(|mask| mask.as_bytes()[place] != b'.');
            let fixed = matches!(row.layout.as_bytes()[place], b'0' | b'1');
            let fits = format.fits(&frame_of(&bits).expect("a frame"));
            prop_assert_eq!(fits, !covered && !fixed);
        }
    }

    #[test]
    fn noise_passes_parity_no_more_often_than_chance() {
        // a fixed sequence, so that the count is the same in every run
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        const TRIES: u32 = 20_000;
        for format in formats() {
            let mut passed = 0_u32;
            for _ in 0..TRIES {
                let noise = next();
                let bits: Vec<bool> = (0..format.bits()).map(|at| noise >> at & 1 == 1).collect();
                passed += u32::from(format.fits(&frame_of(&bits).expect("a frame")));
            }
            let row = ROWS.iter().find(|row| row.name == format.name()).expect("there");
            let fixed = row.layout.bytes().filter(|c| matches!(c, b'0' | b'1')).count();
            let chance =
                f64::from(TRIES) / 2_f64.powi(i32::try_from(format.parity_bits() + fixed).expect("few"));
            // six standard deviations of a binomial distribution
            let slack = 6.0 * chance.sqrt() + 1.0;
            assert!(
                (f64::from(passed) - chance).abs() < slack,
                "{}: {passed} of {TRIES} passed, chance gives {chance}",
                format.name()
            );
        }
    }
}
