//! The switch port of a running gateway: starts its adapter, leaves it alone while nothing of it changes, and says what
//! is risky about it. It runs beside the network's work, not on the doors' thread.

use std::sync::Arc;
use std::time::Duration;

use adapter_api::Shutdown;
use adapter_dot1x::Dot1x;
use gateway_config::{Config, Late};
use gateway_core::{Clock, DeviceId, Signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::run::adapters::{Base, keep_running};
use crate::run::faults::Faults;
use crate::run::params;

/// Name of the adapter, and source of its events.
const NAME: &str = "dot1x";
/// Standing fault while any authentication server is taken.
const RISK: &str = "port:dot1x/server";
/// Standing fault while a file of the port is wrong.
const FILES: &str = "port:dot1x/files";

struct Running {
    adapter: Dot1x,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The port.
pub(crate) struct SwitchPort {
    clock: Arc<dyn Clock>,
    running: Option<Running>,
    signals: mpsc::Sender<Signal>,
}

impl SwitchPort {
    /// A port that is not looked after yet; call it within the general runtime.
    pub(crate) fn new(clock: &Arc<dyn Clock>, signals: mpsc::Sender<Signal>) -> Self {
        Self {
            clock: Arc::clone(clock),
            running: None,
            signals,
        }
    }

    /// Takes a site. What is wrong with a file stands as a fault and keeps no door shut.
    pub(crate) async fn apply(&mut self, config: &Config, faults: &Faults) -> anyhow::Result<()> {
        let (read, wall) = (config.clone(), self.clock.wall());
        // openssl may have to be asked
        let port = tokio::task::spawn_blocking(move || params::dot1x(&read, wall)).await?;
        let risk = config.dot1x.as_ref().is_some_and(|dot1x| dot1x.accept_any_server);
        faults.set(RISK, risk.then(risk_text));
        faults.set(FILES, (!port.faults.is_empty()).then(|| files_text(&port.faults)));
        for warning in &port.warnings {
            tracing::warn!(key = %warning.path, "{}", warning.text);
        }
        let wanted = port.adapter.as_ref().map(|adapter| &adapter.params);
        if self.running.as_ref().map(|running| &running.adapter.params) == wanted {
            return Ok(());
        }
        self.stop().await;
        let Some(adapter) = port.adapter else {
            return Ok(());
        };
        let (stop, shutdown) = Shutdown::new();
        // its lines have no audio
        let (audio, _) = mpsc::channel(1);
        let base = Base {
            audio,
            clock: Arc::clone(&self.clock),
            device: DeviceId::new(NAME)?,
            shutdown,
            signals: self.signals.clone(),
        };
        let make = adapter.clone();
        let task = tokio::spawn(keep_running(base, faults.clone(), move || make.clone()));
        self.running = Some(Running { adapter, stop, task });
        Ok(())
    }

    /// Ends it. The switch keeps the port as it is.
    pub(crate) async fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let _ = running.stop.send(true);
        if tokio::time::timeout(Duration::from_secs(3), running.task)
            .await
            .is_err()
        {
            tracing::warn!("the adapter of the switch port did not end in time");
        }
    }
}

fn risk_text() -> String {
    "accept-any-server is true: whoever holds the cable can pose as the network and collect the password; add ca-file \
     and server-names, and remove accept-any-server"
        .to_owned()
}

fn files_text(faults: &[Late]) -> String {
    let each = faults
        .iter()
        .map(|late| format!("{}: {} ({})", late.path, late.text, late.hint));
    format!("{}; then reload the gateway", each.collect::<Vec<_>>().join("; "))
}
