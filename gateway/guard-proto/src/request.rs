//! Gateway → guard.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::Grant;
use gateway_core::{Instant, OutputId};

use crate::wire::{LeaseId, ProtoError, Reader, Wirings, Writer};

const HELLO: u8 = 0x01;
const OPERATE: u8 = 0x02;
const RENEW: u8 = 0x03;
const RELEASE: u8 = 0x04;
const GENERATION: u8 = 0x05;
const PING: u8 = 0x06;
const RELAYS: u8 = 0x07;
const LATCH_HOLD_OPEN: u8 = 0x10;
const LATCH_FIRE: u8 = 0x11;

/// The only message that energises. Made of a [`Grant`], which it uses up; not `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Operate {
    order: Order,
}

impl Operate {
    /// Uses the grant up for one pulse that ends `pulse` after `now`, however late it begins.
    #[must_use]
    pub fn new(grant: Grant, pulse: Duration, now: Instant) -> Self {
        let parts = grant.spend();
        Self {
            order: Order {
                deadline: parts.deadline,
                end: now + pulse,
                generation: parts.generation,
                lease: LeaseId(parts.id),
                output: parts.output,
            },
        }
    }

    /// What it says.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    #[cfg(test)]
    pub(crate) const fn forged_for_test(order: Order) -> Self {
        Self { order }
    }
}

/// What an [`Operate`] says, as the guard reads it. It cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Energise before this time or not at all.
    pub deadline: Instant,
    /// The pulse is over at this time at the latest.
    pub end: Instant,
    /// Configuration generation that allowed it.
    pub generation: u64,
    /// Number of the Grant; used once.
    pub lease: LeaseId,
    /// Which output.
    pub output: OutputId,
}

/// A release that outlives the gateway. Reserved: this version refuses both by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latch {
    /// Fire release: no lease.
    Fire,
    /// Held open by a decision.
    HoldOpen,
}

impl std::fmt::Display for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fire => "fire release",
            Self::HoldOpen => "hold-open",
        })
    }
}

/// A message to send to the guard.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// A configuration is in force; grants of older ones are refused from here on.
    Generation {
        /// Its number.
        generation: u64,
        /// The wires its outputs mean.
        wirings: Wirings,
    },
    /// First message of a connection.
    Hello {
        /// Generation in force.
        generation: u64,
        /// Names this run of the gateway: lease numbers are unique within it.
        instance: String,
        /// The wires that the gateway's outputs mean; the guard energises none that it knows as another.
        wirings: Wirings,
    },
    /// Energise an output for one pulse.
    Operate(Operate),
    /// Asks for a [`Report::Pong`](crate::Report::Pong).
    Ping(u64),
    /// Which relays that only tell something are active. It reaches none that opens.
    Relays(BTreeMap<OutputId, bool>),
    /// End a pulse early.
    Release(OutputId),
    /// The gateway is alive and wants these leases to go on.
    Renew(Vec<LeaseId>),
}

impl Request {
    /// The frame, with its length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Generation { generation, wirings } => {
                Writer::new(GENERATION).u64(*generation).wirings(wirings)
            }
            Self::Hello {
                generation,
                instance,
                wirings,
            } => Writer::new(HELLO)
                .u16(crate::VERSION)
                .text(instance)
                .u64(*generation)
                .wirings(wirings),
            Self::Operate(operate) => {
                let o = &operate.order;
                Writer::new(OPERATE)
                    .u64(o.lease.0)
                    .text(o.output.as_str())
                    .time(o.deadline)
                    .time(o.end)
                    .u64(o.generation)
            }
            Self::Ping(n) => Writer::new(PING).u64(*n),
            Self::Relays(told) => {
                let told: Vec<_> = told.iter().collect();
                Writer::new(RELAYS).list(&told, |w, (output, active)| {
                    w.text(output.as_str()).u8(u8::from(**active))
                })
            }
            Self::Release(output) => Writer::new(RELEASE).text(output.as_str()),
            Self::Renew(leases) => Writer::new(RENEW).list(leases, |w, lease| w.u64(lease.0)),
        }
        .finish()
    }
}

