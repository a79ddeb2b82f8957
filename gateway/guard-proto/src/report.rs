//! Guard → gateway.

use gateway_core::{InputId, Instant, OutputId};

use crate::request::Latch;
use crate::wire::{LeaseId, ProtoError, Reader, Wiring, Writer};

const WELCOME: u8 = 0x81;
const ENERGISED: u8 = 0x82;
const RELEASED: u8 = 0x83;
const REFUSED: u8 = 0x84;
const DEVICE_FAULT: u8 = 0x85;
const DEVICE_READY: u8 = 0x86;
const INPUT_EDGE: u8 = 0x87;
const PONG: u8 = 0x88;
const ALARM: u8 = 0x89;
const USABLE: u8 = 0x8a;

/// A device of the guard that cannot do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFault {
    /// Path or name.
    pub device: String,
    /// What was found and what to do; at most [`MAX_TEXT`](crate::MAX_TEXT) bytes.
    pub text: String,
}

/// An output as it stands when a gateway connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputState {
    /// The lease that holds it.
    pub lease: Option<LeaseId>,
    /// Which.
    pub output: OutputId,
    /// False if its device failed.
    pub usable: bool,
    /// The wire that its name means to the guard.
    pub wiring: Wiring,
}

macro_rules! whys {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

whys! {
    /// Why an output rests again.
    ReleaseWhy {
        /// The gateway asked.
        Asked = 1 "asked",
        /// The guard's own cap.
        Cap = 2 "the guard's own cap is reached",
        /// Its device failed; the board is written to rest as soon as it answers.
        DeviceFault = 3 "the device failed",
        /// The gateway did not renew: it is dead or stands still.
        LeaseLapsed = 4 "the lease was not renewed",
        /// The pulse is over.
        PulseEnd = 5 "the pulse is over",
        /// The guard stops.
        Stopping = 6 "the guard stops",
        /// A later grant took the output over; it stays energised for that one.
        Superseded = 7 "a later grant took over",
    }
}

whys! {
    /// Why an output was not energised.
    RefuseWhy {
        /// The output has not come to rest from the last pulse.
        Busy = 1 "the output is not at rest yet",
        /// Its device failed.
        DeviceFault = 2 "the device failed",
        /// Its deadline, or its whole pulse, had passed.
        Late = 3 "too late",
        /// Fire release is reserved.
        NoFireLatch = 4 "this guard has no fire release",
        /// The gateway has not said hello on this connection.
        NoHello = 10 "the gateway has not said hello",
        /// Hold-open is reserved.
        NoHoldOpenLatch = 5 "this guard has no hold-open",
        /// No such output in the guard's own configuration.
        NoOutput = 6 "no such output in the guard's configuration",
        /// Made under an older configuration.
        OldGeneration = 7 "made under an older configuration",
        /// The name means another wire to the gateway.
        OtherWiring = 11 "it reads another site file, in which this output is another wire: start the guard anew",
        /// The guard stops.
        Stopping = 8 "the guard stops",
        /// Its device failed after it was told: it may have been energised for a moment.
        Unanswered = 12 "the device failed as it was told: it may have been on for a moment",
        /// The grant was used before.
        Used = 9 "the grant was used before",
    }
}

impl From<Latch> for RefuseWhy {
    fn from(latch: Latch) -> Self {
        match latch {
            Latch::Fire => Self::NoFireLatch,
            Latch::HoldOpen => Self::NoHoldOpenLatch,
        }
    }
}

/// A message of the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// An output was found energised without a lease and was written to rest.
    Alarm {
        /// When.
        at: Instant,
        /// Which.
        output: OutputId,
    },
    /// A device fails.
    DeviceFault(DeviceFault),
    /// A device works (again); every output of it rests.
    DeviceReady {
        /// Path or name.
        device: String,
    },
    /// An output is energised.
    Energised {
        /// When.
        at: Instant,
        /// By what.
        lease: LeaseId,
        /// Which.
        output: OutputId,
        /// It rests at this time at the latest.
        until: Instant,
    },
    /// An input on a board that the guard holds.
    InputEdge {
        /// Level, after inversion.
        active: bool,
        /// When, by the kernel.
        at: Instant,
        /// First reading: state, not an edge.
        initial: bool,
        /// Which.
        input: InputId,
    },
    /// Answer to a ping.
    Pong(u64),
    /// Not energised.
    Refused {
        /// What.
        lease: LeaseId,
        /// Which output was asked for.
        output: OutputId,
        /// Why.
        why: RefuseWhy,
    },
    /// A lease is over.
    Released {
        /// When.
        at: Instant,
        /// Which lease.
        lease: LeaseId,
        /// Of which output.
        output: OutputId,
        /// Why.
        why: ReleaseWhy,
    },
    /// The device of an output failed, or it works again and the output rests; also told of one that was found on unasked and
    /// has rested for a while since.
    Usable {
        /// Which.
        output: OutputId,
        /// False: nothing can be energised there.
        usable: bool,
    },
    /// First message of a connection.
    Welcome {
        /// Faults that stand.
        faults: Vec<DeviceFault>,
        /// What the guard holds.
        outputs: Vec<OutputState>,
        /// Protocol version.
        version: u16,
    },
}

