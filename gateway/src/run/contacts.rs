//! Whom call lists can name: follows directory and contacts, and tells the core.

use std::sync::Arc;

use gateway_bus::Bus;
use gateway_config::Config;
use gateway_contacts::Directory;
use gateway_core::{Clock, DirectoryView};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::run::brain::Order;
use crate::run::faults::Faults;
use crate::run::params;

/// Directory and contacts of a running gateway.
pub(crate) struct Contacts {
    directory: Option<Arc<Directory>>,
    /// Follows what changes; it ends with the file it was started for.
    task: Option<JoinHandle<()>>,
}

impl Contacts {
    pub(crate) const fn new() -> Self {
        Self {
            directory: None,
            task: None,
        }
    }

    /// Takes a site file: a directory that did not change goes on.
    pub(crate) async fn apply(
        &mut self,
        config: &Config,
        (bus, faults): (&Bus, &Faults),
        clock: &Arc<dyn Clock>,
        orders: &mpsc::Sender<Order>,
    ) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        for part in ["directory", "contacts"] {
            faults.set(part, None);
        }
        let wanted = params::directory(config);
        let same = self.directory.as_ref().map(|d| d.params()) == wanted.as_ref();
        if !same {
            self.directory = wanted.map(|p| Arc::new(Directory::start(p, Arc::clone(clock))));
        }
        let follow = Follow {
            bus: bus.clone(),
            config: config.clone(),
            directory: self.directory.clone(),
            faults: faults.clone(),
            orders: orders.clone(),
        };
        self.task = Some(tokio::spawn(follow.run()));
    }

    pub(crate) fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

struct Follow {
    bus: Bus,
    config: Config,
    directory: Option<Arc<Directory>>,
    faults: Faults,
    orders: mpsc::Sender<Order>,
}

impl Follow {
    async fn run(self) {
        // without a directory these stay as they are
        let (_no_view, _no_fault);
        let (mut view, mut fault) = match &self.directory {
            Some(directory) => (directory.view(), directory.fault()),
            None => {
                let (view, fault) = (
                    watch::channel(Arc::<DirectoryView>::default()),
                    watch::channel(None),
                );
                (_no_view, _no_fault) = (view.0, fault.0);
                (view.1, fault.1)
            }
        };
        let mut made = self.bus.contacts();
        let mut site = self.bus.view();
        let mut calls = 0;
        view.mark_changed();
        fault.mark_changed();
        loop {
            tokio::select! {
                changed = view.changed() => {
                    if changed.is_err() { return }
                    let directory = view.borrow_and_update().clone();
                    self.bus.show_directory(Arc::clone(&directory));
                    if !self.tell(&directory).await { return }
                }
                changed = made.changed() => {
                    if changed.is_err() { return }
                    made.mark_unchanged();
                    let directory = view.borrow().clone();
                    if !self.tell(&directory).await { return }
                }
                changed = fault.changed() => {
                    if changed.is_err() { return }
                    let text = fault.borrow_and_update().clone();
                    self.faults.set("directory", text);
                }
                changed = site.changed() => {
                    if changed.is_err() { return }
                    let now = site.borrow_and_update().calls.len();
                    if now < calls && let Some(directory) = &self.directory {
                        directory.call_ended();
                    }
                    calls = now;
                }
            }
        }
    }

    /// False if the core has ended.
    async fn tell(&self, directory: &DirectoryView) -> bool {
        let rows = self.bus.store().records().list("contact");
        let made = rows.into_iter().filter_map(|(name, entry)| {
            let number = entry.value.get("number")?.as_str()?.to_owned();
            let address = entry.value.get("address").and_then(|a| a.as_str());
            // an address that cannot be read would make a number of the PBX out of a phone elsewhere
            let address = match address {
                Some(text) => Some(text.parse().ok()?),
                None => None,
            };
            Some((name, number, address))
        });
        let contacts = params::contacts(&self.config, directory, made.collect());
        self.faults
            .set("contacts", params::unknown_targets(&self.config, &contacts));
        self.orders
            .send(Order::Contacts(Arc::new(contacts)))
            .await
            .is_ok()
    }
}
