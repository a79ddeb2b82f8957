//! The story: a visitor rings, somebody answers, talks, presses 9, the strike closes and releases.
//!
//! Nothing is told that was not seen by a witness other than the part that did it: the phone, the relay's edge
//! file, an MQTT client, the journal's own verifier.

use std::io::Write;
use std::time::{Duration, Instant};

use adapter_virtual::Watch;
use anyhow::{Context, bail, ensure};
use gateway_core::LineId;
use serde_json::Value;

use crate::demo::observer::Observer;
use crate::demo::phone::Phone;
use crate::run::Gateway;

/// Longest wait for any one step.
const STEP: Duration = Duration::from_secs(6);
/// Sound of half a second must have been heard.
const SOUND_FRAMES: u64 = 50;

/// Prints the story as it goes.
pub(crate) struct Teller {
    began: Instant,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// One line: when, who, what.
    pub(crate) fn say(&self, who: &str, what: &str) {
        let line = format!("{:8.3} s  {who:<10} {what}\n", self.began.elapsed().as_secs_f64());
        // a closed terminal must not stop the story
        let _ = std::io::stdout().write_all(line.as_bytes());
    }
}

/// Plays it; an error says which step was not seen.
pub(crate) async fn play(
    gateway: &Gateway,
    phone: &mut Phone,
    observer: &Observer,
    watch: &mut Watch,
    tell: &Teller,
) -> anyhow::Result<()> {
    let line = LineId::new("riser")?;
    watch.poll().context("the virtual relays cannot be watched")?;
    let sim = gateway.simulator();
    let press = serde_json::json!({ "act": "press", "panel": "main", "button": "bell", "ms": 300 });
    tell.say("visitor", "presses the bell of the main entrance");
    sim.act(press, std::future::pending())
        .await
        .map_err(anyhow::Error::msg)?;
    let rang = observer.record("panel.ring", |_| true, STEP).await?;
    let ring = rang["ring_id"].as_str().context("the ring has no id")?.to_owned();
    tell.say("mqtt", &format!("ring {ring}"));

    let leg = tokio::time::timeout(STEP, phone.talking())
        .await
        .context("the phone was not called")?;
    let leg = leg.context("the call ended before it was answered")?;
    let of_ring = |record: &Value| record["ring_id"] == ring.as_str();
    observer.record("call.answered", of_ring, STEP).await?;
    tell.say("phone", "rang and was answered");

    let levels = gateway.levels(&line).context("the line has no sound")?;
    let heard = || (phone.heard_frames(), levels.heard_frames());
    let deadline = Instant::now() + STEP;
    while heard().0 < SOUND_FRAMES || heard().1 < SOUND_FRAMES {
        ensure!(
            Instant::now() < deadline,
            "sound is missing: the phone heard {} and the visitor {} frames of 10 ms",
            heard().0,
            heard().1
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell.say(
        "sound",
        "the phone hears the visitor, the visitor hears the phone",
    );

    phone.press(leg, '9')?;
    tell.say("phone", "presses 9");
    let granted = observer.record("door.granted", of_ring, STEP).await?;
    let rule = granted["rule"].as_str().unwrap_or_default().to_owned();
    tell.say("access", &format!("granted: {rule}"));
    let on = edge(watch, true).await?;
    tell.say("relay", "closed, seen at the relay itself");
    let off = edge(watch, false).await?;
    let pulse = Duration::from_nanos(off.saturating_sub(on));
    tell.say("relay", &format!("released after {:.3} s", pulse.as_secs_f64()));
    ensure!(
        pulse >= Duration::from_millis(2500),
        "the strike was released after {pulse:?}, 3 s are configured"
    );
    observer.record("door.relocked", of_ring, STEP).await?;

    phone.hang_up(leg).await?;
    tokio::time::timeout(STEP, phone.over())
        .await
        .context("the phone's call did not end")?;
    observer.record("call.ended", of_ring, STEP).await?;
    tell.say("phone", "hangs up");

    let story = gateway.story(&ring)?;
    let told = observer.of_ring(&ring, story, STEP).await?;
    tell.say(
        "mqtt",
        &format!("{told} messages of this ring read back by a client"),
    );
    let verified = gateway.verify()?;
    tell.say("journal", &verified);
    Ok(())
}

/// Waits for the next edge of the strike's relay and gives its time in nanoseconds.
async fn edge(watch: &mut Watch, energised: bool) -> anyhow::Result<u64> {
    let deadline = Instant::now() + STEP;
    while Instant::now() < deadline {
        for edge in watch.poll()? {
            if edge.output == "front-strike" {
                if edge.energised != energised {
                    bail!("the relay moved the wrong way: {edge:?}");
                }
                return Ok(edge.at_ns);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!(
        "the relay did not {}",
        if energised { "close" } else { "release" }
    )
}
