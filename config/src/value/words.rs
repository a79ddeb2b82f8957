//! Enums with one word per variant.

use crate::describe::words;

words! {
    /// The library that drives a GPIO chip.
    pub enum Backend {
        /// The kernel's character device; the default, for every board.
        Gpiocdev = "gpiocdev",
        /// Registers of a Raspberry Pi; outputs keep their level when the process is killed.
        Rppal = "rppal",
    }
}

words! {
    /// What a lamp shows of a panel.
    pub enum LampShows {
        /// The other side holds the call.
        Hold = "hold",
        /// Somebody calls the panel.
        Incoming = "incoming",
        /// A button, an exit or a lock of the panel's doors is not at rest.
        Io = "io",
        /// A button was pressed, and nobody has answered yet.
        Press = "press",
        /// A door of the panel is unlocked.
        Relay = "relay",
        /// Somebody talks.
        Talk = "talk",
    }
}

words! {
    /// Where the echo of a line comes from.
    pub enum Echo {
        /// Two wires that carry both directions: strong, and over within 48 ms.
        Hybrid = "hybrid",
        /// From nowhere: both directions have wires of their own.
        Off = "off",
        /// A loudspeaker and a microphone in one panel, and what is around them: over within 128 ms.
        Speaker = "speaker",
    }
}

words! {
    /// How much noise is taken out of a voice.
    pub enum Noise {
        /// Up to 18 dB, for a panel beside a street.
        High = "high",
        /// Up to 10 dB.
        Low = "low",
        /// None.
        Off = "off",
    }
}

words! {
    /// What can be lost of the network.
    pub enum NetworkLoss {
        /// The port has no address by which others reach it.
        Address = "address",
        /// The cable is out, or the switch is off.
        Carrier = "carrier",
        /// The switch does not let the gateway in (802.1X), or `[dot1x]` has another fault.
        PortAccess = "port-access",
        /// An account that registers is not registered.
        Registration = "registration",
    }
}

words! {
    /// Resistor of an input pin.
    pub enum Bias {
        /// Left as the board has it.
        AsIs = "as-is",
        /// No resistor.
        Disabled = "disabled",
        /// Towards ground.
        PullDown = "pull-down",
        /// Towards the supply.
        PullUp = "pull-up",
    }
}

words! {
    /// What a pin does from power-on until software takes it.
    pub enum BootPull {
        /// Pulled to ground. Raspberry Pi: GPIO 9 to 27 (BCM2835 ARM Peripherals, table 6-31).
        Down = "down",
        /// Floats: an outside resistor has to hold it.
        None = "none",
        /// Not known: look it up or measure it.
        Unknown = "unknown",
        /// Pulled to the supply. Raspberry Pi: GPIO 0 to 8 (BCM2835 ARM Peripherals, table 6-31).
        Up = "up",
    }
}

words! {
    /// What a button does by day and by night.
    pub enum ButtonMode {
        /// By day it rings, by night it calls nobody.
        ListForbidden = "list-forbidden",
        /// It rings; by night the list of `night-call`, if there is one.
        ListList = "list-list",
        /// By day it opens the door for whoever presses it; by night, and where the door is not to be opened, it rings.
        StrikeList = "strike-list",
    }
}

words! {
    /// What a press means while its panel rings somebody and nobody has answered.
    pub enum PressAgain {
        /// Nothing more: it belongs to the ring that goes on.
        Join = "join",
        /// Who rings is passed over, and the next of the list is called; after the last its next round begins.
        Next = "next",
    }
}

words! {
    /// What a press means in the talk that its panel began.
    pub enum PressInTalk {
        /// The talk ends.
        HangUp = "hang-up",
        /// Nothing more: it belongs to the talk.
        Join = "join",
    }
}

words! {
    /// May the gateway open the talk path of a line without a ring?
    pub enum CallIn {
        /// No: incoming calls are answered with 480.
        None = "none",
        /// Yes.
        SelfStart = "self-start",
    }
}

