//! `[codes.*]` and `[cards.*]`.

use gateway_core::{CardFrame, DoorId, PersonId, Secret};

use crate::describe::table;
use crate::rules::{hidden, into, list, name, parsed, refer, word};
use crate::value::{CardText, CodeFrom, Digits};

table! {
    /// A code that opens doors.
    pub struct Code {
        /// The code: 1 to 8 of `0-9 * #`. No code of the same door and source may begin with another.
        digits: Secret = "digits", into(hidden(parsed::<Digits>()), |d| d.0), required, Live;
        /// Doors it opens, 1 to 64.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
        /// Where it may be typed.
        from: Vec<CodeFrom> = "from", list(word(), 1, 2), or("[\"call\"]"), Live;
        /// Person it belongs to; without one it belongs to nobody in particular.
        person: Option<PersonId> = "person", name(), optional, Live;
    }
}

table! {
    /// A card that opens doors.
    pub struct Card {
        /// The card: `26:FACILITY,NUMBER` (also 33, 34, 35, 37, 46, 48 and 50 bits), or `BITS:hex:DIGITS` with the raw
        /// bits, most significant first; `doorline encode wiegand` writes it for any format.
        card: CardFrame = "card", into(hidden(parsed::<CardText>()), |c| c.0), required, Live;
        /// Person it belongs to; without one it belongs to nobody in particular.
        person: Option<PersonId> = "person", name(), optional, Live;
        /// Doors it opens, 1 to 64.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
    }
}
