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
pub(crate) mod sim;
mod site_file;
mod sound;
pub(crate) mod spoken;
mod support;
mod unkept;
pub(crate) mod wall;
pub(crate) mod whom;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapter_api::Alarm;
use adapter_virtual::Levels;
use anyhow::Context;
use gateway_bus::{Bus, SiteFileClient};
use gateway_config::{Config, Generations, GuardMode, Late, LoadError, Loaded};
use gateway_core::{Clock, DoorId, Event, Fault, LineId, LockState, RingId, SiteView, Timestamp};
use gateway_guard::{ClientParams, GuardClient, GuardProcess, Silence, SpawnParams, spawn_guard};
use gateway_http::LiveName;
use gateway_network::settings::change::this_boot;
use gateway_sip_io::{SipEngine, SipHandle};
use gateway_site::{HeldInput, PinKey, Site};
use gateway_store::{Filter, Options, Query, Store};
use rand::SeedableRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::backup;
use crate::clock::SystemClock;
use crate::commands;
use crate::control;
use crate::run::adapters::Adapters;
use crate::run::brain::{Brain, Order};
use crate::run::faults::{Faults, Guarded};
use crate::run::home::Home;
use crate::run::instance::Instance;
use crate::run::lane::Lane;
use crate::run::learning::Learning;
use crate::run::legs::Legs;
use crate::run::osdp::Installs;
use crate::run::outside::{Ground, Outside};
use crate::run::people::{Desk, Staff};
use crate::run::plan::outputs_restart;
use crate::run::port::SwitchPort;
use crate::run::proven::Dates;
use crate::run::unkept::Unkept;
use crate::run::wall::{Service, Trust, WallWatch};

pub(crate) use controllers::{CONTROLLER_KEYS, controller_of};
pub(crate) use doubt::mark as doubt_mark;
pub(crate) use home::{IN_FORCE, InUse};
pub(crate) use measures::kilobytes;
pub(crate) use note::{journal, mark};
pub(crate) use params::{
    USERS_MARK, VIRTUAL_DEBOUNCE, guard as guard_params, network_name, page_urls, port_settings,
};
pub(crate) use restore::{FIRE, LOCKDOWNS, ON};

/// The program that runs, also after an upgrade has put another one in its place: gateway, guard and sentinel are
/// of one version and speak the same protocol.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// How long the relay guard may take to start: a little longer than until the core takes it for lost.
const GUARD_START: Duration = Duration::from_secs(12);

/// How long a pulse may be, and a little more.
const LONGEST_PULSE: Duration = Duration::from_secs(26);