words! {
    /// What becomes of a call to a panel.
    pub enum CallerDo {
        /// Those of `list` are called, and whoever answers talks with the caller. One at a time; others are busy (486).
        Bridge = "bridge",
        /// It is refused as busy (486).
        Busy = "busy",
        /// The caller is told to call `to` instead (302).
        Divert = "divert",
        /// The doors that open by a call alone (`open-by-call`) do so for whom they listen to; nobody answers. A call that opens
        /// nothing gets 480.
        Open = "open",
        /// It is declined (603).
        Reject = "reject",
        /// It is answered, if the line can be; no door opens by it alone.
        Talk = "talk",
    }
}

words! {
    /// How a call is refused that is not answered.
    pub enum CallRefusal {
        /// Busy (486).
        Busy = "busy",
        /// Declined (603).
        Declined = "declined",
        /// Not available (480).
        Unavailable = "unavailable",
    }
}

words! {
    /// What becomes of calls that open nothing by themselves.
    pub enum OtherCalls {
        /// They are answered, if the line can be.
        Answer = "answer",
        /// They are refused as busy (486).
        Busy = "busy",
        /// They are declined (603).
        Declined = "declined",
        /// They are refused as not available (480).
        Unavailable = "unavailable",
    }
}

words! {
    /// What is done with what can be heard of a target before it answers (early media).
    pub enum EarlyMedia {
        /// It is not heard.
        Ignore = "ignore",
        /// It is heard at the panel.
        Play = "play",
    }
}

words! {
    /// Who plays it to a caller that it rings.
    pub enum RingBack {
        /// The gateway, as early media (183).
        Gateway = "gateway",
        /// His phone, or its PBX, which is told so (180).
        Phone = "phone",
    }
}

words! {
    /// Who hears a prompt.
    pub enum PromptTo {
        /// Whoever stands at the panels of the line.
        Line = "line",
        /// Whoever has the call that talks there.
        Phone = "phone",
    }
}

words! {
    /// What becomes of calls to a panel whose line is faulty.
    pub enum OnLineFault {
        /// They are refused as not available (480), so that the PBX can try elsewhere.
        Reject480 = "reject-480",
        /// They are refused as busy (486), and nothing is shown of it.
        Stay = "stay",
        /// Its accounts are not registered until it is mended, unless another panel of theirs is well; direct calls get 480.
        Unregister = "unregister",
    }
}

words! {
    /// To whom a call may be handed by whoever has it.
    pub enum Transfers {
        /// To anybody whom the PBX reaches: that may cost money.
        Any = "any",
        /// To those who stand in a list of the panel without `confirm`.
        Listed = "listed",
        /// To nobody.
        Refuse = "refuse",
    }
}

words! {
    /// A codec of speech.
    pub enum Codec {
        /// G.722: wideband, 64 kbit/s.
        G722 = "g722",
        /// Opus: wideband, some 32 kbit/s, at its best where packets are lost.
        Opus = "opus",
        /// G.711 A-law: telephone band, 64 kbit/s.
        Pcma = "pcma",
        /// G.711 µ-law: telephone band, 64 kbit/s.
        Pcmu = "pcmu",
    }
}

words! {
    /// Where a code may be typed.
    pub enum CodeFrom {
        /// At the telephone that talks with the door.
        Call = "call",
        /// At a keypad of the door.
        Keypad = "keypad",
    }
}

words! {
    /// Who may open by digits in a call that the door began.
    pub enum DigitsBy {
        /// The target of the list that answered.
        List = "list",
        /// Nobody.
        Nobody = "nobody",
    }
}

words! {
    /// What is done with somebody who comes into an area without having left it.
    pub enum AntiPassback {
        /// They are refused.
        Hard = "hard",
        /// They are let in, and the journal has it.
        Soft = "soft",
    }
}

words! {
    /// How long the coil may stay energised.
    pub enum Duty {
        /// For as long as needed; the output's `max-on-ms` may exceed 25000.
        Continuous = "continuous",
        /// For a pulse of at most 25 s.
        Pulse = "pulse",
    }
}

words! {
    /// What the lock does without power.
    pub enum Fail {
        /// It opens (fail-safe).
        Safe = "safe",
        /// It stays locked (fail-secure).
        Secure = "secure",
    }
}

words! {
    /// Who starts the relay guard.
    pub enum GuardMode {
        /// The service manager, as its own unit.
        External = "external",
        /// Nobody: only for a site where no door has an output.
        None = "none",
        /// The gateway.
        Spawn = "spawn",
    }
}

