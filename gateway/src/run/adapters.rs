//! Starts the adapters a site needs, restarts those that fail, and says which of them has which line.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, AudioPort, Shutdown};
use adapter_front_end::FrontEnd;
use adapter_gpio::{GpioInputs, GpioReader};
use adapter_ibutton::KeyReader;
use adapter_modbus::ModbusInputs;
use adapter_osdp::{OsdpBus, OsdpPeripheral};
use adapter_outside::MqttInputs;
use adapter_virtual::{Source, VirtualDevice, VirtualHandle, VirtualLine, VirtualParams};
use anyhow::Context as _;
use gateway_config::{Config, InputDriver, LineDriver, Playback, RelayFunction};
use gateway_core::{Clock, DeviceId, InputId, Instant, LineCommand, LineId, ReaderId, Signal, SignalKind};
use gateway_sip_io::SipHandle;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::run::clicks::Clicks;
use crate::run::controllers::controllers;
use crate::run::faults::Faults;
use crate::run::lane::Lane;
use crate::run::lines::{Commands, Lines, QUEUE, Routes};
use crate::run::osdp::{Installs, osdp_buses};
use crate::run::params::{self, front_ends, modbus_inputs, mqtt_inputs};
use crate::run::readers::{Readers, bias, gpio_readers, key_readers};
use crate::run::sim::Inputs;
use crate::run::sound::{SoundLine, sounds};

/// Signals that may wait for the core; adapters wait when it is full, nothing is lost.
const SIGNALS: usize = 256;
/// First pause before an adapter is started again; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// Name of the adapter of everything virtual.
pub(super) const VIRTUAL: &str = "virtual";
/// Name of the adapter of all rppal pins; `gpio-` begins the others.
pub(super) const RPPAL: &str = "rppal";

/// The running adapters.
pub(crate) struct Adapters {
    inputs: Arc<RwLock<Inputs>>,
    clock: Arc<dyn Clock>,
    config: Config,
    audio: Audio,
    /// Which lines hear which relays.
    clicks: Clicks,
    /// Where voices of lines are treated.
    sip: SipHandle,
    /// Where they run: beside the core.
    doors: Handle,
    installs: Installs,
    readers: Readers,
    routes: watch::Sender<Routes>,
    running: BTreeMap<String, Running>,
    signals: mpsc::Sender<Signal>,
    /// Where line commands for virtual lines go, once there was something virtual.
    virtual_lines: Option<Commands>,
    virtual_site: Arc<RwLock<VirtualHandle>>,
}

type Audio = mpsc::Sender<(LineId, Box<dyn AudioPort>)>;

/// What an adapter of pins or lines is made of.
#[derive(Clone, Debug, PartialEq)]
enum Pins {
    Controller(Box<OsdpPeripheral>),
    FrontEnd(FrontEnd),
    Inputs(GpioInputs),
    Keys(KeyReader),
    Modbus(ModbusInputs),
    Mqtt(MqttInputs),
    Osdp(OsdpBus),
    Reader(Box<GpioReader>),
    Sound(SoundLine),
}

impl Pins {
    fn inputs(&self) -> Vec<InputId> {
        match self {
            Self::Controller(_) | Self::FrontEnd(_) | Self::Keys(_) | Self::Reader(_) | Self::Sound(_) => {
                vec![]
            }
            Self::Inputs(inputs) => inputs.lines.iter().map(|line| line.input.clone()).collect(),
            Self::Modbus(of) => of.inputs.iter().map(|input| input.input.clone()).collect(),
            Self::Mqtt(of) => of.inputs.iter().map(|input| input.input.clone()).collect(),
            Self::Osdp(line) => {
                let readers = line.readers.iter();
                readers
                    .flat_map(|r| r.inputs.iter().map(|i| i.input.clone()))
                    .collect()
            }
        }
    }

    /// Lines whose commands it takes.
    fn lines(&self) -> Vec<LineId> {
        match self {
            Self::FrontEnd(of) => of.lines.iter().map(|line| line.line.clone()).collect(),
            Self::Controller(_)
            | Self::Inputs(_)
            | Self::Keys(_)
            | Self::Modbus(_)
            | Self::Mqtt(_)
            | Self::Osdp(_)
            | Self::Reader(_)
            | Self::Sound(_) => vec![],
        }
    }
}

