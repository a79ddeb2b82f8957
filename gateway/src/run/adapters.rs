//! Starts the adapters a site needs, restarts those that fail, and says which of them has which line.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, AudioPort, Shutdown};
use adapter_virtual::{Source, VirtualDevice, VirtualHandle, VirtualLine, VirtualParams};
use gateway_config::{Config, InputDriver, LineDriver, Playback};
use gateway_core::{Clock, DeviceId, LineCommand, LineId, Signal};
use gateway_sip_io::SipHandle;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::run::faults::Faults;
use crate::run::lane::Lane;
use crate::run::lines::{Lines, QUEUE, Routes};
use crate::run::sim::ButtonInputs;

/// Signals that may wait for the core; adapters wait when it is full, nothing is lost.
const SIGNALS: usize = 256;
/// First pause before an adapter is started again; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The running adapters.
pub(crate) struct Adapters {
    buttons: Arc<RwLock<ButtonInputs>>,
    clock: Arc<dyn Clock>,
    config: Config,
    /// Where they run: beside the core.
    doors: Handle,
    routes: watch::Sender<Routes>,
    running: Vec<Running>,
    signals: mpsc::Sender<Signal>,
    virtual_site: Arc<RwLock<VirtualHandle>>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Adapters {
    /// Starts what the site configures; signals of all of them come out of one queue.
    pub(crate) fn start(
        config: &Config,
        clock: &Arc<dyn Clock>,
        doors: &Lane,
        sip: &SipHandle,
        faults: &Faults,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Signal>)> {
        let (signals, queue) = mpsc::channel(SIGNALS);
        let (routes, _) = watch::channel(Routes::new());
        let (_, handle) = VirtualDevice::new(VirtualParams::default());
        let mut adapters = Self {
            buttons: Arc::new(RwLock::new(buttons(config))),
            clock: Arc::clone(clock),
            config: config.clone(),
            doors: doors.handle().clone(),
            routes,
            running: vec![],
            signals,
            virtual_site: Arc::new(RwLock::new(handle)),
        };
        adapters.begin(sip, faults)?;
        Ok((adapters, queue))
    }

    /// Takes a new site; adapters are started anew only if a device of theirs changed.
    pub(crate) async fn apply(
        &mut self,
        new: &Config,
        sip: &SipHandle,
        faults: &Faults,
    ) -> anyhow::Result<()> {
        if let Ok(mut known) = self.buttons.write() {
            *known = buttons(new);
        }
        let same = self.config.inputs == new.inputs
            && self.config.readers == new.readers
            && self
                .config
                .lines
                .iter()
                .map(|(id, l)| (id, &l.driver))
                .eq(new.lines.iter().map(|(id, l)| (id, &l.driver)));
        self.config = new.clone();
        if same {
            return Ok(());
        }
        self.end().await;
        self.begin(sip, faults)
    }

    /// Input of each button.
    pub(crate) fn buttons(&self) -> Arc<RwLock<ButtonInputs>> {
        Arc::clone(&self.buttons)
    }

    /// Where the core gives line commands.
    pub(crate) fn lines(&self) -> Lines {
        Lines::new(self.routes.subscribe())
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
        self.end().await;
    }

    async fn end(&mut self) {
        for running in self.running.drain(..) {
            let _ = running.stop.send(true);
            if tokio::time::timeout(Duration::from_secs(2), running.task)
                .await
                .is_err()
            {
                tracing::warn!("an adapter did not end in time");
            }
        }
    }

    fn begin(&mut self, sip: &SipHandle, faults: &Faults) -> anyhow::Result<()> {
        let handle = self.doors.clone();
        let _on_doors = handle.enter();
        let (audio, ports) = mpsc::channel(16);
        tokio::spawn(attach(ports, sip.clone()));
        let params = virtual_params(&self.config)?;
        let mut routes = Routes::new();
        if !(params.inputs.is_empty() && params.lines.is_empty() && params.readers.is_empty()) {
            let (to, commands) = mpsc::channel(QUEUE);
            routes.extend(params.lines.iter().map(|l| (l.line.clone(), to.clone())));
            let (device, handle) = VirtualDevice::new(params);
            if let Ok(mut shared) = self.virtual_site.write() {
                *shared = handle;
            }
            let ctx = self.context("virtual", true, audio.clone(), commands)?;
            self.running.push(once(device, ctx, faults.clone()));
        }
        self.routes.send_replace(routes);
        for (name, pins) in gpio_inputs(&self.config) {
            let (stop, shutdown) = Shutdown::new();
            let base = Base {
                audio: audio.clone(),
                clock: Arc::clone(&self.clock),
                device: DeviceId::new(&name)?,
                shutdown,
                signals: self.signals.clone(),
            };
            let task = tokio::spawn(keep_running(base, faults.clone(), move || pins.clone()));
            self.running.push(Running { stop, task });
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

/// What every start of a hardware adapter gets.
struct Base {
    audio: mpsc::Sender<(LineId, Box<dyn AudioPort>)>,
    clock: Arc<dyn Clock>,
    device: DeviceId,
    shutdown: Shutdown,
    signals: mpsc::Sender<Signal>,
}

/// Runs an adapter again and again until shutdown; its fault stands in the list meanwhile.
async fn keep_running<A: Adapter>(mut base: Base, faults: Faults, make: impl Fn() -> A + Send) {
    let part = format!("device:{}", base.device);
    let mut pause = FIRST;
    loop {
        // hardware inputs have no line of their own: the sender is dropped, and so nothing ever comes
        let (_, lines) = mpsc::channel(1);
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
        match make().run(ctx).await {
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
    device: VirtualDevice,
    (stop, ctx): (watch::Sender<bool>, AdapterContext),
    faults: Faults,
) -> Running {
    let task = tokio::spawn(async move {
        if let Err(error) = device.run(ctx).await {
            tracing::error!(%error, "the virtual devices ended");
            faults.set("device:virtual", Some(error.to_string()));
        }
    });
    Running { stop, task }
}

/// Gives the audio of lines to the SIP engine.
async fn attach(mut ports: mpsc::Receiver<(LineId, Box<dyn AudioPort>)>, sip: SipHandle) {
    while let Some((line, port)) = ports.recv().await {
        if sip.attach_line(line, port).is_err() {
            return;
        }
    }
}

fn buttons(config: &Config) -> ButtonInputs {
    let of_panel = |(panel, p): (&gateway_core::PanelId, &gateway_config::Panel)| {
        let inputs = p
            .buttons
            .iter()
            .filter_map(|(button, b)| Some((button.clone(), b.input.clone()?)));
        inputs
            .map(|(button, input)| ((panel.clone(), button), input))
            .collect::<Vec<_>>()
    };
    config.panels.iter().flat_map(of_panel).collect()
}

fn virtual_params(config: &Config) -> anyhow::Result<VirtualParams> {
    let mut lines = vec![];
    for (id, line) in &config.lines {
        match &line.driver {
            LineDriver::Contact(_) => {}
            LineDriver::Virtual(v) => lines.push(VirtualLine {
                capture: Source::parse(&v.capture.to_string())?,
                line: id.clone(),
                record: match &v.playback {
                    Playback::Discard => None,
                    Playback::File(path) => Some(path.clone()),
                },
            }),
        }
    }
    Ok(VirtualParams {
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

/// One adapter for each chip and back end, with its name.
fn gpio_inputs(config: &Config) -> Vec<(String, adapter_gpio::GpioInputs)> {
    let mut chips: BTreeMap<(std::path::PathBuf, bool), Vec<adapter_gpio::InputLine>> = BTreeMap::new();
    for (id, input) in &config.inputs {
        let InputDriver::Gpio(pin) = &input.driver else {
            continue;
        };
        let rppal = matches!(pin.backend, gateway_config::Backend::Rppal);
        chips
            .entry((pin.chip.clone(), rppal))
            .or_default()
            .push(adapter_gpio::InputLine {
                active_low: pin.active_low,
                bias: match pin.bias {
                    gateway_config::Bias::AsIs => adapter_gpio::Bias::AsIs,
                    gateway_config::Bias::Disabled => adapter_gpio::Bias::Disabled,
                    gateway_config::Bias::PullDown => adapter_gpio::Bias::PullDown,
                    gateway_config::Bias::PullUp => adapter_gpio::Bias::PullUp,
                },
                debounce: pin.debounce,
                input: id.clone(),
                line: pin.line,
            });
    }
    let adapter = |(n, ((chip, rppal), lines))| {
        let backend = if rppal {
            adapter_gpio::Backend::Rppal
        } else {
            adapter_gpio::Backend::Gpiocdev
        };
        (
            format!("gpio-{n}"),
            adapter_gpio::GpioInputs { backend, chip, lines },
        )
    };
    chips.into_iter().enumerate().map(adapter).collect()
}
