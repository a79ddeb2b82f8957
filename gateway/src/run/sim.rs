//! Carries out the requests of `doorline sim`. Only devices that are configured virtual can be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use adapter_virtual::{Injection, Source, VirtualHandle};
use gateway_bus::Bus;
use gateway_core::{
    ButtonId, Clock as _, Command, CommandId, CommandReply, CommandRequest, Factor, Given, InputId,
    LineSignal, Origin, PanelId, Subject,
};
use serde_json::{Value, json};

use crate::clock::SystemClock;

/// What inputs are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    /// Input of each button that has one.
    pub(crate) buttons: BTreeMap<(PanelId, ButtonId), InputId>,
    /// What each input is used as: `button`, `contact`, `fire`, `lock-sense`, `rex`, `tamper` or `watched`.
    pub(crate) uses: BTreeSet<(InputId, &'static str)>,
}

impl Inputs {
    /// Refuses an input that is not used as one of `kinds`: nobody would see that nothing happens.
    fn is_one_of(&self, input: &InputId, kinds: &[&str]) -> Result<(), String> {
        let uses = |input| {
            let of = self.uses.iter().filter(move |(i, _)| i == input);
            of.map(|(_, kind)| *kind).collect::<Vec<_>>()
        };
        let found = uses(input);
        if found.iter().any(|kind| kinds.contains(kind)) {
            return Ok(());
        }
        let found = if found.is_empty() {
            "used by nothing".to_owned()
        } else {
            format!("a {} input", found.join(" and "))
        };
        let right = self.uses.iter().filter(|(_, kind)| kinds.contains(kind));
        let mut right: Vec<&str> = right.map(|(input, _)| input.as_str()).collect();
        right.dedup();
        let right = if right.is_empty() {
            "none".to_owned()
        } else {
            right.join(", ")
        };
        Err(format!(
            "input {input} is {found}, not {}; there is: {right}",
            kinds.join(" or ")
        ))
    }
}

