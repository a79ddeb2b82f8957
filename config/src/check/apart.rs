//! What devices of others must not share: a token that says which of them it is, and a topic on which one would hear what
//! the gateway says to another.

use std::path::PathBuf;

use gateway_core::Secret;

use super::Check;
use super::deed::Deed;
use super::resource::Claims;
use crate::fault::FaultKind;
use crate::model::{InputDriver, OutputDriver};
use crate::value::Topic;

/// What switches relays of others, whatever the outputs are called.
#[derive(Default)]
pub(super) struct Orders {
    /// Order and place, and whether it is a request: a message that rests nothing there may be, a request that does nothing there is not.
    off: Vec<(String, String, Sent)>,
    /// And what each does.
    on: Vec<(String, String, Deed)>,
}

/// How an order goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// To a topic of the broker.
    Message,
    /// To a server.
    Request,
}

impl Orders {
    /// Those of the output that is told at `at`.
    pub(super) fn add(&mut self, at: &str, sent: Sent, (on, off): (String, String), deed: Deed) {
        // that both are one is a fault of that output alone
        if on != off {
            self.off.push((off, format!("{at}.off"), sent));
        }
        self.on.push((on, format!("{at}.on"), deed));
    }

    /// What energises two outputs, or rests one and energises another, is refused, and so is a request that rests two; a message
    /// that does is told.
    pub(super) fn report(self, check: &mut Check<'_>) {
        let Self { off, on } = self;
        for (n, (order, at, deed)) in on.iter().enumerate() {
            let mut before = on.iter().take(n);
            let same = before.find(|(other, _, of)| other != order && of.is_that_of(deed));
            if let Some((_, other, _)) = same {
                let text = format!("switches the relay of {}, if for another time", check.cite(other));
                let hint = "allowed: one output for each relay";
                check.fault(FaultKind::Duplicate, at, &[other], text, hint);
            }
        }
        for (n, (order, at, sent)) in off.iter().enumerate() {
            if let Some((_, other, _)) = on.iter().find(|(energises, ..)| energises == order) {
                let text = format!("is what energises another relay ({})", check.cite(other));
                let hint = "allowed: what brings this relay to rest and no other one on";
                check.fault(FaultKind::Unsafe, at, &[other], text, hint);
            } else if let Some((_, other, _)) = off.iter().take(n).find(|(rests, ..)| rests == order) {
                if *sent == Sent::Request {
                    let text = format!("is what brings the relay of {} to rest", check.cite(other));
                    let hint =
                        "allowed: one output for each relay, and for each a request that rests it alone";
                    check.fault(FaultKind::Duplicate, at, &[other], text, hint);
                    continue;
                }
                let text = format!(
                    "also brings another relay to rest ({}): a pulse there would end with one here",
                    check.cite(other)
                );
                let hint = "take what brings this relay alone to rest, unless it does nothing at all";
                check.warn(FaultKind::Conflict, at, text, hint);
            }
        }
        let mut claims = Claims::new();
        for (order, at, _) in on {
            claims.add(order, at);
        }
        claims.report(check, |order| order.clone(), "allowed: one output for each relay");
    }
}

pub(super) fn check(check: &mut Check<'_>) {
    tokens(check);
    topics(check);
}

/// What a webhook is known by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    File(PathBuf),
    Token(Secret),
}

/// Whoever has the token of one webhook could be any other that has the same.
fn tokens(check: &mut Check<'_>) {
    let mut tokens = Claims::new();
    for (id, input) in &check.config.inputs {
        let InputDriver::Webhook(hook) = &input.driver else {
            continue;
        };
        let at = format!("inputs.{id}.webhook");
        let (token, file) = (format!("{at}.token"), format!("{at}.token-file"));
        let place = if check.is_written(&token) { token } else { file };
        // files are not always read
        match (&hook.token, &hook.token_file) {
            (Some(token), _) => tokens.add(Known::Token(token.clone()), place),
            (None, Some(file)) => tokens.add(Known::File(file.clone()), place),
            (None, None) => {}
        }
    }
    let hint = "allowed: a token of its own for each webhook, such as openssl rand -hex 24 prints";
    tokens.report(check, |_| "this token".to_owned(), hint);
}

/// Topics that the gateway sends to are no place where devices say how they are: it would believe itself.
fn topics(check: &mut Check<'_>) {
    let config = check.config;
    let mut told: Vec<(&Topic, String)> = Vec::new();
    let mut heard: Vec<(&Topic, String)> = Vec::new();
    for (id, output) in &config.outputs {
        let OutputDriver::Mqtt(mqtt) = &output.driver else {
            continue;
        };
        let at = format!("outputs.{id}.mqtt");
        told.push((&mqtt.topic, format!("{at}.topic")));
        told.extend(
            mqtt.ask_topic
                .iter()
                .map(|topic| (topic, format!("{at}.ask-topic"))),
        );
        heard.extend(
            mqtt.state_topic
                .iter()
                .map(|topic| (topic, format!("{at}.state-topic"))),
        );
        heard.extend(
            mqtt.availability
                .iter()
                .map(|of| (&of.topic, format!("{at}.availability.topic"))),
        );
    }
    for (id, input) in &config.inputs {
        let InputDriver::Mqtt(mqtt) = &input.driver else {
            continue;
        };
        let at = format!("inputs.{id}.mqtt");
        heard.push((&mqtt.topic, format!("{at}.topic")));
        heard.extend(
            mqtt.availability
                .iter()
                .map(|of| (&of.topic, format!("{at}.availability.topic"))),
        );
    }
    for (topic, at) in heard {
        let Some((_, sent)) = told.iter().find(|(told, _)| *told == topic) else {
            continue;
        };
        let text = format!(
            "{topic} is where the gateway itself sends to ({}): it would take its own commands for what a device says",
            check.cite(sent)
        );
        let hint = "allowed: the topic on which the device itself tells how it is";
        check.fault(FaultKind::Conflict, &at, &[sent], text, hint);
    }
}
