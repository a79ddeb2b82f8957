//! Starting, watching, changing and ending the interface.

use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::{Clock, Seq};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::driver::Driver;
use crate::params::MqttParams;

/// How long [`MqttHandle::shutdown`] may take; the parts of the farewell together take less.
const END: Duration = Duration::from_secs(4);

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttStatus {
    /// The broker has taken our connection.
    pub connected: bool,
    /// What is wrong and what to do; `None` if nothing.
    pub fault: Option<String>,
    /// Last record that the broker has acknowledged with all before it.
    pub published: Seq,
    /// Commands that could not be read or were too many, since start; refusals of the core are not counted.
    pub refused: u64,
    /// Instance id of another live gateway that publishes under our name.
    pub second_instance: Option<String>,
    /// What others do on our topics and only a person can end; `None` if nothing.
    pub topics: Option<String>,
}

/// How long things take; tests shorten it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Between two questions to the broker what commands it keeps.
    pub(crate) keeps: Duration,
    /// How soon we say again that we are here to whoever keeps saying that we are away.
    pub(crate) mend: Duration,
    /// Refusals without a record each are counted for so long before their number is put on record.
    pub(crate) report: Duration,
    /// First pause before another try to connect; doubles up to `retry_max`.
    pub(crate) retry: Duration,
    /// Longest pause.
    pub(crate) retry_max: Duration,
    /// Something published is not acknowledged for so long: the connection is made anew.
    pub(crate) stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            keeps: Duration::from_secs(5),
            mend: Duration::from_secs(10),
            report: Duration::from_secs(20),
            retry: Duration::from_millis(500),
            retry_max: Duration::from_secs(30),
            stall: Duration::from_secs(60),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) params: MqttParams,
    pub(crate) stop: bool,
}

/// The running interface. Dropping it without [`shutdown`](Self::shutdown) ends it like a crash: the last will speaks.
pub struct MqttHandle {
    control: watch::Sender<Control>,
    status: watch::Receiver<MqttStatus>,
    task: JoinHandle<()>,
}

/// Starts the interface; it connects once the core has shown its first picture of the site, and tries again for
/// as long as it runs. Must be called within a tokio runtime.
#[must_use]
pub fn start(params: MqttParams, bus: Bus, clock: Arc<dyn Clock>) -> MqttHandle {
    start_with(params, bus, clock, Timing::default())
}

pub(crate) fn start_with(params: MqttParams, bus: Bus, clock: Arc<dyn Clock>, timing: Timing) -> MqttHandle {
    let (control, orders) = watch::channel(Control { params, stop: false });
    let (tell, status) = watch::channel(MqttStatus::default());
    let task = tokio::spawn(Driver::new(bus, clock, timing, orders, tell).run());
    MqttHandle {
        control,
        status,
        task,
    }
}

impl MqttHandle {
    /// How it goes; changes wake the receiver.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<MqttStatus> {
        self.status.clone()
    }

    /// Takes new parameters. Time to live and `accept_untimed` act at once; others end the connection in good
    /// order and make it anew, and topics that are no longer used are cleared. Equal parameters do nothing.
    pub fn apply(&self, params: MqttParams) {
        self.control.send_if_modified(|control| {
            let new = control.params != params;
            control.params = params;
            new
        });
    }

    /// Publishes what is durable, says `offline` and disconnects; what the broker does not take within 3 s is
    /// published after the next start.
    pub async fn shutdown(mut self) {
        self.control.send_modify(|control| control.stop = true);
        if tokio::time::timeout(END, &mut self.task).await.is_err() {
            tracing::warn!("the MQTT interface did not end in time");
        }
    }
}

impl Drop for MqttHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
