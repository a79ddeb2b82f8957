//! An address in words that a voice speaks well: digit by digit, the signs between by their names.

use std::net::IpAddr;

use gateway_config::Language;

/// The words of a language.
struct Words {
    /// `:` of an IPv6 address.
    colon: &'static str,
    /// `a` to `f`: by the international spelling alphabet, since "b", "c", "d" and "e" sound alike at a door.
    letters: [&'static str; 6],
    /// `.` of an IPv4 address.
    point: &'static str,
}

const fn words(language: Language) -> Words {
    const LETTERS: [&str; 6] = ["alfa", "bravo", "charlie", "delta", "echo", "foxtrot"];
    let (colon, letters, point) = match language {
        Language::De => ("Doppelpunkt", LETTERS, "Punkt"),
        Language::En => ("colon", LETTERS, "point"),
        Language::Es => (
            "dos puntos",
            ["alfa", "bravo", "charli", "delta", "eco", "foxtrot"],
            "punto",
        ),
        Language::Fr => (
            "deux points",
            ["alfa", "bravo", "charlie", "delta", "écho", "fox-trot"],
            "point",
        ),
        Language::Pt => (
            "dois pontos",
            ["alfa", "bravo", "charlie", "delta", "eco", "foxtrot"],
            "ponto",
        ),
        Language::Ru => (
            "двоеточие",
            ["альфа", "браво", "чарли", "дельта", "эхо", "фокстрот"],
            "точка",
        ),
    };
    Words {
        colon,
        letters,
        point,
    }
}

/// The text for a voice of that language. Digits stay digits, each for itself: every voice has names for them.
pub(crate) fn spoken(address: IpAddr, language: Language) -> String {
    let words = words(language);
    let (mut text, mut apart_before) = (String::new(), false);
    for sign in address.to_string().chars() {
        let digit = sign.to_string();
        let (word, apart) = match sign {
            '.' => (words.point, true),
            ':' => (words.colon, true),
            'a'..='f' => (words.letters[sign as usize - 'a' as usize], false),
            _ => (digit.as_str(), false),
        };
        if !text.is_empty() {
            // a comma is a breath
            text.push_str(if apart || apart_before { ", " } else { " " });
        }
        text.push_str(word);
        apart_before = apart;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_spelled_in_each_language() {
        for (address, language, text) in [
            (
                "192.0.2.10",
                Language::En,
                "1 9 2, point, 0, point, 2, point, 1 0",
            ),
            ("10.0.0.1", Language::Fr, "1 0, point, 0, point, 0, point, 1"),
            ("10.0.0.1", Language::De, "1 0, Punkt, 0, Punkt, 0, Punkt, 1"),
            ("10.0.0.1", Language::Es, "1 0, punto, 0, punto, 0, punto, 1"),
            ("10.0.0.1", Language::Pt, "1 0, ponto, 0, ponto, 0, ponto, 1"),
            ("10.0.0.1", Language::Ru, "1 0, точка, 0, точка, 0, точка, 1"),
            (
                "2001:db8::5e",
                Language::En,
                "2 0 0 1, colon, delta bravo 8, colon, colon, 5 echo",
            ),
            ("::1", Language::Es, "dos puntos, dos puntos, 1"),
            ("::f", Language::Ru, "двоеточие, двоеточие, фокстрот"),
        ] {
            assert_eq!(spoken(address.parse().expect(address), language), text);
        }
    }
}
