//! The requests of `doorline support` and `doorline contacts`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_bus::Bus;
use gateway_http::{ContactsImport, ContactsRefused};
use serde_json::{Value, json};

use crate::clock::SystemClock;

/// True if the act is one of these.
pub(crate) fn knows(request: &Value) -> bool {
    let act = request.get("act").and_then(Value::as_str);
    act.is_some_and(|act| act.starts_with("support-") || act.starts_with("contacts-"))
}

/// Carries out one request of `commands/support.rs`; files come as base64.
pub(crate) async fn act(bus: &Bus, request: &Value) -> Result<Value, String> {
    let trace = || bus.trace().ok_or("there is no SIP engine to be looked at");
    match request.get("act").and_then(Value::as_str).unwrap_or_default() {
        "contacts-export" => Ok(gateway_http::contacts_table(bus).into()),
        "contacts-import" => contacts(bus, request).await,
        "support-bundle" => {
            let bundle = gateway_http::bundle(bus, &SystemClock, env!("CARGO_PKG_VERSION"), None).await;
            Ok(STANDARD.encode(bundle).into())
        }
        "support-capture-begin" => {
            let seconds = request.get("seconds").and_then(Value::as_u64);
            let length = Duration::from_secs(seconds.ok_or("\"seconds\" is missing")?);
            trace()?.begin(length).map_err(|error| error.to_string())?;
            Ok(Value::Null)
        }
        "support-capture-end" => {
            let state = trace()?.end().map_err(|error| error.to_string())?;
            Ok(json!({ "bytes": state.bytes, "full": state.full, "packets": state.packets }))
        }
        "support-capture-file" => {
            let file = trace()?.file().map_err(|error| error.to_string())?;
            Ok(STANDARD.encode(file).into())
        }
        other => Err(format!(
            "{other:?} is not an act of this gateway; is `doorline` of another version?"
        )),
    }
}

async fn contacts(bus: &Bus, request: &Value) -> Result<Value, String> {
    let flag = |key| request.get(key).and_then(Value::as_bool).unwrap_or(false);
    let text = request
        .get("body")
        .and_then(Value::as_str)
        .ok_or("the table is missing")?;
    let how = ContactsImport {
        dry_run: flag("dry-run"),
        replace: flag("replace"),
    };
    match gateway_http::import_contacts(bus, &SystemClock, text, how, "console").await {
        Ok(imported) => serde_json::to_value(imported).map_err(|error| error.to_string()),
        Err(ContactsRefused::Faults(faults)) => Ok(json!({ "faults": faults })),
        Err(ContactsRefused::NotKept(text)) => Err(format!("not saved: {text}")),
    }
}
