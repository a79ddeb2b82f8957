//! A running gateway: everything that `run` and `demo` start, wired together.

mod adapters;
mod backlog;
mod bearing;
mod brain;
pub(crate) mod by_hand;
mod clicks;
mod codes;
mod contacts;
mod controllers;
#[cfg(test)]
mod crowd;
pub(crate) mod daemon;
mod disk;
mod doubt;
mod faults;
mod guard_link;
pub(crate) mod held;
mod home;
mod hooks;
mod instance;
mod keeper;
mod lane;
mod learning;
mod legs;
mod lines;
pub(crate) mod log;
mod measures;
mod network;
mod note;
pub(crate) mod osdp;
mod outside;
mod page;
pub(crate) mod params;
pub(crate) mod people;
mod plan;
mod port;
pub(crate) mod prompts;
pub(crate) mod proven;
pub(crate) mod readers;
mod recordings;
mod restore;
mod room;
mod serve;
pub(crate) mod sim;
mod site_file;
mod sound;
pub(crate) mod spoken;
mod start;
mod support;
mod take;
mod unkept;
pub(crate) mod wall;
pub(crate) mod whom;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapter_virtual::Levels;
use anyhow::Context;
use gateway_bus::Bus;
use gateway_config::{Config, Generations, Late};
use gateway_core::{Clock, DoorId, Fault, LineId, RingId, Timestamp};
use gateway_guard::{GuardProcess, Silence};
use gateway_sip_io::SipHandle;
use gateway_site::{HeldInput, PinKey};
use gateway_store::{Filter, Query, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::SystemClock;
use crate::commands;
use crate::run::adapters::Adapters;
use crate::run::brain::Order;
use crate::run::faults::Faults;
use crate::run::instance::Instance;
use crate::run::lane::Lane;
use crate::run::learning::Learning;
use crate::run::outside::Outside;
use crate::run::port::SwitchPort;
use crate::run::unkept::Unkept;
use crate::run::wall::{Service, Trust};

pub(crate) use controllers::{CONTROLLER_KEYS, controller_of};
pub(crate) use doubt::mark as doubt_mark;
pub(crate) use home::{IN_FORCE, InUse};
pub(crate) use measures::kilobytes;
pub(crate) use note::{journal, mark};
pub(crate) use params::{
    USERS_MARK, VIRTUAL_DEBOUNCE, guard as guard_params, network_name, page_urls, port_settings,
};
pub(crate) use restore::{FIRE, LOCKDOWNS, ON};
pub(crate) use start::store_options;
pub(crate) use take::Taken;

/// The program that runs, also after an upgrade has put another one in its place: gateway, guard and sentinel are
/// of one version and speak the same protocol.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// The edge file of the virtual relays.
pub(crate) fn relay_file(run_dir: &Path) -> PathBuf {
    run_dir.join("virtual-relays.jsonl")
}

/// The runtime of the gateway: two workers serve a riser, and cost less memory than one a core.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

/// A running gateway.
pub(crate) struct Gateway {
    /// Secret files that could not be read at the start.
    absent: Vec<Late>,
    adapters: Adapters,
    brain: JoinHandle<()>,
    bus: Bus,
    config: Config,
    /// Core, adapters and guard client run here.
    doors: Lane,
    disk: JoinHandle<()>,
    faults: Faults,
    file: PathBuf,
    generation: u64,
    generations: Generations,
    guard: Option<GuardProcess>,
    /// What inputs ask for that were held at the start, until somebody looks after it.
    held: Option<mpsc::Receiver<HeldInput>>,
    /// The file that the relay guard reads: a copy of what is in force.
    in_force: PathBuf,
    learning: Learning,
    instance: Instance,
    /// Of codes and PINs.
    key: PinKey,
    orders: mpsc::Sender<Order>,
    outside: Outside,
    port: SwitchPort,
    /// What is in force waits to be written down.
    unkept: Option<Unkept>,
    /// For the journal, in MiB.
    room: watch::Sender<room::Limits>,
    /// Tells the starter of the guard that it does not answer any more.
    silence: Silence,
    sip: SipHandle,
    /// The site in force, for the watch over the network.
    site: watch::Sender<Arc<Config>>,
    /// The SIP engine and its media run here.
    _sip_lane: Lane,
    store: Store,
    /// What the site file asks of a time service.
    time_service: Service,
    /// Writes down which passwords PBXs refuse.
    tries: JoinHandle<()>,
    /// Can the clock be believed?
    trust: Trust,
    /// Held while we live: the sockets in the run folder are ours.
    _run_lock: std::fs::File,
    /// The text of the site file that the core runs with.
    text: String,
}

impl Gateway {
    /// Returns if the core ends by itself, which it must not: without it nobody gets out by an exit button, so
    /// the process has to end and be started anew.
    pub(crate) async fn core_ended(&mut self) {
        let _ = (&mut self.brain).await;
    }

    /// The date, if the clock can be believed.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        (*self.trust.borrow() == Some(true)).then(|| SystemClock.wall())
    }

    /// The text in force.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The journal.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Which gateway this is.
    pub(crate) const fn instance(&self) -> Instance {
        self.instance
    }

    /// True if the relay guard is started by this gateway.
    pub(crate) const fn owns_guard(&self) -> bool {
        self.guard.is_some()
    }

    /// Notes a fault of a part, or that it is gone.
    pub(crate) fn note_fault(&self, part: &str, text: Option<String>) {
        self.faults.set(part, text);
    }

    /// The configuration in force.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// MQTT, HTTP and the demo's broker.
    pub(crate) const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// When the page has to be tried again; `None` if nothing is wrong with it.
    pub(crate) const fn page_due(&self) -> Option<tokio::time::Instant> {
        self.outside.page_due()
    }

    /// Tries once more what is wrong with the page. True if it came up.
    pub(crate) async fn page_again(&mut self) -> bool {
        let before = self.outside.url();
        self.outside.apply_page(&self.config).await;
        before.is_none() && self.outside.url().is_some()
    }

    /// Levels of a virtual line.
    pub(crate) fn levels(&self, line: &LineId) -> Option<Arc<Levels>> {
        self.adapters.virtual_site().read().ok()?.levels(line)
    }

    /// How many durable records one ring has.
    pub(crate) fn story(&self, ring: &str) -> anyhow::Result<usize> {
        let ring = RingId::parse(ring).context("not a ring id")?;
        let filter = Filter {
            ring: Some(ring),
            ..Filter::default()
        };
        Ok(self
            .store
            .find(&Query {
                filter,
                max: 1000,
                ..Query::default()
            })?
            .len())
    }

    /// Checks the journal on the disk, as `doorline journal verify` does, and says the result in words.
    pub(crate) fn verify(&self) -> anyhow::Result<String> {
        let report = gateway_store::verify(&self.config.site.state_dir)?;
        anyhow::ensure!(
            report.ok(),
            "the journal does not verify:\n{}",
            commands::verified(&report)
        );
        Ok(format!("{} records verified", report.events.records))
    }

    /// Waits until the guard can be used and the doors that we open can be opened, at most 5 s.
    ///
    /// # Errors
    /// The faults that stand after that time.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        if tokio::time::timeout(Duration::from_secs(5), self.all_doors())
            .await
            .is_err()
        {
            let faults: Vec<String> = self
                .bus
                .view()
                .borrow()
                .faults
                .iter()
                .map(|f| format!("{}: {}", f.part, f.text))
                .collect();
            anyhow::bail!("not every door can be opened after 5 s; {}", faults.join("; "));
        }
        Ok(())
    }

    /// Ends when each door that has an output can be opened.
    pub(crate) fn all_doors(&self) -> impl Future<Output = ()> + 'static {
        let mut view = self.bus.view();
        let opens = self.config.doors.iter().filter(|(_, door)| door.output.is_some());
        let opens: BTreeSet<DoorId> = opens.map(|(id, _)| id.clone()).collect();
        async move {
            // the picture from before the core's first turn has no doors, and says nothing
            let usable = view.wait_for(|view| {
                let mut doors = view.doors.iter().filter(|door| opens.contains(&door.id));
                !view.instance.is_empty() && doors.all(|door| door.works)
            });
            let _ = usable.await;
        }
    }

    /// Is nobody let in at some door, whatever works there?
    pub(crate) fn is_locked_down(&self) -> bool {
        self.bus.view().borrow().doors.iter().any(|door| door.lockdown)
    }

    /// Faults of the process, for messages.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.faults.list()
    }

    /// Ends in good order: calls, registrations, outputs, then the journal.
    pub(crate) async fn stop(self) {
        self.disk.abort();
        let _ = self.orders.send(Order::Stop).await;
        let _ = tokio::time::timeout(Duration::from_secs(5), self.brain).await;
        self.sip.shutdown().await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tries).await;
        self.outside.stop().await;
        if let Some(guard) = self.guard {
            guard.stop().await;
        }
        self.adapters.stop().await;
        // last: what the others still have to say needs the network
        self.port.stop().await;
        self.store.close();
    }
}