impl Adapter for Pins {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        match self {
            Self::Controller(of) => of.run(ctx).await,
            Self::FrontEnd(of) => of.run(ctx).await,
            Self::Inputs(inputs) => inputs.run(ctx).await,
            Self::Keys(keys) => keys.run(ctx).await,
            Self::Modbus(of) => of.run(ctx).await,
            Self::Mqtt(of) => of.run(ctx).await,
            Self::Osdp(line) => line.run(ctx).await,
            Self::Reader(reader) => reader.run(ctx).await,
            Self::Sound(sound) => sound.run(ctx).await,
        }
    }
}

struct Running {
    /// Where the commands of its lines go.
    commands: Option<Commands>,
    /// What it reads; `None` for the virtual devices, which take a change while they run.
    pins: Option<Pins>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Adapters {
    /// Starts what the site configures; signals of all of them come out of one queue.
    pub(crate) async fn start(
        config: &Config,
        clock: &Arc<dyn Clock>,
        doors: &Lane,
        sip: &SipHandle,
        faults: &Faults,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Signal>)> {
        let (signals, queue) = mpsc::channel(SIGNALS);
        let (routes, _) = watch::channel(Routes::new());
        let (_, handle) = VirtualDevice::new(VirtualParams::default());
        let (audio, ports) = mpsc::channel(16);
        doors.handle().spawn(attach(ports, sip.clone()));
        let mut adapters = Self {
            audio,
            clicks: Clicks::default(),
            sip: sip.clone(),
            inputs: Arc::new(RwLock::new(inputs(config))),
            clock: Arc::clone(clock),
            config: config.clone(),
            doors: doors.handle().clone(),
            installs: Installs::default(),
            readers: Readers::default(),
            routes,
            running: BTreeMap::new(),
            signals,
            virtual_lines: None,
            virtual_site: Arc::new(RwLock::new(handle)),
        };
        adapters.renew(faults).await?;
        Ok((adapters, queue))
    }

    /// Takes a new site. An input that did not change keeps its adapter and loses no edge, whatever else changed.
    pub(crate) async fn apply(&mut self, new: &Config, faults: &Faults) -> anyhow::Result<()> {
        if let Ok(mut known) = self.inputs.write() {
            *known = inputs(new);
        }
        self.config = new.clone();
        self.renew(faults).await
    }

    /// Which lines hear which relays; kept as the site is.
    pub(crate) fn clicks(&self) -> Clicks {
        self.clicks.clone()
    }

    /// What inputs are for.
    pub(crate) fn inputs(&self) -> Arc<RwLock<Inputs>> {
        Arc::clone(&self.inputs)
    }

    /// Where operators open windows for readers to be given their keys.
    pub(crate) fn installs(&self) -> Installs {
        self.installs.clone()
    }

    /// Where the core gives line commands.
    pub(crate) fn lines(&self) -> Lines {
        Lines::new(self.routes.subscribe())
    }

    /// Where the core tells readers what to show.
    pub(crate) fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// Where parts of the gateway itself say how they are.
    pub(crate) fn signals(&self) -> mpsc::Sender<Signal> {
        self.signals.clone()
    }

    /// The virtual devices; empty if there are none.
    pub(crate) fn virtual_site(&self) -> Arc<RwLock<VirtualHandle>> {
        Arc::clone(&self.virtual_site)
    }

    /// Ends all adapters.
    pub(crate) async fn stop(mut self) {
        let names = self.running.keys().cloned().collect();
        self.end(names).await;
    }

    async fn end(&mut self, names: Vec<String>) {
        let ending: Vec<(String, Running)> = names
            .into_iter()
            .filter_map(|name| self.running.remove(&name).map(|running| (name, running)))
            .collect();
        for (_, running) in &ending {
            let _ = running.stop.send(true);
        }
        for (name, running) in ending {
            if !end(running.task, Duration::from_secs(2)).await {
                tracing::warn!(device = name, "an adapter did not end in time and was ended");
                if let (Some(pins), Ok(device)) = (running.pins, DeviceId::new(&name)) {
                    unread(&self.signals, self.clock.now(), &device, &pins.inputs()).await;
                }
            }
        }
    }

    /// Ends what the site does not have, or has otherwise, then starts what does not run.
    async fn renew(&mut self, faults: &Faults) -> anyhow::Result<()> {
        self.clicks.renew(&self.config);
        for (id, line) in &self.config.lines {
            self.sip.set_voice(id, params::voice(line))?;
        }
        let inputs = gpio_inputs(&self.config).into_iter();
        let inputs = inputs.map(|(name, inputs)| (name, Pins::Inputs(inputs)));
        let readers = gpio_readers(&self.config, &self.readers).into_iter();
        let readers = readers.map(|(id, reader)| (reader_name(&id), Pins::Reader(Box::new(reader))));
        let keys = key_readers(&self.config).into_iter();
        let keys = keys.map(|(id, reader)| (reader_name(&id), Pins::Keys(reader)));
        let lines = osdp_buses(&self.config, &self.readers, &self.installs)?.into_iter();
        let lines = lines.map(|(name, line)| (name, Pins::Osdp(line)));
        let front_ends = front_ends(&self.config, &self.readers).into_iter();
        let front_ends = front_ends.map(|(name, of)| (name, Pins::FrontEnd(of)));
        let mqtt = mqtt_inputs(&self.config).into_iter();
        let mqtt = mqtt.map(|(name, of)| (name, Pins::Mqtt(of)));
        let modbus = modbus_inputs(&self.config).into_iter();
        let modbus = modbus.map(|(name, of)| (name, Pins::Modbus(of)));
        let controllers = controllers(&self.config, &self.readers)?.into_iter();
        let controllers = controllers.map(|(name, of)| (name, Pins::Controller(Box::new(of))));
        let sounds = sounds(&self.config).into_iter();
        let sounds = sounds.map(|(name, sound)| (name, Pins::Sound(sound)));
        let all = inputs
            .chain(sounds)
            .chain(controllers)
            .chain(readers)
            .chain(keys)
            .chain(lines)
            .chain(front_ends)
            .chain(mqtt)
            .chain(modbus);
        let wanted: BTreeMap<String, Pins> = all.collect();
        let running = self.running.iter();
        let (old, kept): (Vec<_>, Vec<_>) = running
            .filter_map(|(name, running)| Some((name.clone(), running.pins.as_ref()?)))
            .partition(|(name, pins)| wanted.get(name) != Some(pins));
        let kept: Vec<String> = kept.into_iter().map(|(name, _)| name).collect();
        let old: Vec<String> = old.into_iter().map(|(name, _)| name).collect();
        for name in &old {
            faults.set(&format!("device:{name}"), None);
        }
        // all of them before the first one starts: two inputs may have changed places, and a line is given once
        self.end(old).await;
        self.renew_virtual(faults).await?;
        for (name, pins) in wanted.into_iter().filter(|(name, _)| !kept.contains(name)) {
            let (stop, shutdown) = Shutdown::new();
            let (to, commands) = mpsc::channel(QUEUE);
            let base = Base {
                audio: self.audio.clone(),
                clock: Arc::clone(&self.clock),
                device: DeviceId::new(&name)?,
                inputs: pins.inputs(),
                lines: (!pins.lines().is_empty()).then_some(commands),
                shutdown,
                signals: self.signals.clone(),
            };
            let make = pins.clone();
            let task = self
                .doors
                .spawn(keep_running(base, faults.clone(), move || make.clone()));
            let commands = (!pins.lines().is_empty()).then_some(to);
            let running = Running {
                commands,
                pins: Some(pins),
                stop,
                task,
            };
            self.running.insert(name, running);
        }
        self.route();
        Ok(())
    }

    /// Says which adapter has which line.
    fn route(&self) {
        let of_virtual = self
            .config
            .lines
            .iter()
            .filter(|(_, line)| line.driver.is_virtual());
        let of_virtual = of_virtual.filter_map(|(id, _)| Some((id.clone(), self.virtual_lines.clone()?)));
        let others = self.running.values().flat_map(|running| {
            let lines = running.pins.iter().flat_map(Pins::lines);
            lines.filter_map(|line| Some((line, running.commands.clone()?)))
        });
        self.routes.send_replace(of_virtual.chain(others).collect());
    }

    /// The virtual devices take a change while they run.
    async fn renew_virtual(&mut self, faults: &Faults) -> anyhow::Result<()> {
        let params = virtual_params(&self.config)?;
        let runs = self
            .running
            .get(VIRTUAL)
            .is_some_and(|running| !running.task.is_finished());
        if runs {
            let handle = self.virtual_site.read().map(|handle| handle.clone());
            let handle = handle.map_err(|_| anyhow::anyhow!("the gateway stops"))?;
            handle.change(params).await?;
        } else if params != VirtualParams::default() {
            let (to, commands) = mpsc::channel(QUEUE);
            self.virtual_lines = Some(to);
            let (device, handle) = VirtualDevice::new(params);
            if let Ok(mut shared) = self.virtual_site.write() {
                *shared = handle;
            }
            let ctx = self.context(VIRTUAL, true, self.audio.clone(), commands)?;
            self.running
                .insert(VIRTUAL.to_owned(), once(&self.doors, device, ctx, faults.clone()));
        }
        Ok(())
    }

    fn context(
        &self,
        name: &str,
        simulated: bool,
        audio: mpsc::Sender<(LineId, Box<dyn AudioPort>)>,
        lines: mpsc::Receiver<(LineId, LineCommand)>,
    ) -> anyhow::Result<(watch::Sender<bool>, AdapterContext)> {
        let (stop, shutdown) = Shutdown::new();
        let ctx = AdapterContext {
            audio,
            clock: Arc::clone(&self.clock),
            device: DeviceId::new(name)?,
            lines,
            shutdown,
            signals: self.signals.clone(),
            simulated,
        };
        Ok((stop, ctx))
    }
}

/// Waits for the end of an adapter, and ends one that does not end by itself, so that it holds nothing its successor
/// needs. False for such a one.
pub(super) async fn end(mut task: JoinHandle<()>, patience: Duration) -> bool {
    if tokio::time::timeout(patience, &mut task).await.is_ok() {
        return true;
    }
    task.abort();
    // it ends at its next pause
    let _ = tokio::time::timeout(patience, task).await;
    false
}

/// What every start of a hardware adapter gets.
pub(super) struct Base {
    pub(super) audio: mpsc::Sender<(LineId, Box<dyn AudioPort>)>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) device: DeviceId,
    /// What it reads: when it ends, nothing is known of them.
    pub(super) inputs: Vec<InputId>,
    /// Commands of its lines, if it has any.
    pub(super) lines: Option<mpsc::Receiver<(LineId, LineCommand)>>,
    pub(super) shutdown: Shutdown,
    pub(super) signals: mpsc::Sender<Signal>,
}

