//! `[retention]`: how long what happened is kept.

use crate::describe::table;
use crate::rules::int;

table! {
    /// How many days events stay in the journal, class by class, as far as `site.journal-mib` has room for them. 0 keeps
    /// them as long as there is room. Once a day what is older is taken out; that there was a record, and that the chain
    /// of records is whole, can still be shown. `docs/privacy.md` says more.
    pub struct Retention {
        /// The gateway as a program: start and stop, configuration, users and rights, rules. 0 to 3650 days.
        application: u64 = "application-days", int(0, 3650), or("365"), Live;
        /// Calls: who was called, who answered, how it ended. 0 to 3650 days.
        audio: u64 = "audio-days", int(0, 3650), or("365"), Live;
        /// Lamps and other relays that tell something, lights of readers. 0 to 3650 days.
        display: u64 = "display-days", int(0, 3650), or("90"), Live;
        /// Doors: granted, refused, opened, forced, held; lockdown and fire. 0 to 3650 days.
        door: u64 = "door-days", int(0, 3650), or("365"), Live;
        /// Devices, lines, inputs, the guard, and what is wrong with them. 0 to 3650 days.
        hardware: u64 = "hardware-days", int(0, 3650), or("365"), Live;
        /// Accounts at the PBX, the switch port, the network. 0 to 3650 days.
        network: u64 = "network-days", int(0, 3650), or("365"), Live;
        /// What people do: ring, show a card, type, command. 0 to 3650 days.
        usage: u64 = "use-days", int(0, 3650), or("365"), Live;
    }
}

impl Retention {
    /// Days of a class; `None` is as long as there is room.
    #[must_use]
    pub const fn days(&self, class: gateway_core::Class) -> Option<u64> {
        use gateway_core::Class;
        let days = match class {
            Class::Application => self.application,
            Class::Audio => self.audio,
            Class::Display => self.display,
            Class::Door => self.door,
            Class::Hardware => self.hardware,
            Class::Network => self.network,
            Class::Use => self.usage,
        };
        if days == 0 { None } else { Some(days) }
    }
}
