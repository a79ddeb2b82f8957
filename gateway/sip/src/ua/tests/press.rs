//! Keys of ours by INFO.

use gateway_core::LegId;

use super::bench::{Bench, SDP, secs};
use crate::ua::CallOutput;
use crate::{HeaderName, Method, Response};

const LEG: LegId = LegId(1);

fn talking(allow: &str) -> (Bench, crate::Flow) {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let ok = Response::to(&invite, 200)
        .with_to_tag("them")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2>")
        .with(HeaderName::Allow, allow)
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok);
    bench.call_event();
    bench.request_of(Method::ACK);
    (bench, flow)
}

#[test]
fn a_key_goes_by_info_and_its_answer_says_whether_it_was_taken() {
    let (mut bench, flow) = talking("INVITE, ACK, BYE, INFO");
    assert!(bench.ua.takes_info(LEG));
    for (code, taken) in [(200, true), (415, false), (408, false)] {
        bench.ua.press(bench.now, LEG, '#');
        bench.settle();
        let info = bench.request_of(Method::INFO);
        assert_eq!(
            info.headers.content_type().as_deref(),
            Some("application/dtmf-relay")
        );
        assert_eq!(info.body, b"Signal=#\r\nDuration=120\r\n");
        bench.no_call_event();
        bench.reply(flow, &info, code);
        assert_eq!(bench.call_event(), CallOutput::Pressed { taken });
    }
}

#[test]
fn a_challenged_key_is_pressed_once_more_and_one_without_answer_is_not_taken() {
    let (mut bench, flow) = talking("INFO");
    bench.ua.press(bench.now, LEG, '5');
    bench.settle();
    let info = bench.request_of(Method::INFO);
    let challenge = Response::to(&info, 401).with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"",
    );
    bench.reply_with(flow, challenge);
    let again = bench.request_of(Method::INFO);
    assert_eq!(
        (again.body.clone(), again.headers.content_type()),
        (info.body, info.headers.content_type())
    );
    bench.pass(secs(33));
    assert_eq!(bench.call_event(), CallOutput::Pressed { taken: false });
    assert_eq!(bench.ua.calls(), 1, "the call goes on");
}

#[test]
fn nothing_is_pressed_in_a_call_that_is_not_there_and_who_allows_no_info_is_known() {
    let (mut bench, _) = talking("INVITE, ACK, BYE");
    assert!(!bench.ua.takes_info(LEG));
    bench.ua.press(bench.now, LegId(9), '1');
    bench.settle();
    bench.nothing_sent();
    bench.no_call_event();
}