/// Says that nobody reads these inputs of a device.
async fn unread(signals: &mpsc::Sender<Signal>, at: Instant, device: &DeviceId, inputs: &[InputId]) {
    for input in inputs {
        let signal = Signal {
            at,
            device: device.clone(),
            simulated: false,
            kind: SignalKind::Unread(input.clone()),
        };
        if signals.send(signal).await.is_err() {
            return;
        }
    }
}

/// Runs an adapter again and again until shutdown; its fault stands in the list meanwhile.
pub(super) async fn keep_running<A: Adapter>(mut base: Base, faults: Faults, make: impl Fn() -> A + Send) {
    let part = format!("device:{}", base.device);
    let mut pause = FIRST;
    loop {
        // what has no line of its own gets one whose sender is dropped, and so nothing ever comes
        let lines = base.lines.take().unwrap_or_else(|| mpsc::channel(1).1);
        let ctx = AdapterContext {
            audio: base.audio.clone(),
            clock: Arc::clone(&base.clock),
            device: base.device.clone(),
            lines,
            shutdown: base.shutdown.clone(),
            signals: base.signals.clone(),
            simulated: false,
        };
        let began = tokio::time::Instant::now();
        let ended = make().run(ctx).await;
        unread(&base.signals, base.clock.now(), &base.device, &base.inputs).await;
        match ended {
            Ok(()) | Err(AdapterError::Closed) => return,
            Err(error) => {
                tracing::error!(device = %base.device, %error, "a device failed and is tried again");
                faults.set(&part, Some(error.to_string()));
            }
        }
        pause = if began.elapsed() > LONGEST {
            FIRST
        } else {
            (pause * 2).min(LONGEST)
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = base.shutdown.fired() => return,
        }
        faults.set(&part, None);
    }
}

