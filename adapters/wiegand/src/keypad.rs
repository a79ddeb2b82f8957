//! Keypads that send each key as a burst of its own.

/// How a keypad sends its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keypad {
    /// There is none: short frames are noise.
    #[default]
    None,
    /// Four bits a key.
    Four,
    /// Eight bits a key, of which the first four are the others inverted.
    Eight,
    /// Four or eight bits.
    Either,
}

impl Keypad {
    /// Is a frame of so many bits a key?
    #[must_use]
    pub const fn takes(self, bits: usize) -> bool {
        match self {
            Self::None => false,
            Self::Four => bits == 4,
            Self::Eight => bits == 8,
            Self::Either => bits == 4 || bits == 8,
        }
    }
}

/// Keys by their number: 10 is `*`, 11 is `#` (Rosslare AYC data sheets, HID prox keypads).
const KEYS: [char; 12] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#'];

/// The key of a burst of 4 or 8 bits, most significant first; `None` if it is no key.
///
/// In a burst of 8 bits the first four have to be the complement of the others, which notices any single wrong
/// bit. Four bits have nothing to notice one with.
#[must_use]
pub fn key(bits: &[bool]) -> Option<char> {
    let number = |bits: &[bool]| bits.iter().fold(0_usize, |n, one| n << 1 | usize::from(*one));
    let number = match bits.len() {
        4 => number(bits),
        8 => {
            let (check, value) = bits.split_at(4);
            (number(check) == 15 - number(value)).then(|| number(value))?
        }
        _ => return None,
    };
    KEYS.get(number).copied()
}

/// The burst of a key, 4 or 8 bits long; `None` for other keys than `0-9 * #` and other lengths.
#[must_use]
pub fn burst(key: char, bits: usize) -> Option<Vec<bool>> {
    let number = KEYS.iter().position(|k| *k == key)?;
    let of = |number: usize| (0..4).rev().map(move |at| number >> at & 1 == 1);
    match bits {
        4 => Some(of(number).collect()),
        8 => Some(of(15 - number).chain(of(number)).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> Vec<bool> {
        text.chars().map(|c| c == '1').collect()
    }

    #[test]
    fn bursts_are_keys() {
        // HID prox keypad data sheet, 8 bits: 0 = F0, 1 = E1, 5 = A5, 9 = 69, * = 5A, # = 4B; 7 is printed 8F, and is 87
        for (burst, expected) in [
            ("11110000", '0'),
            ("11100001", '1'),
            ("10100101", '5'),
            ("10000111", '7'),
            ("01101001", '9'),
            ("01011010", '*'),
            ("01001011", '#'),
            ("0000", '0'),
            ("1001", '9'),
            ("1010", '*'),
            ("1011", '#'),
        ] {
            assert_eq!(key(&bits(burst)), Some(expected), "{burst}");
        }
        for none in ["10001111", "1100", "1111", "00111100", "000", "00000", ""] {
            assert_eq!(key(&bits(none)), None, "{none}");
        }
    }

    #[test]
    fn a_key_comes_back_from_its_burst() {
        for wanted in KEYS {
            for length in [4, 8] {
                assert_eq!(burst(wanted, length).and_then(|b| key(&b)), Some(wanted));
            }
        }
        assert_eq!((burst('A', 4), burst('1', 6)), (None, None));
    }

    #[test]
    fn one_wrong_bit_of_eight_is_always_noticed() {
        for wanted in KEYS {
            for at in 0..8 {
                let mut wrong = burst(wanted, 8).expect("a key");
                wrong[at] = !wrong[at];
                assert_eq!(key(&wrong), None);
            }
        }
    }
}