words! {
    /// How doors are announced to Home Assistant.
    pub enum DiscoveryFormat {
        /// One message per device: Home Assistant 2024.11 and newer.
        Device = "device",
        /// One message per entity: any version.
        Entities = "entities",
    }
}

words! {
    /// Whether a door may have a lock that opens late: at a device that hangs and goes on.
    pub enum LateOpening {
        /// Somebody knows that it may, and that nothing takes it back; its own timer still ends it.
        Accepted = "accepted",
        /// No door may have it, unless the device itself looks at the time (`{until}`).
        Refused = "refused",
    }
}

words! {
    /// Whether a strike may hang on a reader, which is on the side where strangers stand.
    pub enum StrikeOutside {
        /// Somebody knows that whoever opens the reader's case opens the door.
        Accepted = "accepted",
        /// No door may have the output.
        Refused = "refused",
    }
}

words! {
    /// Which commands are taken over MQTT.
    pub enum MqttCommands {
        /// Whatever the broker passes on; what is signed has to be signed by one of the keys.
        Broker = "broker",
        /// Those that one of the keys signed.
        Signed = "signed",
    }
}

words! {
    /// What a key of commands may do.
    pub enum KeyScope {
        /// Open doors.
        Open = "open",
        /// End calls and holds, begin and end lockdowns, reset fire alarms and anti-passback, set relays, confirm alarms, press
        /// virtual bells; with `open` also hold doors open and begin ring-to-open.
        Operate = "operate",
    }
}

words! {
    /// Which MQTT is spoken with the broker.
    pub enum MqttVersion {
        /// 5, and 3.1.1 with a broker that does not take it.
        Auto = "auto",
        /// 3.1.1.
        V3 = "3.1.1",
        /// 5.
        V5 = "5",
    }
}

words! {
    /// Language of prompts, notices, the page, and names in Home Assistant.
    pub enum Language {
        /// German.
        De = "de",
        /// English.
        En = "en",
        /// Spanish.
        Es = "es",
        /// French.
        Fr = "fr",
        /// Portuguese.
        Pt = "pt",
        /// Russian: names in Home Assistant; the page is English.
        Ru = "ru",
    }
}

words! {
    /// What locks the door.
    pub enum LockKind {
        /// A lock that changes its state with each pulse. Refused: it does not lock again by itself.
        Bistable = "bistable",
        /// A gate drive with an input that opens.
        GateOpen = "gate-open",
        /// A gate drive with one input that steps open, stop, close. Needs a contact that says whether it is shut.
        GateStep = "gate-step",
        /// A magnet that holds while powered.
        Maglock = "maglock",
        /// A lock with a motor.
        Motor = "motor",
        /// An electric strike.
        Strike = "strike",
    }
}

words! {
    /// Who times and holds the lock.
    pub enum LockOwner {
        /// The gateway: its output feeds the lock.
        Gateway = "gateway",
        /// The panel: the output presses the panel's own opening, and the panel times it.
        Panel = "panel",
    }
}

words! {
    /// What cards and codes do while the journal cannot be written. Egress goes on in any case.
    pub enum OnJournalFault {
        /// Open, and keep the record in memory until the journal is back.
        OpenAndBuffer = "open-and-buffer",
        /// Refuse.
        Refuse = "refuse",
    }
}

words! {
    /// When a line can open its door.
    pub enum OpenWhen {
        /// At any time.
        Always = "always",
        /// While the talk path is ours.
        OffHook = "off-hook",
        /// While the panel rings.
        Ringing = "ringing",
    }
}

words! {
    /// When the output is released after an opening.
    pub enum Relock {
        /// When the door was opened and shut again, at the latest after `strike-ms`.
        OnClose = "on-close",
        /// When the door opens, at the latest after `strike-ms`.
        OnOpen = "on-open",
        /// After `strike-ms`.
        Time = "time",
    }
}

words! {
    /// What a request to exit does.
    pub enum RexKind {
        /// The button is wired to the lock: the gateway only hears of it.
        Parallel = "parallel",
        /// No unlocking: the opening that follows is not an alarm.
        ShuntOnly = "shunt-only",
        /// The gateway unlocks.
        Unlock = "unlock",
    }
}