/// Runs the virtual adapter, which has no hardware to wait for.
fn once(
    doors: &Handle,
    device: VirtualDevice,
    (stop, ctx): (watch::Sender<bool>, AdapterContext),
    faults: Faults,
) -> Running {
    let task = doors.spawn(async move {
        if let Err(error) = device.run(ctx).await {
            tracing::error!(%error, "the virtual devices ended");
            faults.set("device:virtual", Some(error.to_string()));
        }
    });
    Running {
        commands: None,
        pins: None,
        stop,
        task,
    }
}

/// Gives the audio of lines to the SIP engine.
async fn attach(mut ports: mpsc::Receiver<(LineId, Box<dyn AudioPort>)>, sip: SipHandle) {
    while let Some((line, port)) = ports.recv().await {
        if sip.attach_line(line, port).is_err() {
            return;
        }
    }
}

fn inputs(config: &Config) -> Inputs {
    let mut inputs = Inputs::default();
    for (panel, p) in &config.panels {
        for (button, b) in &p.buttons {
            let Some(input) = &b.input else { continue };
            inputs
                .buttons
                .insert((panel.clone(), button.clone()), input.clone());
            inputs.uses.insert((input.clone(), "button"));
        }
    }
    for door in config.doors.values() {
        let contact = door.contact.iter().map(|c| (c.input.clone(), "contact"));
        let sense = door.lock_sense.iter().map(|s| (s.input.clone(), "lock-sense"));
        let tamper = door.tamper.iter().map(|t| (t.input.clone(), "tamper"));
        let rex = door.rex.iter().map(|r| (r.input.clone(), "rex"));
        inputs.uses.extend(contact.chain(sense).chain(tamper).chain(rex));
    }
    let fire = config.site.fire_input.iter();
    inputs.uses.extend(fire.map(|input| (input.clone(), "fire")));
    inputs
        .uses
        .extend(watched_inputs(config).map(|input| (input.clone(), "watched")));
    inputs
}