impl Report {
    /// The frame, with its length in front. Texts and lists beyond the limits are cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Alarm { at, output } => Writer::new(ALARM).text(output.as_str()).time(*at),
            Self::DeviceFault(fault) => Writer::new(DEVICE_FAULT).text(&fault.device).text(&fault.text),
            Self::DeviceReady { device } => Writer::new(DEVICE_READY).text(device),
            Self::Energised {
                at,
                lease,
                output,
                until,
            } => Writer::new(ENERGISED)
                .u64(lease.0)
                .text(output.as_str())
                .time(*at)
                .time(*until),
            Self::InputEdge {
                active,
                at,
                initial,
                input,
            } => Writer::new(INPUT_EDGE)
                .text(input.as_str())
                .u8(u8::from(*active))
                .u8(u8::from(*initial))
                .time(*at),
            Self::Pong(n) => Writer::new(PONG).u64(*n),
            Self::Refused { lease, output, why } => Writer::new(REFUSED)
                .u64(lease.0)
                .text(output.as_str())
                .u8(why.code()),
            Self::Released {
                at,
                lease,
                output,
                why,
            } => Writer::new(RELEASED)
                .u64(lease.0)
                .text(output.as_str())
                .time(*at)
                .u8(why.code()),
            Self::Usable { output, usable } => {
                Writer::new(USABLE).text(output.as_str()).u8(u8::from(*usable))
            }
            Self::Welcome {
                faults,
                outputs,
                version,
            } => Writer::new(WELCOME)
                .u16(*version)
                .list(outputs, |w, o| {
                    let w = w.text(o.output.as_str()).u8(u8::from(o.usable)).u64(o.wiring.0);
                    match o.lease {
                        None => w.u8(0),
                        Some(lease) => w.u8(1).u64(lease.0),
                    }
                })
                // Faults are few and long: a quarter of the list keeps the frame below its limit.
                .list(&faults[..faults.len().min(crate::MAX_LIST / 4)], |w, f| {
                    w.text(&f.device).text(&f.text)
                }),
        }
        .finish()
    }

    /// Reads a frame without its length.
    ///
    /// # Errors
    /// [`ProtoError`] for anything that [`encode`](Self::encode) would not write.
    pub fn decode(frame: &[u8]) -> Result<Self, ProtoError> {
        let mut r = Reader::new(frame)?;
        let message = match r.kind() {
            ALARM => Self::Alarm {
                output: r.name("output")?,
                at: r.time()?,
            },
            DEVICE_FAULT => Self::DeviceFault(fault(&mut r)?),
            DEVICE_READY => Self::DeviceReady {
                device: r.text("device")?.to_owned(),
            },
            ENERGISED => Self::Energised {
                lease: r.lease()?,
                output: r.name("output")?,
                at: r.time()?,
                until: r.time()?,
            },
            INPUT_EDGE => Self::InputEdge {
                input: r.name("input")?,
                active: r.flag("active")?,
                initial: r.flag("initial")?,
                at: r.time()?,
            },
            PONG => Self::Pong(r.u64()?),
            REFUSED => Self::Refused {
                lease: r.lease()?,
                output: r.name("output")?,
                why: {
                    let code = r.u8()?;
                    RefuseWhy::from_code(code).ok_or_else(|| r.wrong("why"))?
                },
            },
            RELEASED => Self::Released {
                lease: r.lease()?,
                output: r.name("output")?,
                at: r.time()?,
                why: {
                    let code = r.u8()?;
                    ReleaseWhy::from_code(code).ok_or_else(|| r.wrong("why"))?
                },
            },
            USABLE => Self::Usable {
                output: r.name("output")?,
                usable: r.flag("usable")?,
            },
            WELCOME => Self::Welcome {
                version: r.u16()?,
                outputs: r.list("outputs", output_state)?,
                faults: r.list("faults", fault)?,
            },
            _ => return Err(r.unknown()),
        };
        r.end(message)
    }
}