/// What `doorline sim` reaches.
#[derive(Clone)]
pub(crate) struct Simulator {
    pub(crate) bus: Bus,
    /// Panels, their buttons and all inputs; shared, because a new configuration changes them.
    pub(crate) inputs: Arc<RwLock<Inputs>>,
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

fn number(request: &Value, key: &str, most: u64) -> Result<u64, String> {
    let found = request.get(key).ok_or_else(|| format!("{key:?} is missing"))?;
    found
        .as_u64()
        .filter(|n| (1..=most).contains(n))
        .ok_or_else(|| format!("{key}: {found} is not allowed; allowed are 1 to {most}"))
}

fn duration(request: &Value, key: &str) -> Result<Duration, String> {
    let ms = match request.get(key) {
        None => 300,
        Some(_) => number(request, key, 60_000)?,
    };
    Ok(Duration::from_millis(ms))
}

impl Simulator {
    /// Carries out one request of `commands/sim.rs`. What is held is let go when `left` is over.
    pub(crate) async fn act(self, request: Value, left: impl Future<Output = ()>) -> Result<Value, String> {
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
                let input = name(&request, "input")?;
                self.fits(&request, &input)?;
                self.inject(Injection::Input { active, input }).await
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
            "noise" => {
                let input = name(&request, "input")?;
                let hz = number(&request, "hz", 50_000)?;
                self.noise(&input, hz, duration(&request, "ms")?, left).await
            }
            "press" => self.press(&request, left).await,
            "pulse" => {
                let input: InputId = name(&request, "input")?;
                self.fits(&request, &input)?;
                self.pulse(&input, duration(&request, "ms")?, 0, left).await
            }
            "speak" => {
                // a file is read, and may lie on a slow medium: others have work on this thread
                let what = text(&request, "what")?.to_owned();
                let source = tokio::task::spawn_blocking(move || Source::parse(&what)).await;
                let source = source
                    .map_err(|_| "the gateway stops")?
                    .map_err(|e| e.to_string())?;
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

    /// A request that says what its input is for must name one of that kind.
    fn fits(&self, request: &Value, input: &InputId) -> Result<(), String> {
        let kinds: &[&str] = match request.get("kind").and_then(Value::as_str) {
            None => return Ok(()),
            // a tamper contact, a lock sense and what else is watched are moved as a door contact is
            Some("contact") => &["contact", "lock-sense", "tamper", "watched"],
            Some("fire") => &["fire"],
            Some("rex") => &["rex"],
            Some(other) => return Err(format!("{other:?} is not a kind of input")),
        };
        let inputs = self.inputs.read().map_err(|_| "the gateway stops")?;
        inputs.is_one_of(input, kinds)
    }

    async fn inject(&self, injection: Injection) -> Result<Value, String> {
        let site = self.virtual_site.read().map_err(|_| "the gateway stops")?.clone();
        site.inject(injection)
            .await
            .map(|()| Value::Null)
            .map_err(|e| e.to_string())
    }

    /// A button with a virtual input is pressed there; one without is pressed by command.
    async fn press(&self, request: &Value, left: impl Future<Output = ()>) -> Result<Value, String> {
        let (panel, button): (PanelId, ButtonId) = (name(request, "panel")?, name(request, "button")?);
        let input = {
            let inputs = self.inputs.read().map_err(|_| "the gateway stops")?;
            inputs.buttons.get(&(panel.clone(), button.clone())).cloned()
        };
        if let Some(input) = input {
            let bounce = request
                .get("bounce")
                .and_then(Value::as_u64)
                .unwrap_or(0)
                .min(100);
            return self.pulse(&input, duration(request, "ms")?, bounce, left).await;
        }
        let at = SystemClock.now();
        let id = CommandId::new(&format!("sim-{}", at.as_nanos())).ok_or("no id")?;
        let origin = Origin {
            factor: Factor::Local,
            may_simulate: true,
            subject: Subject::User("sim".into()),
        };
        let command = Command::Press { button, panel };
        let request = CommandRequest {
            command,
            given: Given::Live(at),
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

    /// Edges at that rate, as even as a timer of 1 ms makes them; ends at rest. Tells how many there were, and how long it took.
    async fn noise(
        &self,
        input: &InputId,
        hz: u64,
        length: Duration,
        left: impl Future<Output = ()>,
    ) -> Result<Value, String> {
        tokio::pin!(left);
        let set = |active| {
            self.inject(Injection::Input {
                active,
                input: input.clone(),
            })
        };
        let began = tokio::time::Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let mut edges = 0_u64;
        while began.elapsed() < length {
            tokio::select! {
                _ = tick.tick() => {}
                () = &mut left => break,
            }
            let due =
                u64::try_from(u128::from(hz) * began.elapsed().as_micros() / 1_000_000).unwrap_or(u64::MAX);
            while edges < due {
                edges += 1;
                set(edges % 2 == 1).await?;
            }
        }
        set(false).await?;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(json!({ "edges": edges, "ms": ms }))
    }

    async fn pulse(
        &self,
        input: &InputId,
        length: Duration,
        bounce: u64,
        left: impl Future<Output = ()>,
    ) -> Result<Value, String> {
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
        let _ = tokio::time::timeout(length, left).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_of_another_kind_is_refused_by_name() {
        let id = |name: &str| name.parse::<InputId>().expect("a name");
        let inputs = Inputs {
            buttons: BTreeMap::new(),
            uses: [
                (id("bell"), "button"),
                (id("smoke"), "fire"),
                (id("leaf"), "contact"),
            ]
            .into(),
        };
        assert_eq!(inputs.is_one_of(&id("smoke"), &["fire"]), Ok(()));
        assert_eq!(
            inputs.is_one_of(&id("bell"), &["fire"]),
            Err("input bell is a button input, not fire; there is: smoke".to_owned())
        );
        assert_eq!(
            inputs.is_one_of(&id("spare"), &["rex"]),
            Err("input spare is used by nothing, not rex; there is: none".to_owned())
        );
    }
}