/// Inputs whose level means something of its own: to an alarm, a relay, a lockdown or a rule.
fn watched_inputs(config: &Config) -> impl Iterator<Item = &InputId> {
    let alarms = config.alarms.values().filter_map(|alarm| alarm.input.as_ref());
    let relays = config.relays.values().flat_map(|relay| match &relay.function {
        RelayFunction::Light(light) => light.inputs.iter().collect(),
        RelayFunction::MainsFault(mains) => vec![&mains.input],
        RelayFunction::Alarm(_)
        | RelayFunction::Command(_)
        | RelayFunction::Lamp(_)
        | RelayFunction::LineSeized(_)
        | RelayFunction::NetworkFault(_) => vec![],
    });
    let groups = config.door_groups.values();
    let rules = config.rules.values();
    let named = rules.flat_map(|rule| {
        let sources = rule.sources.iter().flatten();
        let of_rule = move |input: &&InputId| sources.clone().any(|name| name == input.as_str());
        let states = rule.when.states.iter().filter_map(|state| state.input.as_ref());
        config.inputs.keys().filter(of_rule).chain(states)
    });
    alarms
        .chain(relays)
        .chain(groups.filter_map(|group| group.lockdown_input.as_ref()))
        .chain(named)
}

fn virtual_params(config: &Config) -> anyhow::Result<VirtualParams> {
    let mut lines = vec![];
    for (id, line) in &config.lines {
        match &line.driver {
            LineDriver::Contact(_) | LineDriver::FrontEnd(_) => {}
            LineDriver::Virtual(v) => lines.push(VirtualLine {
                capture: Source::parse(&v.capture.to_string())
                    .with_context(|| format!("lines.{id}.virtual.capture"))?,
                line: id.clone(),
                record: match &v.playback {
                    Playback::Discard => None,
                    Playback::File(path) => Some(path.clone()),
                },
            }),
        }
    }
    let held = config.inputs.iter().filter(|(_, input)| match &input.driver {
        InputDriver::Virtual(input) => input.active_at_start,
        InputDriver::Gpio(_)
        | InputDriver::Modbus(_)
        | InputDriver::Mqtt(_)
        | InputDriver::Osdp(_)
        | InputDriver::Webhook(_) => false,
    });
    Ok(VirtualParams {
        held: held.map(|(id, _)| id.clone()).collect(),
        inputs: config
            .inputs
            .iter()
            .filter(|(_, i)| i.driver.is_virtual())
            .map(|(id, _)| id.clone())
            .collect(),
        lines,
        readers: config
            .readers
            .iter()
            .filter(|(_, r)| r.driver.is_virtual())
            .map(|(id, _)| id.clone())
            .collect(),
    })
}

