//! `[codes.*]` and `[cards.*]`.

use std::time::Duration;

use gateway_access::When;
use gateway_core::{CardFrame, DoorId, GroupId, PersonId, Secret};

use crate::describe::table;
use crate::rules::{hidden, into, list, ms, name, parsed, refer, secs, when, word};
use crate::value::{CardText, CodeFrom, Digits, Pin};

table! {
    /// A code that opens doors.
    pub struct Code {
        /// The code: 1 to 8 of `0-9 * #`. No code of the same door and source may begin with another.
        digits: Secret = "digits", into(hidden(parsed::<Digits>()), |d| d.0), required, Live;
        /// Doors it opens, 1 to 64.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
        /// Where it may be typed.
        from: Vec<CodeFrom> = "from", list(word(), 1, 2), or("[\"call\"]"), Live;
        /// Person it belongs to; without one it belongs to nobody in particular. What the records (`doorline people`)
        /// say of them counts here too: it opens nothing while they are blocked, before their first day, after their
        /// last, and after they were removed or erased.
        person: Option<PersonId> = "person", name(), optional, Live;
        /// When it opens.
        schedule: When = "schedule", when(), or("\"always\""), Live;
    }
}

table! {
    /// A card that opens doors.
    pub struct Card {
        /// The card: `26:FACILITY,NUMBER` (also 33, 34, 35, 37, 46, 48 and 50 bits), or `BITS:hex:DIGITS` with the raw
        /// bits, most significant first; `doorline encode wiegand` writes it for any format.
        card: CardFrame = "card", into(hidden(parsed::<CardText>()), |c| c.0), required, Live;
        /// Person it belongs to; without one it belongs to nobody in particular. What the records (`doorline people`)
        /// say of them counts here too: it opens nothing while they are blocked, before their first day, after their
        /// last, and after they were removed or erased.
        person: Option<PersonId> = "person", name(), optional, Live;
        /// What is typed after the card where a reader asks for it (`card-alone`): 4 to 8 digits.
        pin: Option<Secret> = "pin", into(hidden(parsed::<Pin>()), |p| p.0), optional, Live;
        /// Doors it opens, 1 to 64.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
        /// How long they open for it, 1000 to 25000 ms, where that is longer than their own `strike-ms`: for those who need
        /// more time.
        strike: Option<Duration> = "strike-ms", ms(1000, 25_000), optional, Live;
        /// When it opens.
        schedule: When = "schedule", when(), or("\"always\""), Live;
    }
}

table! {
    /// A group of people: who is in it is kept in the records (`doorline people`), what it opens stands here.
    pub struct Group {
        /// Doors its people open, 1 to 64.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
        /// How long they open for its people, 1000 to 25000 ms, where that is longer than their own `strike-ms`: for those who need
        /// more time.
        strike: Option<Duration> = "strike-ms", ms(1000, 25_000), optional, Live;
        /// Its people come in only after somebody else, of this group, who came in at the same door by card or code.
        escorted_by: Option<GroupId> = "escorted-by", refer("group"), optional, Live;
        /// For how long after them, 5 to 300 s.
        escort_within: Duration = "escort-within-s", secs(5, 300), or("30"), Live;
        /// When they open them.
        schedule: When = "schedule", when(), or("\"always\""), Live;
    }
}
