//! Cards as raw bits; `gateway-access` knows the layouts.

use gateway_core::CardFrame;

use crate::rules::FromText;

/// A card as written in the site file.
pub(crate) struct CardText(pub(crate) CardFrame);

/// Fixed, because the value must not show itself.
const ALLOWED: &str = "26:FACILITY,NUMBER (also 33, 34, 35, 37, 46, 48 and 50), 37:NUMBER, BITS:hex:DIGITS, most significant \
                       bit first, unused last bits 0, ibutton:SERIAL, cyfral:NUMBER, metakom:NUMBER, qr:TEXT, or track2:DIGITS";

impl FromText for CardText {
    const WHAT: &'static str = "a card";
    const PATTERN: Option<&'static str> = Some(
        "^([0-9]+:(hex:[0-9A-Fa-f]+|[0-9]+(,[0-9]+)?)|(ibutton|cyfral|metakom):[0-9A-Fa-f -]+|qr:.+|track2:[0-9A-Ea-e=]+)$",
    );
    fn from_text(text: &str) -> Result<Self, String> {
        gateway_access::card_frame(text)
            .map(Self)
            .map_err(|_| ALLOWED.to_owned())
    }
}
