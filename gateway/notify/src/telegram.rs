//! Messages of a bot (Telegram Bot API, `sendMessage`).

use std::sync::Arc;
use std::time::Duration;

use gateway_core::Record;
use http::StatusCode;
use serde_json::{Value, json};

use crate::params::{Names, Telegram};
use crate::sent::NotSent;
use crate::text::dated;
use crate::webhook::Client;

/// Most UTF-16 units of a message are 4096; some room for the site's name.
const UNITS: usize = 3900;

/// As many lines as fit into a message, and how many records that is, at least one.
fn message(names: &Names, batch: &[Arc<Record>]) -> (String, usize) {
    let (mut text, mut units, mut told) = (names.site.clone(), names.site.encode_utf16().count(), 0);
    for record in batch {
        let line: String = dated(record, &names.time_zone).chars().take(1000).collect();
        units += line.encode_utf16().count() + 1;
        if told > 0 && units > UNITS {
            break;
        }
        text += "\n";
        text += &line;
        told += 1;
    }
    (text, told)
}

/// Tells as many records as a message holds.
pub(crate) async fn send(to: &Telegram, names: &Names, batch: &[Arc<Record>]) -> Result<usize, NotSent> {
    let (text, told) = message(names, batch);
    let path = format!(
        "{}/bot{}/sendMessage",
        to.api.path.trim_end_matches('/'),
        to.token.reveal()
    );
    let body = json!({ "chat_id": to.chat, "text": text }).to_string();
    let mut client = Client::new(&to.api, to.ca_file.as_deref());
    let json = [("content-type", "application/json".to_owned())];
    let (status, wait, answer) = client.post(&path, &json, body.into_bytes()).await?;
    if status.is_success() {
        return Ok(told);
    }
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let said: String = answer["description"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    let wait = answer["parameters"]["retry_after"].as_u64().or(wait);
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => ": check the bot's token",
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
            ": check the chat, and that the bot may write there"
        }
        _ => "; it is tried again",
    };
    Err(NotSent::Later {
        text: format!("the bot API answers {status} {said}{hint}"),
        wait: wait.map(|s| Duration::from_secs(s.min(3600))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::record;

    #[test]
    fn a_message_holds_what_fits_and_at_least_one() {
        let names = Names {
            site: "Lilas".to_owned(),
            site_id: "lilas".to_owned(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        let batch: Vec<_> = (1..200).map(|seq| Arc::new(record(seq))).collect();
        let (text, told) = message(&names, &batch);
        assert!(told > 10 && told < 199, "{told}");
        assert_eq!(text.lines().count(), told + 1);
        assert!(text.encode_utf16().count() <= 4096);
        let mut long = record(1);
        long.source = "x".repeat(9000);
        assert_eq!(message(&names, &[Arc::new(long)]).1, 1);
    }
}