fn fault(r: &mut Reader<'_>) -> Result<DeviceFault, ProtoError> {
    Ok(DeviceFault {
        device: r.text("device")?.to_owned(),
        text: r.text("text")?.to_owned(),
    })
}

fn output_state(r: &mut Reader<'_>) -> Result<OutputState, ProtoError> {
    Ok(OutputState {
        output: r.name("output")?,
        usable: r.flag("usable")?,
        wiring: Wiring(r.u64()?),
        lease: if r.flag("lease")? { Some(r.lease()?) } else { None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FrameReader;
    use proptest::prelude::*;

    fn received(report: &Report) -> Report {
        let mut reader = FrameReader::default();
        reader.push(&report.encode());
        let frame = reader.next().expect("framed").expect("whole");
        Report::decode(&frame).expect("what we write we read")
    }

    #[test]
    fn the_largest_welcome_fits_one_frame() {
        let fault = DeviceFault {
            device: "d".repeat(300),
            text: "t".repeat(300),
        };
        let state = OutputState {
            lease: Some(LeaseId(u64::MAX)),
            output: "x".repeat(40).parse().expect("a name"),
            usable: true,
            wiring: Wiring(u64::MAX),
        };
        let welcome = Report::Welcome {
            faults: vec![fault; 80],
            outputs: vec![state; 80],
            version: 1,
        };
        let Report::Welcome { faults, outputs, .. } = received(&welcome) else {
            panic!("another message came back");
        };
        assert_eq!((faults.len(), outputs.len()), (16, 64));
        assert_eq!(faults[0].text.len(), crate::MAX_TEXT);
    }

    #[test]
    fn every_reason_comes_back() {
        let output: OutputId = "strike".parse().expect("a name");
        for &why in ReleaseWhy::ALL {
            let report = Report::Released {
                at: Instant::ZERO,
                lease: LeaseId(1),
                output: output.clone(),
                why,
            };
            assert_eq!(received(&report), report);
        }
        for &why in RefuseWhy::ALL {
            let report = Report::Refused {
                lease: LeaseId(1),
                output: output.clone(),
                why,
            };
            assert_eq!(received(&report), report);
        }
    }

    proptest! {
        #[test]
        fn reports_come_back_as_sent(
            lease: u64, at: u64, until: u64, active: bool, initial: bool,
            name in "[a-z0-9_-]{1,40}", text in "\\PC{0,40}",
        ) {
            let (at, until) = (Instant::from_nanos(at), Instant::from_nanos(until));
            let output: OutputId = name.parse().expect("a name");
            let fault = DeviceFault { device: name.clone(), text };
            for report in [
                Report::Alarm { at, output: output.clone() },
                Report::DeviceFault(fault.clone()),
                Report::DeviceReady { device: name.clone() },
                Report::Energised { at, lease: LeaseId(lease), output: output.clone(), until },
                Report::InputEdge { active, at, initial, input: name.parse().expect("a name") },
                Report::Pong(lease),
                Report::Usable { output: output.clone(), usable: active },
                Report::Welcome {
                    faults: vec![fault],
                    outputs: vec![OutputState {
                        lease: active.then_some(LeaseId(lease)), output, usable: initial, wiring: Wiring(at.as_nanos()),
                    }],
                    version: 1,
                },
            ] {
                prop_assert_eq!(received(&report), report);
            }
        }

        #[test]
        fn any_bytes_are_a_report_or_an_error(
            kind in prop_oneof![0x80u8..0x8c, any::<u8>()],
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            crate::fuzz::report(&body);
            crate::fuzz::report(&[&[kind][..], &body].concat());
        }
    }
}
