//! The outside interfaces of a running gateway: MQTT, HTTP, and the demo's broker.

use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_config::{BrokerUrl, Config};
use gateway_core::Clock;
use gateway_http::{Hooks, LiveName};
use gateway_mqtt::{EmbeddedBroker, MqttHandle, MqttStatus};
use gateway_network::mdns::{self, Known, MdnsHandle};
use gateway_notify::NotifyHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::run::brain::Order;
use crate::run::contacts::Contacts;
use crate::run::faults::Faults;
use crate::run::hooks;
use crate::run::instance::Instance;
use crate::run::log;
use crate::run::page::Page;
use crate::run::params;
use crate::run::proven::Dates;

/// How often it is looked whether lines of the log are taken.
const LOG: Duration = Duration::from_secs(5);

/// What the interfaces are started with, and again when the site file changes.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    /// By which date things are too old.
    pub(crate) dates: Dates,
    pub(crate) faults: Faults,
    /// Inputs that web clients work.
    pub(crate) hooks: Hooks,
    pub(crate) instance: Instance,
    /// Name by mDNS.
    pub(crate) name: LiveName,
    pub(crate) orders: mpsc::Sender<Order>,
}

/// What runs towards the network, besides SIP.
pub(crate) struct Outside {
    broker: Option<EmbeddedBroker>,
    ground: Ground,
    page: Page,
    /// With the task that tells by which name it is known.
    mdns: Option<(MdnsHandle, JoinHandle<()>)>,
    mqtt: Option<MqttHandle>,
    notify: NotifyHandle,
    contacts: Contacts,
}

impl Outside {
    /// Starts what the site configures.
    ///
    /// # Errors
    /// The demo's broker cannot listen.
    pub(crate) async fn start(config: &Config, ground: Ground) -> anyhow::Result<Self> {
        let notify = gateway_notify::start(gateway_notify::Ground {
            clock: Arc::clone(&ground.clock),
            proven: Arc::new(ground.dates.clone()),
            store: ground.bus.store().clone(),
        });
        tokio::spawn(tell_notify(notify.status(), ground.faults.clone()));
        tokio::spawn(tell_log(ground.faults.clone()));
        let mut outside = Self {
            broker: None,
            ground,
            page: Page::default(),
            mdns: None,
            mqtt: None,
            notify,
            contacts: Contacts::new(),
        };
        outside.apply(config).await?;
        Ok(outside)
    }

    /// Takes a site file: what did not change goes on.
    ///
    /// # Errors
    /// As [`Outside::start`].
    pub(crate) async fn apply(&mut self, config: &Config) -> anyhow::Result<()> {
        log::configure(&config.log);
        self.ground.bus.show_outline(Arc::new(params::outline(config)));
        self.apply_mqtt(config).await?;
        self.notify.apply(params::notify(config)).await;
        let ground = &self.ground;
        self.contacts
            .apply(
                config,
                (&ground.bus, &ground.faults),
                &ground.clock,
                &ground.orders,
            )
            .await;
        self.apply_page(config).await;
        Ok(())
    }

    /// The page, which says itself what keeps it, and the name that its port is announced under.
    pub(crate) async fn apply_page(&mut self, config: &Config) {
        let page = params::http(config).map(|mut page| {
            page.network.name = self.ground.name.clone();
            page.hooks = self.ground.hooks.clone();
            page
        });
        hooks::show(&self.ground.hooks, config);
        self.page.apply(page, &self.ground).await;
        self.apply_mdns(config).await;
    }

    /// Removes users and API tokens of the page, and starts it anew with a setup code. Says how many there were.
    ///
    /// # Errors
    /// Why they could not be removed; then the page has them as before.
    pub(crate) async fn reset_users(&mut self, config: &Config) -> Result<usize, String> {
        self.page.pause(&self.ground).await;
        let mark = params::users_mark(config);
        let done = gateway_http::forget_users(self.ground.bus.store(), &mark).await;
        self.apply_page(config).await;
        done
    }

    /// When [`apply_page`](Self::apply_page) has to be called once more; `None` if nothing is wrong with the page.
    pub(crate) const fn page_due(&self) -> Option<Instant> {
        self.page.due()
    }

    /// After the page, whose port is announced.
    async fn apply_mdns(&mut self, config: &Config) {
        let page = self.page.running().map(|(handle, _)| handle.local_addr());
        match (params::announced(config, page), &self.mdns) {
            (Some(profile), Some((running, _))) => running.apply(profile),
            (Some(profile), None) => {
                let handle = mdns::start(profile, Arc::clone(&self.ground.clock));
                let (faults, name) = (self.ground.faults.clone(), self.ground.name.clone());
                let task = tokio::spawn(known(handle.known(), faults, name));
                self.mdns = Some((handle, task));
            }
            (None, _) => {
                if let Some((old, task)) = self.mdns.take() {
                    old.stop().await;
                    task.abort();
                    let _ = task.await;
                    self.ground.faults.set("mdns", None);
                    self.ground.name.set(None);
                }
            }
        }
    }

