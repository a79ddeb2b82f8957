//! Carries out the requests of `doorline sim`. Only devices that are configured virtual can be reached.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_virtual::{Injection, Source, VirtualHandle};
use gateway_bus::Bus;
use gateway_core::{
    ButtonId, Command, CommandId, CommandReply, CommandRequest, Factor, InputId, LineSignal, Origin, PanelId,
    Subject, Timestamp,
};
use serde_json::{Value, json};

/// Input of each button that has one.
pub(crate) type ButtonInputs = BTreeMap<(PanelId, ButtonId), InputId>;

/// What `doorline sim` reaches.
#[derive(Clone)]
pub(crate) struct Simulator {
    pub(crate) bus: Bus,
    /// Panels and their buttons; shared, because a new configuration changes them.
    pub(crate) buttons: Arc<RwLock<ButtonInputs>>,
    pub(crate) virtual_site: Arc<RwLock<VirtualHandle>>,
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str, String> {
    request
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{key:?} is missing or not a text"))
}

fn name<T: std::str::FromStr<Err = gateway_core::NameError>>(
    request: &Value,
    key: &str,
) -> Result<T, String> {
    text(request, key)?.parse().map_err(|e| format!("{key}: {e}"))
}

fn duration(request: &Value, key: &str) -> Duration {
    Duration::from_millis(
        request
            .get(key)
            .and_then(Value::as_u64)
            .unwrap_or(300)
            .min(60_000),
    )
}

impl Simulator {
    /// Carries out one request of `commands/sim.rs`.
    pub(crate) async fn act(self, request: Value) -> Result<Value, String> {
        match text(&request, "act")? {
            "card" => {
                let frame = gateway_site::card_frame(text(&request, "card")?).map_err(|e| e.to_string())?;
                self.inject(Injection::Card {
                    frame,
                    reader: name(&request, "reader")?,
                })
                .await
            }
            "input" => {
                let active = request
                    .get("active")
                    .and_then(Value::as_bool)
                    .ok_or("\"active\" is missing")?;
                self.inject(Injection::Input {
                    active,
                    input: name(&request, "input")?,
                })
                .await
            }
            "keys" => {
                let reader: gateway_core::ReaderId = name(&request, "reader")?;
                for key in text(&request, "keys")?.chars() {
                    if !matches!(key, '0'..='9' | '*' | '#') {
                        return Err(format!("{key:?} is not a key; allowed are 0-9 * #"));
                    }
                    self.inject(Injection::Key {
                        key,
                        reader: reader.clone(),
                    })
                    .await?;
                }
                Ok(Value::Null)
            }
            "line" => {
                let signal = line_signal(text(&request, "signal")?)?;
                self.inject(Injection::Line {
                    line: name(&request, "line")?,
                    signal,
                })
                .await
            }
            "press" => self.press(&request).await,
            "pulse" => {
                let input: InputId = name(&request, "input")?;
                self.pulse(&input, duration(&request, "ms"), 0).await
            }
            "speak" => {
                let source = Source::parse(text(&request, "what")?).map_err(|e| e.to_string())?;
                self.inject(Injection::Speak {
                    line: name(&request, "line")?,
                    source,
                })
                .await
            }
            other => Err(format!(
                "{other:?} is not an act of this gateway; is `doorline` of another version?"
            )),
        }
    }

    async fn inject(&self, injection: Injection) -> Result<Value, String> {
        let site = self.virtual_site.read().map_err(|_| "the gateway stops")?.clone();
        site.inject(injection)
            .await
            .map(|()| Value::Null)
            .map_err(|e| e.to_string())
    }

    /// A button with a virtual input is pressed there; one without is pressed by command.
    async fn press(&self, request: &Value) -> Result<Value, String> {
        let (panel, button): (PanelId, ButtonId) = (name(request, "panel")?, name(request, "button")?);
        let input = {
            let buttons = self.buttons.read().map_err(|_| "the gateway stops")?;
            buttons.get(&(panel.clone(), button.clone())).cloned()
        };
        if let Some(input) = input {
            let bounce = request
                .get("bounce")
                .and_then(Value::as_u64)
                .unwrap_or(0)
                .min(100);
            return self.pulse(&input, duration(request, "ms"), bounce).await;
        }
        let at = Timestamp::now();
        let id = CommandId::new(&format!("sim-{}", at.as_nanosecond())).ok_or("no id")?;
        let origin = Origin {
            factor: Factor::Local,
            may_simulate: true,
            subject: Subject::User("sim".into()),
        };
        let command = Command::Press { button, panel };
        let request = CommandRequest {
            at: Some(at),
            command,
            id,
            origin,
            stale_by_transport: false,
        };
        match self.bus.command(request).await {
            CommandReply::Accepted { ring, seq } => {
                Ok(json!({ "ring_id": ring.map(|r| r.to_string()), "seq": seq.0 }))
            }
            CommandReply::Refused { reason, text } => Err(format!("{reason}: {text}")),
        }
    }

    async fn pulse(&self, input: &InputId, length: Duration, bounce: u64) -> Result<Value, String> {
        let set = |active| {
            self.inject(Injection::Input {
                active,
                input: input.clone(),
            })
        };
        for edge in 0..bounce {
            set(edge % 2 == 0).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        set(true).await?;
        tokio::time::sleep(length).await;
        set(false).await
    }
}

fn line_signal(word: &str) -> Result<LineSignal, String> {
    Ok(match word {
        "busy" => LineSignal::BusyOther,
        "fault" => LineSignal::Fault,
        "handset-lifted" => LineSignal::HandsetLifted,
        "handset-replaced" => LineSignal::HandsetReplaced,
        "idle" => LineSignal::Idle,
        "ring" => LineSignal::Ring,
        "ring-stopped" => LineSignal::RingStopped,
        other => return Err(format!("{other:?} is not a line signal")),
    })
}