/// How a configuration is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It ran before what was on trial, which is rolled back.
    Back,
    /// It is the site file's: the one to start with.
    Confirmed,
    /// It may be, if somebody confirms it.
    OnTrial,
}

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
    /// Starts everything for a site file without faults. `refused` says why the given file was not taken, when
    /// its last confirmed generation runs instead. `site_file` is where the API asks about the file, if it may.
    ///
    /// # Errors
    /// What could not be started: the state folder is in use, a port is taken, a device is missing at start.
    pub(crate) async fn start(
        file: &Path,
        loaded: Loaded,
        refused: Option<LoadError>,
        site_file: Option<SiteFileClient>,
    ) -> anyhow::Result<Self> {
        let mut config = loaded.config;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let Home {
            doubt,
            generations,
            instance,
            mended,
            only_exits,
            run_lock,
            store,
        } = Home::take(&mut config)?;
        let newest = restore::newest(&store);
        // who has set the clock knows better than the last record
        let set_before = by_hand::found(&config.site.state_dir);
        let floor = set_before.or(newest);
        let start = wall::at_start(clock.wall(), floor, config.time.require_sync);
        let dates = Dates::new(&store, Arc::clone(&clock), newest, start);
        let newest = floor;
        let faults = Faults::default();
        if let Some(text) = &mended {
            tracing::error!("{text}");
        }
        faults.set("generations", mended.clone());
        faults.set("records-in-doubt", doubt.then(|| doubt::DOUBT.to_owned()));
        if let Some(text) = &only_exits {
            tracing::error!("{text}");
        }
        faults.set("state-dir", only_exits.clone());
        secrets_told(&loaded.absent, &faults);
        held::voice_told(&config, &faults);
        let generation = generations.number_for(file, &loaded.text)?;
        let written = home::write_new(&config, &loaded.text)?;
        let in_force = written.take()?;
        let mut unkept = written.trouble.is_some();
        note_trouble(&faults, "in-force", written.trouble);

        let silence = Silence::default();
        let (doors, sip_lane) = (Lane::doors()?, Lane::sip()?);
        let guard = match config.guard.mode {
            GuardMode::Spawn => Some(start_guard(&doors, &in_force, &silence)),
            GuardMode::External | GuardMode::None => None,
        };
        let on_doors = doors.enter();
        let (guard_client, guard_reports, liveness) = GuardClient::connect(
            ClientParams {
                generation,
                instance: run_name(instance, clock.as_ref()),
                lease: config.guard.lease,
                socket: params::guard_socket(&config),
                wirings: params::wirings(&config),
            },
            Arc::clone(&clock),
            silence.clone(),
        );
        drop(on_doors);

        let (sip_events_to, sip_events) = mpsc::channel(512);
        let staff = Staff::new(&config, &store, &faults);
        let key = staff.key().clone();
        let sip = params::sip(&config, instance.0);
        let marks = sip
            .accounts
            .iter()
            .map(|account| (account.id.clone(), account.mark()));
        let at = restore::Moment {
            boot: &this_boot(),
            now: clock.now(),
            wall: clock.wall(),
        };
        let tries = restore::tries(&store, &key, marks, &at);
        let sip = SipEngine::start_after(sip, tries, Arc::clone(&clock), sip_events_to);
        let sip = sip_lane.handle().spawn(sip).await??;
        let tries = keeper::follow_tries(store.clone(), key.clone(), sip.tries(), faults.clone());
        let tries = tokio::spawn(tries);
        tokio::spawn(outside::tell_sip(sip.listen_fault(), faults.clone()));
        let (adapters, signals) = Adapters::start(&config, &clock, &doors, &sip, &faults).await?;
        let to = store.clone();
        let note = move |reader, event| note::journal(&to, Event::Reader(reader, event));
        adapters.installs().note_by(note);

        let (now, wall) = (clock.now(), clock.wall());
        let rng = Box::new(rand::rngs::StdRng::from_os_rng());
        let mut site = Site::new(
            params::site(&config, &instance.text()),
            generation,
            rng,
            now,
            wall,
        );
        restore::site(&mut site, &store, config_ttl(&config), now, wall);
        let before = restore::Before::read(&store);
        site.restore_doors(before.doors());
        let lasting = before.lasting();
        let network_lost = lasting.network_lost;
        site.restore_lasting(lasting, now, wall);
        let ends = before.end(&store, wall);
        doubt::tell(&store, &faults);
        if let Some(why) = &refused {
            tracing::error!(file = %file.display(), generation,
                "the site file has faults and was NOT taken; the generation confirmed last runs instead");
            faults.set(
                "config",
                Some(format!(
                    "the site file was not taken, generation {generation} runs: {why}"
                )),
            );
            restore::refused(&store, why, wall);
        }
        let (bus, core) = Bus::new(store.clone());
        let bus = bus
            .with_people(staff.people.clone())
            .with_backup(site_file.is_some().then(|| backup::maker(file)))
            .with_site_file(site_file)
            .with_trace(sip.trace().clone());
        let measured = Arc::<measures::DoorMeasures>::default();
        let bus = bus.with_metrics(measures::metrics(&measured, &store, sip.measures()));
        let (orders, order_queue) = mpsc::channel(4);
        let (held_to, held) = mpsc::channel(4);
        let everybody = staff.everybody(&store, &faults, doubt);
        let general = tokio::runtime::Handle::current();
        let on_doors = doors.enter();
        let (trust_to, trust) = watch::channel(None);
        let time_service = Service::new(config.time.require_sync);
        if set_before.is_some() {
            time_service.set_before();
        }
        let learning = Learning::default();
        let brain = Brain {
            alarm: Alarm::new()?,
            bus: core,
            clock: Arc::clone(&clock),
            faults: faults.clone(),
            general,
            guard: guard_client,
            guard_reports,
            held: held_to,
            learning: learning.clone(),
            legs: Legs::default(),
            clicks: adapters.clicks(),
            lines: adapters.lines(),
            measures: Arc::clone(&measured),
            readers: adapters.readers(),
            liveness,
            orders: order_queue,
            own_orders: orders.downgrade(),
            people: staff.changes,
            signals,
            sip: sip.clone(),
            sip_events,
            site,
            store: store.clone(),
            tag_key: key.clone(),
            trust: trust_to,
            wall: WallWatch::new(newest, time_service.clone()),
        };
        let brain = tokio::spawn(brain.run());
        drop(on_doors);
        tokio::spawn(restore::follow_what_is_on(store.clone(), bus.view(), ends));
        // exits are served already; who comes in waits until everybody is known
        if only_exits.is_none() {
            let directory = Box::new(everybody.await);
            let told = orders.send(Order::Ready(directory)).await;
            told.ok().context("the core has ended")?;
        }
        let disk = tokio::spawn(disk::watch(
            config.site.state_dir.clone(),
            Arc::clone(&clock),
            adapters.signals(),
        ));
        let (limits, room_now) = watch::channel(room::Limits::of(&config));
        let room = room::Room {
            dates: dates.clone(),
            service: time_service.clone(),
            store: store.clone(),
            trust: trust.clone(),
        };
        tokio::spawn(room.watch(room_now));
        let (site, site_now) = watch::channel(Arc::new(config.clone()));
        let signals = adapters.signals();
        tokio::spawn(network::watch(
            site_now,
            Arc::clone(&clock),
            signals,
            network_lost,
        ));
        let records = store.records().clone();
        tokio::spawn(whom::watch_missing(records, site.subscribe(), faults.clone()));
        let (hook_calls, calls) = mpsc::channel(hooks::CALLS);
        tokio::spawn(hooks::run(
            calls,
            site.subscribe(),
            Arc::clone(&clock),
            adapters.signals(),
        ));
        let ground = Ground {
            bus: bus.clone(),
            dates,
            faults: faults.clone(),
            hooks: gateway_http::Hooks::new(hook_calls, clock.now()),
            clock,
            instance,
            name: LiveName::default(),
            orders: orders.clone(),
        };
        let port = SwitchPort::new(
            &ground.clock,
            adapters.signals(),
            &faults,
            trust.clone(),
            (&config.site.state_dir, file),
        );
        port.apply(&config, &loaded.text, Taken::Confirmed).await?;
        let outside = Outside::start(&config, ground).await?;
        if refused.is_none() {
            let kept = confirm(&generations, &config, file, &loaded.text, &faults);
            unkept |= !kept;
            if kept {
                // what was mended stays told until the next start
                faults.set("generations", mended);
            }
        }
        Ok(Self {
            absent: loaded.absent,
            adapters,
            brain,
            bus,
            config,
            doors,
            disk,
            faults,
            file: file.to_owned(),
            generation,
            generations,
            guard,
            held: Some(held),
            in_force,
            learning,
            instance,
            key,
            orders,
            outside,
            port,
            room: limits,
            silence,
            sip,
            site,
            _sip_lane: sip_lane,
            store,
            time_service,
            tries,
            trust,
            _run_lock: run_lock,
            text: loaded.text,
            unkept: unkept.then(again),
        })
    }

    /// Takes a new site file. Doors and accounts that did not change keep pulses, calls and registrations. Wait for
    /// [`rests`](Self::rests) first. What is on trial is not confirmed: the next start takes the file before it.
    ///
    /// An output must mean the same to the core and to the relay guard: if outputs change, the guard ends before
    /// the core takes the new file and starts after it, so that no Grant meets a guard of the other file.
    ///
    /// # Errors
    /// What could not be applied; what was applied before it stays, and is said.
    pub(crate) async fn apply(&mut self, loaded: Loaded, how: Taken) -> anyhow::Result<String> {
        let Loaded {
            absent,
            config: mut new,
            text,
            ..
        } = loaded;
        // a folder that takes the place of the one in the file does so until the next start
        new.site.state_dir.clone_from(&self.config.site.state_dir);
        if let Some(why) = self.codes_refused(&new) {
            anyhow::bail!(why);
        }
        let plan = gateway_config::plan(&self.config, &new);
        if plan.needs_process() {
            anyhow::bail!("{plan}; start the gateway anew for this");
        }
        let restart = outputs_restart(&plan, &self.config);
        anyhow::ensure!(
            !restart || self.guard.is_some(),
            "{plan}; the relay guard is run by another program: start it and the gateway anew for this"
        );
        let number = self.generations.number_for(&self.file, &text)?;
        let generation = next_generation(number, self.generation, text == self.text);
        let written = home::write_new(&new, &text)?;
        if restart {
            self.guard_may_restart(&new).await;
        }
        if restart && let Some(guard) = self.guard.take() {
            guard.stop().await;
        }
        let kept = written.take();
        if restart && kept.is_err() {
            self.guard = Some(start_guard(&self.doors, &self.in_force, &self.silence));
        }
        self.in_force = kept?;
        let mut unkept = written.trouble.is_some();
        note_trouble(&self.faults, "in-force", written.trouble);
        let (done, answer) = oneshot::channel();
        let words = plan::told(&plan, &self.config, &new, self.instance);
        let order = Order::Apply {
            done,
            generation,
            params: Box::new(params::site(&new, &self.instance.text())),
            told: words.clone(),
            wirings: params::wirings(&new),
        };
        let told = self.orders.send(order).await;
        let changed = answer.await;
        if restart {
            self.guard = Some(start_guard(&self.doors, &self.in_force, &self.silence));
        }
        told.ok().context("the core has ended")?;
        changed.context("the core has ended")?;
        // from here on the next file is compared with this one, whatever else cannot be taken of it
        (self.generation, self.text) = (generation, text);
        self.config = new.clone();
        if let Some(people) = self.bus.people() {
            people.set_site(people::names(&new));
        }
        self.time_service.require(new.time.require_sync);
        self.room.send_replace(room::Limits::of(&new));
        self.site.send_replace(Arc::new(new.clone()));
        self.sip.apply(params::sip(&new, self.instance.0)).await?;
        self.adapters.apply(&new, &self.faults).await?;
        self.port.apply(&new, &self.text, how).await?;
        self.outside.apply(&new).await?;
        secrets_told(&absent, &self.faults);
        held::voice_told(&new, &self.faults);
        self.absent = absent;
        match how {
            Taken::Confirmed => {
                unkept |= !confirm(
                    &self.generations,
                    &self.config,
                    &self.file,
                    &self.text,
                    &self.faults,
                );
                self.faults.set("config", None);
            }
            Taken::Back | Taken::OnTrial => {}
        }
        self.unkept = unkept.then(again);
        Ok(words)
    }

    /// Tells the core that the guard restarts, in a moment when no pulse runs: one may have begun since the file was
    /// looked at.
    async fn guard_may_restart(&self, new: &Config) {
        let end = tokio::time::Instant::now() + LONGEST_PULSE;
        loop {
            let (known, answer) = oneshot::channel();
            let force = tokio::time::Instant::now() >= end;
            let order = Order::GuardRestarts { force, known };
            // without a core there is nobody to take it for a fault
            if self.orders.send(order).await.is_err() || answer.await != Ok(false) {
                return;
            }
            // the picture is a turn of the core late
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(rests) = self.rests(new) {
                rests.await;
            }
        }
    }

    /// Waits until the relay guard, which was started anew, holds the outputs of what is in force. Ends at once if it was not,
    /// and at the latest when the core takes it for lost.
    ///
    /// # Errors
    /// Why no door can be opened.
    pub(crate) async fn guard_serves(&self) -> Result<(), String> {
        let mut guarded = self.faults.guarded();
        let starts = |guarded: &Guarded| *guarded == Guarded::Starts;
        let known = tokio::time::timeout(GUARD_START, guarded.wait_for(|guarded| !starts(guarded)));
        match known.await.map(|known| known.map(|known| known.clone())) {
            Ok(Ok(Guarded::Up)) => Ok(()),
            Ok(Ok(Guarded::Away(text))) => Err(text),
            Ok(Ok(Guarded::Starts) | Err(_)) | Err(_) => Err("it does not come up".to_owned()),
        }
    }

    /// Does the relay guard hold the outputs, as far as it is known at this moment?
    pub(crate) fn is_guarded(&self) -> bool {
        *self.faults.guarded().borrow() == Guarded::Up
    }

    /// Why a file cannot be taken beside the codes and cards of people.
    pub(crate) fn codes_refused(&self, new: &Config) -> Option<String> {
        let records = self.store.records();
        codes::refused(records, &self.key, &self.config, new)
            .or_else(|| codes::cards_refused(records, &self.config, new))
    }

    /// When the room has to be looked at for what could not be written down; `None` if all is.
    pub(crate) fn keep_due(&self) -> Option<tokio::time::Instant> {
        self.unkept.as_ref().map(Unkept::due)
    }

    /// Writes down once more what is in force, which the disk did not take, if that has a chance. Nothing is confirmed that
    /// was not before.
    pub(crate) fn keep(&mut self, on_trial: bool) {
        let room = unkept::has_room(&self.config.site.state_dir, &self.text);
        let asks = |unkept: &mut Unkept| unkept.asks(tokio::time::Instant::now(), room);
        if !self.unkept.as_mut().is_some_and(asks) {
            return;
        }
        let taken = home::write_new(&self.config, &self.text).and_then(|new| Ok((new.take()?, new.trouble)));
        let trouble = match taken {
            Ok((path, trouble)) => {
                self.in_force = path;
                trouble
            }
            Err(error) => Some(format!("{error:#}")),
        };
        let mut kept = trouble.is_none();
        note_trouble(&self.faults, "in-force", trouble);
        if !on_trial {
            kept &= confirm(
                &self.generations,
                &self.config,
                &self.file,
                &self.text,
                &self.faults,
            );
        }
        if kept {
            self.unkept = None;
            tracing::info!("the configuration in force is written down");
        }
    }

    /// What is in force was on trial and is in the site file.
    ///
    /// # Errors
    /// If that cannot be written down: the site file counts all the same.
    pub(crate) fn confirm(&self) -> anyhow::Result<()> {
        self.faults.set("config", None);
        self.generations.confirm(&self.file, &self.text)?;
        Ok(())
    }

    /// Confirms the change of the switch port that came with what is in force, and says what became of it, if there is one.
    pub(crate) async fn confirm_port(&self) -> Option<String> {
        let view = self.bus.view().borrow().clone();
        let authorized = view.ports.iter().any(|port| port.state == "authorized");
        self.port.confirm_with(&self.text, authorized).await
    }

    /// Returns if the core ends by itself, which it must not: without it nobody gets out by an exit button, so
    /// the process has to end and be started anew.
    pub(crate) async fn core_ended(&mut self) {
        let _ = (&mut self.brain).await;
    }

    /// What runs, to come back to.
    pub(crate) fn running(&self) -> Loaded {
        Loaded {
            absent: self.absent.clone(),
            config: self.config.clone(),
            text: self.text.clone(),
            warnings: gateway_config::Warnings::default(),
        }
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

    /// What `doorline sim` reaches; nothing if nothing is virtual.
    pub(crate) fn simulator(&self) -> sim::Simulator {
        sim::Simulator {
            bus: self.bus.clone(),
            inputs: self.adapters.inputs(),
            virtual_site: self.adapters.virtual_site(),
        }
    }

    /// Serves `doorline sim`, beside the virtual devices it reaches, until the future is dropped. Ends only with an
    /// error.
    pub(crate) fn serve_control(&self) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let simulator = self.simulator();
        let run_dir = self.config.site.run_dir.clone();
        let desk = Desk {
            bus: self.bus.clone(),
            in_force: self.in_force.clone(),
            key: self.key.clone(),
            state_dir: self.config.site.state_dir.clone(),
            store: self.store.clone(),
        };
        let (installs, port) = (self.adapters.installs(), self.port.clone());
        let learning = self.learning.clone();
        let service = self.time_service.clone();
        let act = move |request, mut asker: control::Asker| {
            let (simulator, desk) = (simulator.clone(), desk.clone());
            let (installs, port, service) = (installs.clone(), port.clone(), service.clone());
            let learning = learning.clone();
            async move {
                if SwitchPort::knows(&request) {
                    port.act(&request).await
                } else if by_hand::knows(&request) {
                    Ok(by_hand::act(&service))
                } else if support::knows(&request) {
                    support::act(&desk.bus, &request).await
                } else if Installs::knows(&request) {
                    installs.act(SystemClock.now(), &request)
                } else if Learning::knows(&request) {
                    learning.act(&desk.store, &request, &mut asker).await
                } else if controllers::knows(&request) {
                    controllers::act(&desk.bus, SystemClock.now(), &request).await
                } else if Desk::knows(&request) {
                    desk.act(request).await
                } else {
                    simulator.act(request, asker.left()).await
                }
            }
        };
        // a set, because it ends its tasks when it is dropped
        let mut serving = tokio::task::JoinSet::new();
        let serve = async move { control::serve(&run_dir, act).await };
        serving.spawn_on(serve, self.doors.handle());
        async move {
            let end = serving.join_next().await.context("nothing is served")?;
            end?.context("the control socket cannot be served")
        }
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

    /// Journals that a site file was not taken.
    pub(crate) fn refused(&self, error: &anyhow::Error) {
        let count = error
            .downcast_ref::<commands::ConfigFaults>()
            .map_or(1, commands::ConfigFaults::count);
        restore::refusal(&self.store, count, &format!("{error:#}"), SystemClock.wall());
        self.faults
            .set("config", Some(format!("the site file was not taken: {error:#}")));
    }

    /// What a new site file waits for, if it moves outputs while one of them is energised: that none is, at most as
    /// long as the longest pulse. A door that did not change keeps the pulse that runs.
    pub(crate) fn rests(&self, new: &Config) -> Option<impl Future<Output = ()> + Send + use<>> {
        let plan = gateway_config::plan(&self.config, new);
        let rest = |view: &SiteView| {
            let mut doors = view.doors.iter();
            doors.all(|door| door.lock != LockState::Unlocked || door.hold.is_some())
        };
        let mut view = self.bus.view();
        let now = rest(&view.borrow());
        if now || self.guard.is_none() || plan.needs_process() || !outputs_restart(&plan, &self.config) {
            return None;
        }
        Some(async move {
            let rests = view.wait_for(|view| rest(view));
            if tokio::time::timeout(LONGEST_PULSE, rests).await.is_err() {
                tracing::warn!("an output was energised for long; its pulse ends with the guard's restart");
            }
        })
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

/// People and credentials of a large site are more than entries of other kinds.
/// How the journal of a gateway is opened.
pub(crate) fn store_options() -> Options {
    Options {
        kind_limits: gateway_people::LIMITS
            .into_iter()
            .chain([(restore::PLACES, 500_000)])
            .collect(),
        ..Options::default()
    }
}

fn config_ttl(config: &Config) -> Duration {
    config
        .mqtt
        .as_ref()
        .map_or(Duration::from_secs(60), |m| m.command_ttl)
}

/// The generation of a file that is taken while the gateway runs. It never goes back, also not to the number of
/// a file that ran before: the guard refuses Grants of older generations, and with them every exit.
const fn next_generation(number: u64, running: u64, same_text: bool) -> u64 {
    if same_text {
        running
    } else if number > running {
        number
    } else {
        running + 1
    }
}

/// Secrets that could not be read cost the part that needs them.
fn secrets_told(absent: &[Late], faults: &Faults) {
    faults.clear("secret:");
    for late in absent {
        let text = format!(
            "{}; {}; then send SIGHUP (systemctl reload doorline)",
            late.text, late.hint
        );
        tracing::error!(key = %late.path, "{text}");
        faults.set(&format!("secret:{}", late.path), Some(text));
    }
}

/// The disk is asked again in a while.
fn again() -> Unkept {
    Unkept::new(tokio::time::Instant::now())
}

/// Notes what is wrong with a part, or that nothing is; what is not news is not logged again.
fn note_trouble(faults: &Faults, part: &str, trouble: Option<String>) {
    if let Some(text) = &trouble
        && !faults.has(part, text)
    {
        tracing::error!("{text}");
    }
    faults.set(part, trouble);
}

/// Writes the configuration down as a good one; doors do not wait for room on the disk. False if it could not be.
fn confirm(generations: &Generations, config: &Config, file: &Path, text: &str, faults: &Faults) -> bool {
    let trouble = generations.confirm(file, text).err().map(|error| {
        let error = anyhow::Error::from(error);
        let awaited = unkept::awaited(&error, &config.site.state_dir);
        format!("the configuration in force could not be written down as a good one: {error:#}; {awaited}")
    });
    let kept = trouble.is_none();
    note_trouble(faults, "generations", trouble);
    kept
}

/// It is started from the thread of the doors, whose priority it inherits.
fn start_guard(doors: &Lane, in_force: &Path, silence: &Silence) -> GuardProcess {
    let _on_doors = doors.enter();
    let params = SpawnParams {
        args: [
            "relay-guard".into(),
            "--follow-stdin".into(),
            "--config".into(),
            in_force.into(),
        ]
        .into(),
        program: THIS_PROGRAM.into(),
    };
    spawn_guard(params, silence.clone())
}

/// Names this run: numbers of Grants are unique within it, and a frozen predecessor has another name.
fn run_name(instance: Instance, clock: &dyn Clock) -> String {
    format!("{}-{}", &instance.text()[..8], clock.now().as_nanos())
}

#[cfg(test)]
mod tests {
    use super::next_generation;

    #[test]
    fn the_generation_never_goes_back() {
        // a new file
        assert_eq!(next_generation(8, 7, false), 8);
        // the same file once more
        assert_eq!(next_generation(7, 7, true), 7);
        // back to the confirmed file 7 after file 8 was taken in part
        assert_eq!(next_generation(7, 8, false), 9);
        // another new file after that: 8 was never confirmed
        assert_eq!(next_generation(8, 9, false), 10);
    }
}
