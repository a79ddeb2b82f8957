//! The start of a gateway: every part, in the order in which they need each other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::Alarm;
use anyhow::Context;
use gateway_bus::{Bus, SiteFileClient};
use gateway_config::{Config, GuardMode, Late, LoadError, Loaded};
use gateway_core::{Clock, Event};
use gateway_guard::{ClientParams, GuardClient, GuardProcess, Silence, SpawnParams, spawn_guard};
use gateway_http::LiveName;
use gateway_network::settings::change::this_boot;
use gateway_sip_io::SipEngine;
use gateway_site::Site;
use gateway_store::Options;
use rand::SeedableRng;
use tokio::sync::{mpsc, watch};

use super::take::{Taken, again, confirm, note_trouble};
use super::{
    Gateway, THIS_PROGRAM, by_hand, disk, doubt, held, home, hooks, keeper, measures, network, note, outside,
    params, restore, room, wall, whom,
};
use crate::backup;
use crate::clock::SystemClock;
use crate::run::adapters::Adapters;
use crate::run::brain::{Brain, Order};
use crate::run::faults::Faults;
use crate::run::home::Home;
use crate::run::instance::Instance;
use crate::run::lane::Lane;
use crate::run::learning::Learning;
use crate::run::legs::Legs;
use crate::run::outside::{Ground, Outside};
use crate::run::people::Staff;
use crate::run::port::SwitchPort;
use crate::run::proven::Dates;
use crate::run::wall::{Service, WallWatch};

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
}

/// How the journal of a gateway is opened. People and credentials of a large site are more than entries of other kinds.
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

/// Secrets that could not be read cost the part that needs them.
pub(super) fn secrets_told(absent: &[Late], faults: &Faults) {
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

/// It is started from the thread of the doors, whose priority it inherits.
pub(super) fn start_guard(doors: &Lane, in_force: &Path, silence: &Silence) -> GuardProcess {
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
