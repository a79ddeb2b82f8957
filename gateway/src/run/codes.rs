//! Codes and cards of the site file beside those of people, of which the site file knows nothing.

use gateway_config::Config;
use gateway_core::{CardFrame, CredentialId, Secret};
use gateway_site::PinKey;
use gateway_store::Records;

/// Why a site file is not taken: its new cards, of which one is a person's in the records, where it would be blocked and
/// removed with them, and here not.
pub(crate) fn cards_refused(records: &Records, old: &Config, new: &Config) -> Option<String> {
    let stands = |id: &CredentialId, frame: &CardFrame| old.cards.get(id).is_some_and(|c| c.card == *frame);
    let cards = new.cards.iter().map(|(id, card)| (id, &card.card));
    let fresh: Vec<(&CredentialId, &CardFrame)> = cards.filter(|(id, frame)| !stands(id, frame)).collect();
    let frames: Vec<&CardFrame> = fresh.iter().map(|(_, frame)| *frame).collect();
    if frames.is_empty() {
        return None;
    }
    let same = gateway_people::same_cards(records, &frames);
    let same: Vec<String> = same
        .iter()
        .filter_map(|at| fresh.get(*at))
        .map(|(id, _)| format!("cards.{id}.card"))
        .collect();
    (!same.is_empty()).then(|| {
        format!(
            "{}: somebody has this card in the records (doorline people list); withdraw it there first, or leave it out \
             here",
            same.join(", ")
        )
    })
}

/// Why a site file is not taken: its new codes, of which one is a person's code, begins one, or goes on after one.
pub(crate) fn refused(records: &Records, key: &PinKey, old: &Config, new: &Config) -> Option<String> {
    let stands =
        |id: &CredentialId, digits: &Secret| old.codes.get(id).is_some_and(|code| code.digits == *digits);
    let codes = new.codes.iter().map(|(id, code)| (id, &code.digits));
    let fresh: Vec<(&CredentialId, &Secret)> = codes.filter(|(id, digits)| !stands(id, digits)).collect();
    let digits: Vec<&Secret> = fresh.iter().map(|(_, digits)| *digits).collect();
    if digits.is_empty() {
        return None;
    }
    let named = gateway_people::clashes(records, key, &digits);
    let named: Vec<String> = named
        .iter()
        .filter_map(|at| fresh.get(*at))
        .map(|(id, _)| format!("codes.{id}.digits"))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "{}: a person's code is the same, begins with it, or is its beginning; allowed: digits that differ from \
             the codes of people within the shorter one",
            named.join(", ")
        )
    })
}

/// The fault of codes that do not count, because a longer one begins with them.
pub(crate) fn told(idle: &[CredentialId]) -> Option<String> {
    const NAMED: usize = 12;
    let named: Vec<&str> = idle.iter().take(NAMED).map(CredentialId::as_str).collect();
    let more = if idle.len() > NAMED { " and more" } else { "" };
    (!named.is_empty()).then(|| {
        format!(
            "codes that open nothing, because another code begins with their digits: {}{more}; give one of each two \
             other digits",
            named.join(", ")
        )
    })
}
