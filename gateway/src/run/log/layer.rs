//! From what the program says to lines with fields.

use gateway_core::Timestamp;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::line::{Fields, Line};

/// Makes a line of each event, if anybody wants such.
pub(super) struct Structured;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Structured {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !super::wants_fields() {
            return;
        }
        super::give(line(event, &context));
    }
}

fn line<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> Line {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let spans = context
        .event_scope(event)
        .into_iter()
        .flat_map(|scope| scope.from_root());
    let spans = spans.map(|span| {
        let fields = span.extensions().get::<Fields>().cloned().unwrap_or_default();
        (span.name(), fields)
    });
    Line {
        at: Timestamp::now(),
        fields,
        level: *event.metadata().level(),
        spans: spans.collect(),
        target: event.metadata().target().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps what it sees.
    struct Kept(Arc<Mutex<Vec<Line>>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.0.lock().expect("not poisoned").push(line(event, &context));
        }
    }

    #[test]
    fn an_event_keeps_its_fields_and_those_of_its_spans() {
        let kept = Arc::<Mutex<Vec<Line>>>::default();
        let subscriber = tracing_subscriber::registry()
            .with(Structured)
            .with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call", ring = "r1", legs = tracing::field::Empty);
            let _in = span.enter();
            span.record("legs", 2_u64);
            tracing::warn!(door = %"front", open = true, tries = -3, "it failed: {}", 7);
        });
        let kept = kept.lock().expect("not poisoned");
        let line = &kept[0];
        assert_eq!(line.fields.message, "it failed: 7");
        let fields: Vec<String> = line.fields.all.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(fields, ["door=\"front\"", "open=true", "tries=-3"]);
        assert_eq!(line.spans.len(), 1);
        assert_eq!(line.spans[0].0, "call");
        let fields: Vec<String> = line.spans[0]
            .1
            .all
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(fields, ["ring=\"r1\"", "legs=2"]);
        assert_eq!(line.level, tracing::Level::WARN);
    }
}