/// Name of the adapter of one input. The longest names of inputs leave no room for the prefix.
pub(super) fn device_name(input: &InputId) -> String {
    let name = format!("gpio-{input}");
    DeviceId::new(&name).map_or_else(|_| input.to_string(), |_| name)
}

/// Name of a reader among the devices.
pub(super) fn reader_name(reader: &ReaderId) -> String {
    let name = format!("reader-{reader}");
    DeviceId::new(&name).map_or_else(|_| reader.to_string(), |_| name)
}

/// One adapter for each line of a chip, so that a change of one input costs no edge of another. rppal watches its
/// pins with one thread, and all of them begin anew if one changes.
fn gpio_inputs(config: &Config) -> BTreeMap<String, GpioInputs> {
    let mut adapters: BTreeMap<String, GpioInputs> = BTreeMap::new();
    for (id, input) in &config.inputs {
        let InputDriver::Gpio(pin) = &input.driver else {
            continue;
        };
        let (name, backend) = match pin.backend {
            gateway_config::Backend::Gpiocdev => (device_name(id), adapter_gpio::Backend::Gpiocdev),
            gateway_config::Backend::Rppal => (RPPAL.to_owned(), adapter_gpio::Backend::Rppal),
        };
        let adapter = adapters.entry(name).or_insert_with(|| GpioInputs {
            backend,
            chip: pin.chip.clone(),
            lines: vec![],
        });
        adapter.lines.push(adapter_gpio::InputLine {
            active_low: pin.active_low,
            bias: bias(pin.bias),
            debounce: pin.debounce,
            input: id.clone(),
            line: pin.line,
            pulsed: senses_a_lock(config, id),
        });
    }
    adapters
}

/// Is it wired across the strike of a panel's lock? Those are of AC more often than not.
fn senses_a_lock(config: &Config, input: &InputId) -> bool {
    let mut senses = config.doors.values().filter_map(|door| door.lock_sense.as_ref());
    senses.any(|of| of.input == *input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(inputs: &str) -> Config {
        let text = include_str!("../../../config/examples/minimal.toml");
        let text = format!("{text}\n{inputs}");
        let dir = tempfile::tempdir().expect("a folder");
        let loaded = gateway_config::parse(
            "site.toml",
            dir.path(),
            &text,
            gateway_config::SecretFiles::WhereFound,
        );
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn a_new_or_changed_pin_leaves_the_adapters_of_the_others_as_they_are() {
        let before = gpio_inputs(&site(
            "[inputs.one.gpio]\nline = 20\n[inputs.two.gpio]\nline = 21\n[inputs.old.gpio]\nline = 22\n\
             [inputs.b.gpio]\nline = 23\nbackend = \"rppal\"\n[inputs.a.gpio]\nline = 24\nbackend = \"rppal\"",
        ));
        let after = gpio_inputs(&site(
            "[inputs.aaa.gpio]\nline = 19\n[inputs.one.gpio]\nline = 20\n[inputs.two.gpio]\nline = 22\n\
             [inputs.b.gpio]\nline = 23\nbackend = \"rppal\"\n[inputs.a.gpio]\nline = 24\nbackend = \"rppal\"",
        ));
        assert!(before.contains_key("gpio-one") && before["gpio-one"].lines.len() == 1);
        assert_eq!(before.get("gpio-one"), after.get("gpio-one"));
        assert_ne!(before.get("gpio-two"), after.get("gpio-two"));
        assert!(!after.contains_key("gpio-old"));
        assert_eq!(before["rppal"].lines.len(), 2);
        assert_eq!(before["rppal"], after["rppal"]);
    }

    #[tokio::test]
    async fn an_adapter_that_does_not_end_is_ended_before_its_successor_starts() {
        let line = Arc::new(());
        let held = Arc::clone(&line);
        let stuck = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        assert!(!end(stuck, Duration::from_millis(20)).await);
        assert_eq!(Arc::strong_count(&line), 1, "it still holds its line");
        assert!(end(tokio::spawn(async {}), Duration::from_secs(60)).await);
    }

    #[test]
    fn the_longest_name_of_an_input_is_still_a_device() {
        let longest: InputId = "x".repeat(40).parse().expect("a name");
        assert!(DeviceId::new(&device_name(&longest)).is_ok());
    }
}