words! {
    /// How keys are pressed that the gateway sends.
    pub enum DigitMethod {
        /// The first of the others that both sides have: `rfc4733` if agreed on, `info` if allowed, else `inband`.
        Auto = "auto",
        /// As tones in the speech.
        Inband = "inband",
        /// By SIP INFO (`application/dtmf-relay`).
        Info = "info",
        /// As telephone-events (RFC 4733).
        Rfc4733 = "rfc4733",
    }
}

words! {
    /// How the way to a PBX is kept open, and how it is noticed that the PBX is gone.
    pub enum KeepAlive {
        /// By empty lines (RFC 5626); over UDP nobody answers them.
        Crlf = "crlf",
        /// Not at all.
        Off = "off",
        /// By OPTIONS: the PBX itself has to answer, with whatever, within 10 s.
        Options = "options",
    }
}

words! {
    /// Whether calls are made without saying who calls (RFC 3323).
    pub enum Privacy {
        /// Nobody is told: From is anonymous, the PBX alone learns the account (P-Preferred-Identity) and is asked to keep
        /// it to itself.
        Anonymous = "anonymous",
        /// The PBX is asked not to pass it on (`Privacy: id`).
        Id = "id",
        /// Everybody is told.
        Off = "off",
    }
}

words! {
    /// Acknowledged provisional responses (100rel, RFC 3262).
    pub enum ReliableProvisional {
        /// Not offered; calls that require it are refused.
        Off = "off",
        /// Done where the PBX requires it.
        Supported = "supported",
        /// Required of the PBX; calls without it are refused.
        Required = "required",
    }
}

words! {
    /// Which side of ICE the gateway is (RFC 8445).
    pub enum Ice {
        /// Both check where they reach each other, through routers on either side.
        Full = "full",
        /// The other side may check, if it does so: the gateway answers, and sends where the other side chose.
        Lite = "lite",
        /// Nobody checks: the addresses of the session descriptions count.
        Off = "off",
    }
}

words! {
    /// How the keys of encrypted speech are agreed on.
    pub enum SrtpKeys {
        /// By a DTLS handshake where speech goes (RFC 5763), and in no other way.
        Dtls = "dtls",
        /// In SIP messages (SDES, RFC 4568); a handshake is taken from those who offer one.
        Sdes = "sdes",
    }
}

words! {
    /// Encryption of speech (SRTP).
    pub enum Srtp {
        /// None.
        Off = "off",
        /// Offered, plain RTP accepted.
        Optional = "optional",
        /// Calls without it are refused.
        Required = "required",
    }
}

words! {
    /// The order in which targets ring.
    pub enum Strategy {
        /// All at once.
        Parallel = "parallel",
        /// One after the other.
        Sequential = "sequential",
    }
}

words! {
    /// Transport of SIP messages.
    pub enum Transport {
        /// What DNS names (NAPTR, else SRV; RFC 3263); UDP where it names none, and for an address. Whoever can forge its answers
        /// chooses, too: write `tls` where it has to be encrypted.
        Auto = "auto",
        /// TCP.
        Tcp = "tcp",
        /// TLS over TCP.
        Tls = "tls",
        /// UDP.
        Udp = "udp",
    }
}

words! {
    /// A kind of contact key.
    pub enum ContactKey {
        /// Cyfral DC-2000: 16 bits, sent as long as it touches. It has no checksum: two equal frames are a key.
        Cyfral = "cyfral",
        /// Dallas DS1990A: 48 bits and a checksum, when it is asked.
        Ds1990a = "ds1990a",
        /// Metakom K1233: 28 bits with parity, sent as long as it touches.
        Metakom = "metakom",
    }
}

words! {
    /// How the keypad of a reader sends keys.
    pub enum Keypad {
        /// As bursts of 4 or 8 bits, whichever comes.
        Either = "either",
        /// As bursts of 8 bits: the key after its complement.
        Eight = "8-bit",
        /// As bursts of 4 bits.
        Four = "4-bit",
        /// It has none: short frames are noise.
        None = "none",
    }
}
