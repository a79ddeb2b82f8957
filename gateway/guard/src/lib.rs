//! The relay guard: the separate process that holds the outputs, and the gateway's side of it.
//!
//! Three processes stand between a decision and a coil. The *gateway* asks, with a Grant. The *guard*
//! ([`guard_main`]) holds the devices, keeps every lease short and brings outputs to rest when nobody renews.
//! The *sentinel* ([`sentinel_main`]), a child of the guard, gets a heartbeat that says when the next output
//! must be at rest; if it is not, or the heart stops, it kills the guard (the kernel then gives the lines back)
//! and writes the boards to rest itself. Killing or freezing any of the three leaves nothing energised.
//!
//! Who drives it: the binary's `relay-guard` runs the first two functions, its `run` holds a [`GuardClient`]
//! and, unless systemd starts the guard, a [`GuardProcess`].

mod client;
mod clock;
mod footprint;
mod limit;
mod notify;
mod params;
mod process;
mod sentinel;
mod spawn;

pub use client::{ClientParams, GuardClient, GuardReport, Liveness, OperateError, Silence};
pub use clock::{BootClock, boottime};
pub use footprint::settle;
pub use notify::Systemd;
pub use params::{GuardBoard, GuardOutput, GuardParams, GuardRelay, SentinelParams};
pub use process::{GuardError, Rested, acceptable, guard_main, rest_main, run_guard};
pub use sentinel::{SentinelError, sentinel_main};
pub use spawn::{GuardProcess, SpawnParams, spawn_guard};
