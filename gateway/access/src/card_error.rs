//! What is wrong with a written card, key or text.

/// A card text that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The text is built in no known way.
    #[error(
        "{found:?} is no card: expected bits:facility,number (26, 33, 34, 35, 37, 46, 48, 50), 37:number, or bits:hex:digits"
    )]
    Form {
        /// What was found.
        found: String,
    },
    /// Hexadecimal digits do not fill the bits.
    #[error(
        "{bits} bits need {wanted} hexadecimal digits, left-aligned with zero bits at the end; found {found:?}"
    )]
    Hex {
        /// Bits.
        bits: u16,
        /// What was found.
        found: String,
        /// Digits wanted.
        wanted: usize,
    },
    /// No layout of this length.
    #[error(
        "no card layout of {bits} bits with facility and number: allowed are 26, 33, 34, 35, 37, 46, 48 and 50"
    )]
    Layout {
        /// Bits.
        bits: u16,
    },
    /// The text is built in no known way. It is not shown, because it may be nearly a card.
    #[error(
        "no card: expected facility,number; ten digits; hex: with 3 to 8 bytes; either of the two after rev: for the \
         other byte order; or bits:facility,number, bits:hex:digits"
    )]
    Notation,
    /// A key or text that cannot be one. It is not shown.
    #[error(
        "no contact key or text: expected ibutton: with 16 hexadecimal digits and a right checksum, or the 12 of a serial \
         number; cyfral: with 4, or metakom: with 8, each byte with an even number of ones; qr: with 8 to 512 characters; or \
         track2: with 1 to 37 digits, = for the separator"
    )]
    Token,
    /// A field is too large for the layout.
    #[error("{field} {found} does not fit: at most {max} in {bits} bits")]
    Range {
        /// Bits of the frame.
        bits: u16,
        /// `facility` or `number`.
        field: &'static str,
        /// What was found.
        found: u64,
        /// Largest.
        max: u64,
    },
}
