//! Codes and PINs that are typed under duress. They open, or are refused, exactly as the ordinary ones of their person;
//! nothing in the decision, its words or its time tells them apart. That they were used is found out here, beside the
//! decision, and told only to those who are asked to know.

use gateway_core::{PersonId, Secret};

use crate::access::Access;
use crate::directory::{Credential, Proof};
use crate::request::{DigitsFrom, Request};

impl Access {
    /// Whose duress code or PIN the request holds, whatever becomes of it: somebody who is forced at a door that is locked
    /// down, or at another time, is forced all the same. Digits of a party that has no say in its call are nobody's.
    #[must_use]
    pub fn under_duress(&self, request: &Request) -> Option<PersonId> {
        match request {
            Request::Card {
                frame,
                pin: Some(pin),
                ..
            } => self.duress_pin(self.directory.cards(frame), pin),
            Request::CommandCode { digits, .. } | Request::KeypadCode { digits, .. } => {
                self.duress_code(digits)
            }
            Request::Digits {
                digits,
                from,
                winner: true,
                ..
            } => match from {
                DigitsFrom::Caller { peer, .. } if peer.trusted => self
                    .duress_pin(
                        self.directory.phones(peer, &self.spellings(&peer.address)),
                        digits,
                    )
                    .or_else(|| self.duress_code(digits)),
                DigitsFrom::Called { .. } => self.duress_code(digits),
                DigitsFrom::Caller { .. } => None,
            },
            Request::Button { .. }
            | Request::Caller { .. }
            | Request::Card { .. }
            | Request::Command { .. }
            | Request::Digits { .. }
            | Request::Fire { .. }
            | Request::Hold { .. }
            | Request::Rex { .. }
            | Request::Rule { .. } => None,
        }
    }

    fn duress_code(&self, digits: &Secret) -> Option<PersonId> {
        let codes = self.directory.codes(digits).into_iter();
        let mut forced = codes.filter(|code| matches!(code.proof, Proof::Code { duress: true, .. }));
        forced.find_map(|code| code.person.clone())
    }

    fn duress_pin(&self, shown: Vec<&Credential>, digits: &Secret) -> Option<PersonId> {
        let is_forced = |shown: &&Credential| {
            let mut pins = self.directory.pins(shown.person.as_ref()).into_iter();
            pins.any(|pin| matches!(pin.proof, Proof::DuressPin(_)) && self.directory.is_pin(pin, digits))
        };
        shown.into_iter().find(is_forced)?.person.clone()
    }
}