/// A message as the guard reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// See [`Request::Generation`].
    Generation {
        /// Its number.
        generation: u64,
        /// The wires its outputs mean; at most [`MAX_LIST`](crate::MAX_LIST).
        wirings: Wirings,
    },
    /// See [`Request::Hello`].
    Hello {
        /// Generation in force.
        generation: u64,
        /// This run of the gateway, 1 to 160 bytes.
        instance: String,
        /// Protocol version.
        version: u16,
        /// The wires its outputs mean; empty from another version, whose body is not read.
        wirings: Wirings,
    },
    /// Reserved: a latch is asked for.
    Latch {
        /// Which kind.
        latch: Latch,
        /// Number of the Grant.
        lease: LeaseId,
        /// Which output.
        output: OutputId,
    },
    /// See [`Request::Operate`].
    Operate(Order),
    /// See [`Request::Ping`].
    Ping(u64),
    /// See [`Request::Relays`]; at most [`MAX_LIST`](crate::MAX_LIST).
    Relays(BTreeMap<OutputId, bool>),
    /// See [`Request::Release`].
    Release(OutputId),
    /// See [`Request::Renew`]; at most [`MAX_LIST`](crate::MAX_LIST).
    Renew(Vec<LeaseId>),
}

impl Incoming {
    /// Reads a frame without its length.
    ///
    /// # Errors
    /// [`ProtoError`] for anything that [`Request::encode`] would not write.
    pub fn decode(frame: &[u8]) -> Result<Self, ProtoError> {
        let mut r = Reader::new(frame)?;
        let message = match r.kind() {
            HELLO => {
                let version = r.u16()?;
                let instance = r.text("instance")?.to_owned();
                if instance.is_empty() {
                    return Err(r.wrong("instance"));
                }
                let generation = r.u64()?;
                if version != crate::VERSION {
                    // its body may have another shape: it is answered by closing, whatever stands there
                    return Ok(Self::Hello {
                        generation,
                        instance,
                        version,
                        wirings: Wirings::new(),
                    });
                }
                Self::Hello {
                    generation,
                    instance,
                    version,
                    wirings: r.wirings()?,
                }
            }
            OPERATE => Self::Operate(Order {
                lease: r.lease()?,
                output: r.name("output")?,
                deadline: r.time()?,
                end: r.time()?,
                generation: r.u64()?,
            }),
            RENEW => Self::Renew(r.list("leases", Reader::lease)?),
            RELAYS => {
                let told = r.list("relays", |r| Ok((r.name("output")?, r.flag("active")?)))?;
                Self::Relays(told.into_iter().collect())
            }
            RELEASE => Self::Release(r.name("output")?),
            GENERATION => Self::Generation {
                generation: r.u64()?,
                wirings: r.wirings()?,
            },
            PING => Self::Ping(r.u64()?),
            kind @ (LATCH_HOLD_OPEN | LATCH_FIRE) => Self::Latch {
                latch: if kind == LATCH_FIRE {
                    Latch::Fire
                } else {
                    Latch::HoldOpen
                },
                lease: r.lease()?,
                output: r.name("output")?,
            },
            _ => return Err(r.unknown()),
        };
        r.end(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FrameReader, Wiring};
    use proptest::prelude::*;

    fn order(lease: u64, output: &str, times: (u64, u64), generation: u64) -> Order {
        Order {
            deadline: Instant::from_nanos(times.0),
            end: Instant::from_nanos(times.1),
            generation,
            lease: LeaseId(lease),
            output: output.parse().expect("a name"),
        }
    }

    fn received(request: &Request) -> Incoming {
        let mut reader = FrameReader::default();
        reader.push(&request.encode());
        let frame = reader.next().expect("framed").expect("whole");
        Incoming::decode(&frame).expect("what we write we read")
    }

    #[test]
    fn the_operate_frame_is_as_documented() {
        let operate = Operate::forged_for_test(order(7, "strike", (1, 2), 3));
        #[rustfmt::skip]
        let wire = [
            0, 40, 0x02, 0, 0, 0, 0, 0, 0, 0, 7, 6, b's', b't', b'r', b'i', b'k', b'e',
            0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
        ];
        assert_eq!(Request::Operate(operate).encode(), wire);
    }

    #[test]
    fn a_message_with_too_little_or_too_much_is_refused() {
        let whole = Request::Release("strike".parse().expect("a name")).encode();
        let frame = &whole[2..];
        assert!(Incoming::decode(frame).is_ok());
        for cut in 0..frame.len() {
            assert!(Incoming::decode(&frame[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [frame, &[0]].concat();
        assert_eq!(
            Incoming::decode(&longer),
            Err(ProtoError::Length { kind: 4, offset: 8 })
        );
    }

    #[test]
    fn a_bad_name_and_a_long_list_are_refused() {
        assert_eq!(
            Incoming::decode(&[RELEASE, 3, b'A', b'/', b'b']),
            Err(ProtoError::Value {
                field: "output",
                kind: 4,
                offset: 5
            })
        );
        let list = [&[RENEW, 65][..], &[0; 65 * 8]].concat();
        assert_eq!(
            Incoming::decode(&list),
            Err(ProtoError::Value {
                field: "leases",
                kind: 3,
                offset: 2
            })
        );
        assert_eq!(Incoming::decode(&[0x77]), Err(ProtoError::Kind { kind: 0x77 }));
    }

    proptest! {
        #[test]
        fn requests_come_back_as_sent(
            lease: u64, times: (u64, u64), generation: u64, n: u64,
            output in "[a-z0-9_-]{1,40}", instance in "[ -~]{1,100}",
            leases in proptest::collection::vec(any::<u64>(), 0..64),
            wires in proptest::collection::btree_map("[a-z0-9_-]{1,40}", any::<u64>(), 0..64),
            told in proptest::collection::btree_map("[a-z0-9_-]{1,40}", any::<bool>(), 0..64),
        ) {
            let wirings: Wirings = wires.into_iter()
                .map(|(name, wire)| (name.parse().expect("a name"), Wiring(wire)))
                .collect();
            let o = order(lease, &output, times, generation);
            let output: OutputId = output.parse().expect("a name");
            let leases: Vec<_> = leases.into_iter().map(LeaseId).collect();
            let operate = Request::Operate(Operate::forged_for_test(o.clone()));
            prop_assert_eq!(received(&operate), Incoming::Operate(o));
            prop_assert_eq!(received(&Request::Ping(n)), Incoming::Ping(n));
            let news = Request::Generation { generation, wirings: wirings.clone() };
            prop_assert_eq!(received(&news), Incoming::Generation { generation, wirings: wirings.clone() });
            let told: BTreeMap<OutputId, bool> =
                told.into_iter().map(|(name, active)| (name.parse().expect("a name"), active)).collect();
            prop_assert_eq!(received(&Request::Relays(told.clone())), Incoming::Relays(told));
            prop_assert_eq!(received(&Request::Release(output.clone())), Incoming::Release(output));
            prop_assert_eq!(received(&Request::Renew(leases.clone())), Incoming::Renew(leases));
            let hello = Request::Hello { generation, instance: instance.clone(), wirings: wirings.clone() };
            let version = crate::VERSION;
            prop_assert_eq!(received(&hello), Incoming::Hello { generation, instance, version, wirings });
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(
            kind in prop_oneof![0u8..0x14, any::<u8>()],
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            crate::fuzz::request(&body);
            crate::fuzz::request(&[&[kind][..], &body].concat());
        }
    }
}
