//! `[relays.*]`: relays that tell something and open nothing.

use std::time::Duration;

use gateway_access::When;
use gateway_core::{AlarmId, DoorId, InputId, OutputId, PanelId};

use crate::describe::{choice, table};
use crate::rules::{Flag, list, ms, refer, secs, when, word};
use crate::value::{LampShows, NetworkLoss};

table! {
    /// A relay that tells something and opens nothing. No door may have its output, and no code and no call reaches
    /// it; who wants to open it is answered with 423. `docs/relays.md` says more.
    pub struct Relay {
        /// Output that it is wired to.
        output: OutputId = "output", refer("output"), required, Restart;
        /// True: the relay is energised while there is nothing to tell, and rests while there is. So it tells a fault also
        /// when the supply, the gateway or the relay guard is gone: use the contact that closes at rest. With
        /// `mains-fault`, which is so by itself, the other way round.
        inverted: bool = "inverted", Flag, or("false"), Restart;
        /// It follows after there was something to tell for so long, 0 to 3600000 ms; that it is over is told at once.
        delay: Duration = "delay-ms", ms(0, 3_600_000), or("0"), Live;
        /// True: it is turned over each time there is something to tell anew, and stays so. A restart brings it to rest.
        bistable: bool = "bistable", Flag, or("false"), Live;
        one of
        /// What it tells.
        function: RelayFunction;
    }
}

choice! {
    /// What a relay tells.
    pub enum RelayFunction {
        /// That an alarm is not confirmed yet: the siren.
        Alarm(AlarmRelay) = "alarm",
        /// What a rule or a command sets it to: a siren, an alarm to somebody else's centre.
        Command(RelayCommand) = "command",
        /// How a panel is: the lights beside its buttons.
        Lamp(Lamp) = "lamp",
        /// Light at a door.
        Light(Light) = "light",
        /// That a call has the line of a panel: for cameras and recorders.
        LineSeized(LineSeized) = "line-seized",
        /// That the mains are lost. It is energised while they are there.
        MainsFault(MainsFault) = "mains-fault",
        /// That the network is lost: its cable, its address, the switch's permission, or a registration.
        NetworkFault(NetworkFault) = "network-fault",
    }
}

table! {
    /// A relay that is active while one of these alarms goes on, and rests as somebody confirms it. After a restart it goes
    /// on as the alarm does.
    pub struct AlarmRelay {
        /// Which of `[alarms]`, 1 to 16.
        of: Vec<AlarmId> = "of", list(refer("alarm"), 1, 16), required, Restart;
    }
}

table! {
    /// A relay that rules and commands set: on, off, the other way round, or on for a time. It rests at a restart, and
    /// when the gateway has said nothing to the relay guard for 3 s.
    pub struct RelayCommand {
        /// It goes off by itself after so long, 1 to 86400 s; without it at a command only.
        longest: Option<Duration> = "longest-s", secs(1, 86_400), optional, Restart;
    }
}

table! {
    /// A light beside the buttons of a panel.
    pub struct Lamp {
        /// Which panel.
        panel: PanelId = "panel", refer("panel"), required, Restart;
        /// What of it, 1 to 6: it is lit by any of them.
        shows: Vec<LampShows> = "shows", list(word(), 1, 6), required, Restart;
    }
}

table! {
    /// Light at a door: with neither panels, doors nor inputs it is on while its schedule is in force.
    pub struct Light {
        /// A ring at one of these panels lights it.
        panels: Vec<PanelId> = "panels", list(refer("panel"), 0, 16), or("[]"), Restart;
        /// One of these doors that is unlocked lights it.
        doors: Vec<DoorId> = "doors", list(refer("door"), 0, 16), or("[]"), Restart;
        /// One of these inputs lights it for as long as it is active, and for `on-s` after that: a motion detector.
        inputs: Vec<InputId> = "inputs", list(refer("input"), 0, 16), or("[]"), Restart;
        /// For how long, 1 to 3600 s, from the last of these.
        time: Duration = "on-s", secs(1, 3600), or("60"), Restart;
        /// When. By a clock that is not believed it is lit, too.
        when: When = "schedule", when(), or("\"always\""), Restart;
    }
}

table! {
    /// That a call has a line: from the first INVITE of a ring, or from a call that comes in and is taken.
    pub struct LineSeized {
        /// At these panels; empty means all.
        panels: Vec<PanelId> = "panels", list(refer("panel"), 0, 32), or("[]"), Restart;
        /// For so long from the begin of the call, 1 to 9 s, or until it ends, if that is sooner. Without it until it ends.
        hold: Option<Duration> = "hold-s", secs(1, 9), optional, Restart;
    }
}

table! {
    /// That the mains are lost. The relay is energised while they are there, and rests while they are lost, while nobody
    /// reads the input, and when gateway or relay guard are gone. A loss of less than 2 s is not told.
    pub struct MainsFault {
        /// The input that is active while the mains are lost: the contact of the power supply.
        input: InputId = "input", refer("input"), required, Restart;
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