    async fn apply_mqtt(&mut self, config: &Config) -> anyhow::Result<()> {
        let embedded = config
            .mqtt
            .as_ref()
            .is_some_and(|m| m.broker == BrokerUrl::Embedded);
        if embedded && self.broker.is_none() {
            self.broker = Some(EmbeddedBroker::start()?);
        }
        let wanted = params::mqtt(config, self.ground.instance, self.broker_port());
        match (wanted, &self.mqtt) {
            (Some(params), Some(running)) => running.apply(params),
            (Some(params), None) => {
                let (bus, clock) = (self.ground.bus.clone(), Arc::clone(&self.ground.clock));
                let handle = gateway_mqtt::start(params, bus, clock);
                tokio::spawn(tell(
                    handle.status(),
                    self.ground.faults.clone(),
                    self.ground.orders.clone(),
                ));
                self.mqtt = Some(handle);
            }
            (None, _) => {
                if let Some(old) = self.mqtt.take() {
                    old.shutdown().await;
                    for part in ["mqtt", "mqtt-topics"] {
                        self.ground.faults.set(part, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// Port of the embedded broker.
    pub(crate) fn broker_port(&self) -> Option<u16> {
        self.broker.as_ref().map(EmbeddedBroker::port)
    }

    /// Address of the page.
    pub(crate) fn url(&self) -> Option<String> {
        let (handle, params) = self.page.running()?;
        let scheme = if params.tls == gateway_http::Tls::Off {
            "http"
        } else {
            "https"
        };
        Some(format!("{scheme}://{}", handle.local_addr()))
    }

    /// SHA-256 of the page's certificate, for a browser that cannot check it.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.page.running()?.0.fingerprint()
    }

    /// The one-time code for the first user, if there is none yet.
    pub(crate) fn setup_code(&self) -> Option<String> {
        self.page.running()?.0.setup_code()
    }

    /// Ends it: what is durable is still published.
    pub(crate) async fn stop(self) {
        self.contacts.stop();
        if let Some((mdns, _)) = self.mdns {
            mdns.stop().await;
        }
        self.page.stop(&self.ground).await;
        if let Some(mqtt) = self.mqtt {
            mqtt.shutdown().await;
        }
        self.notify.stop().await;
    }
}

/// Notes that a syslog takes no lines of the program's log.
async fn tell_log(faults: Faults) {
    let mut told = false;
    loop {
        let trouble = log::trouble();
        if told || trouble.is_some() {
            told = trouble.is_some();
            faults.set("log", trouble);
        }
        tokio::time::sleep(LOG).await;
    }
}

/// Notes which channels of notifications do not get on.
async fn tell_notify(mut status: gateway_notify::Status, faults: Faults) {
    let mut shown: Vec<String> = Vec::new();
    loop {
        let now = status.borrow_and_update().clone();
        for old in shown.iter().filter(|old| !now.contains_key(*old)) {
            faults.set(&format!("notify:{old}"), None);
        }
        for (name, text) in &now {
            faults.set(&format!("notify:{name}"), Some(text.clone()));
        }
        shown = now.into_keys().collect();
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Says by which name we are known on the network, and notes why by none.
async fn known(mut known: watch::Receiver<Known>, faults: Faults, shown: LiveName) {
    let mut told = None;
    loop {
        let now = known.borrow_and_update().clone();
        faults.set("mdns", now.fault);
        shown.set(now.name.clone());
        if now.name != told
            && let Some(name) = &now.name
        {
            tracing::info!(%name, "known on the network");
            told.clone_from(&now.name);
        }
        if known.changed().await.is_err() {
            return;
        }
    }
}

/// Says what SIP cannot listen on, and when it can again.
pub(crate) async fn tell_sip(mut fault: watch::Receiver<Option<String>>, faults: Faults) {
    let mut told: Option<String> = None;
    loop {
        let now = fault.borrow_and_update().clone();
        if now != told {
            match &now {
                Some(text) => tracing::error!("SIP is not reachable as configured, doors go on: {text}"),
                None => tracing::info!("SIP listens as configured again"),
            }
            faults.set("sip", now.clone());
            told = now;
        }
        if fault.changed().await.is_err() {
            return;
        }
    }
}

/// Notes how MQTT goes, and tells the core of another gateway under our name.
async fn tell(mut status: watch::Receiver<MqttStatus>, faults: Faults, orders: mpsc::Sender<Order>) {
    let mut second = None;
    loop {
        let now: MqttStatus = status.borrow_and_update().clone();
        faults.set("mqtt", now.fault);
        faults.set("mqtt-topics", now.topics);
        if now.second_instance != second {
            second.clone_from(&now.second_instance);
            if orders
                .send(Order::SecondInstance(now.second_instance))
                .await
                .is_err()
            {
                return;
            }
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
