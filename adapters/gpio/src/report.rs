//! What became of edges, told to the gateway; the same for both back ends.

use adapter_api::{AdapterContext, AdapterError};
use gateway_core::SignalKind;

use crate::decode::Decoded;
use crate::time;

/// Sends what was decoded. Lost edges are a fault until none are lost any more; work goes on meanwhile.
pub(crate) async fn report(ctx: &AdapterContext, decoded: Decoded) -> Result<(), AdapterError> {
    match decoded {
        Decoded::Input { at, edge, input } => ctx.signal(at, SignalKind::Input { edge, input }).await,
        Decoded::Losing { input, count } => {
            let text = format!(
                "input {input}: edges come faster than they can be read, {count} were lost at first; look for a \
                 bouncing contact or noise on its wire, or raise its debounce-ms"
            );
            tracing::warn!(%input, count, "edges of an input are lost");
            ctx.signal(time::now(), SignalKind::Fault(text)).await
        }
        Decoded::Whole { alone, input, count } => {
            tracing::warn!(%input, count, "edges of an input were lost; it loses none any more");
            if alone {
                ctx.signal(time::now(), SignalKind::Ready).await?;
            }
            Ok(())
        }
    }
}
