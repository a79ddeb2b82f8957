//! `[relays.*]`: relays that tell something and open nothing.

use std::time::Duration;

use gateway_core::OutputId;

use crate::describe::{choice, table};
use crate::rules::{Flag, list, refer, secs, word};
use crate::value::NetworkLoss;

table! {
    /// A relay that tells something and opens nothing. No door may have its output, and no code, call or command reaches
    /// it; commands that name it are answered with 423.
    pub struct Relay {
        /// Output that it is wired to.
        output: OutputId = "output", refer("output"), required, Restart;
        /// True: the relay is energised while there is nothing to tell, and rests while there is. So it tells a fault also
        /// when the supply, the gateway or the relay guard is gone: use the contact that closes at rest.
        inverted: bool = "inverted", Flag, or("false"), Restart;
        one of
        /// What it tells.
        function: RelayFunction;
    }
}

choice! {
    /// What a relay tells.
    pub enum RelayFunction {
        /// That the network is lost: its cable, its address, the switch's permission, or a registration.
        NetworkFault(NetworkFault) = "network-fault",
    }
}

table! {
    /// A relay that is active while the network is lost, and after the gateway has said nothing to the relay guard for
    /// `delay-s` (3 s at least).
    pub struct NetworkFault {
        /// What counts as lost, 1 to 4.
        of: Vec<NetworkLoss> = "of", list(word(), 1, 4), or("[\"address\", \"carrier\", \"port-access\", \"registration\"]"), Restart;
        /// A loss is told after it has lasted so long, 0 to 3600 s; that it is over is told at once.
        delay: Duration = "delay-s", secs(0, 3600), or("30"), Restart;
    }
}
