//! MQTT 5 on the wire, by rumqttc's codec, and what its reason codes mean.
//!
//! Reason codes are read here: the codec takes no answer of a broker that speaks only 3.1.1, and no DISCONNECT without
//! properties.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAckProperties, Connect, ConnectProperties, Disconnect, DisconnectReasonCode, Filter, LastWill, Login,
    Packet, PingReq, PubAck, Publish, PublishProperties, RetainForwardRule, Subscribe, SubscribeReasonCode,
    Unsubscribe,
};

use crate::{Came, Heard, Hello, INFLIGHT, OUTGOING, Qos, Refused, Say, Spoken, Unread, Welcome};

/// What our payloads are.
pub(crate) const JSON: &str = "application/json";
/// Longest text of a broker that is told on, in characters.
const SAID: usize = 200;

fn unread(error: &impl ToString) -> Unread {
    Unread::Malformed(error.to_string())
}

fn write(packet: &Packet, to: &mut BytesMut) -> Result<(), Unread> {
    packet.write(to, None).map(drop).map_err(|error| unread(&error))
}

pub(crate) fn hello(hello: &Hello<'_>, to: &mut BytesMut) -> Result<(), Unread> {
    let connect = Connect {
        clean_start: true,
        client_id: hello.client.to_owned(),
        keep_alive: hello.keep_alive,
        properties: Some(ConnectProperties {
            max_packet_size: Some(hello.largest),
            receive_maximum: Some(hello.window),
            // the session ends with its connection (§3.1.2.11.2); no topic alias is taken (§3.1.2.11.5)
            session_expiry_interval: Some(0),
            topic_alias_max: Some(0),
            ..ConnectProperties::new()
        }),
    };
    let will = hello.will;
    let will = will.map(|will| LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain, None));
    let login = hello.login.map(|(user, password)| Login::new(user, password));
    write(&Packet::Connect(connect, will, login), to)
}

pub(crate) fn say(say: Say, to: &mut BytesMut) -> Result<(), Unread> {
    let packet = match say {
        Say::Ack(id) => Packet::PubAck(PubAck::new(id, None)),
        Say::Bye => Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection)),
        Say::Ping => Packet::PingReq(PingReq),
        Say::Publish(id, message) => {
            let is_json = message.payload.starts_with('{');
            let user = message.with.user.into_iter();
            let properties = PublishProperties {
                content_type: is_json.then(|| JSON.to_owned()),
                correlation_data: message.with.correlation,
                message_expiry_interval: message.with.expiry,
                // UTF-8
                payload_format_indicator: Some(1),
                user_properties: user.map(|(name, value)| (name.to_owned(), value)).collect(),
                ..PublishProperties::default()
            };
            let qos = id.map_or(QoS::AtMostOnce, |_| QoS::AtLeastOnce);
            let mut publish = Publish::new(message.topic, qos, message.payload, Some(properties));
            publish.pkid = id.unwrap_or_default();
            publish.retain = message.retain;
            Packet::Publish(publish)
        }
        Say::Subscribe(id, filters) => {
            let filter = |filter: crate::Filter| Filter {
                nolocal: false,
                path: filter.path,
                preserve_retain: filter.marked,
                qos: match filter.qos {
                    Qos::AtLeastOnce => QoS::AtLeastOnce,
                    Qos::AtMostOnce => QoS::AtMostOnce,
                },
                // what is kept comes with every subscription: it has to be found and cleared
                retain_forward_rule: RetainForwardRule::OnEverySubscribe,
            };
            let mut subscribe = Subscribe::new_many(filters.into_iter().map(filter), None);
            subscribe.pkid = id;
            Packet::Subscribe(subscribe)
        }
        Say::Unsubscribe(id, path) => {
            let mut unsubscribe = Unsubscribe::new(path, None);
            unsubscribe.pkid = id;
            Packet::Unsubscribe(unsubscribe)
        }
    };
    write(&packet, to)
}

/// Reads one whole packet.
pub(crate) fn hear(packet: &mut BytesMut) -> Result<Heard, Unread> {
    let kind = packet.first().map_or(0, |byte| byte >> 4);
    // the variable header follows the length, whose last byte is the first without the highest bit
    let length = packet
        .iter()
        .skip(1)
        .take_while(|byte| **byte & 0x80 != 0)
        .count()
        + 2;
    let body = packet.get(length..).unwrap_or_default().to_vec();
    match (kind, body.as_slice()) {
        // CONNACK (§3.2): one that refuses, or one of 3.1.1, which has two bytes and no properties
        (2, [_, code, rest @ ..]) if *code != 0 || rest.is_empty() => {
            let old = rest.is_empty();
            return Ok(Heard::Refused(refused(*code, old, said(packet).as_deref())));
        }
        // DISCONNECT (§3.14)
        (14, []) => return Ok(Heard::Closed("it does not say why".to_owned())),
        (14, [code, ..]) => {
            let why = with_said(reason(*code), said(packet).as_deref());
            return Ok(Heard::Closed(why));
        }
        _ => {}
    }
    let packet = Packet::read(packet, None).map_err(|error| unread(&error))?;
    Ok(match packet {
        Packet::ConnAck(ack) => Heard::Welcome(welcome(ack.properties.as_ref())),
        Packet::Publish(publish) => Heard::Message(came(publish)?),
        Packet::PubAck(ack) => {
            let said = ack.properties.as_ref().and_then(|p| p.reason_string.as_deref());
            let code = body.get(2).copied().unwrap_or_default();
            let refused = (code >= 0x80).then(|| with_said(reason(code), said));
            Heard::Acked(ack.pkid, refused)
        }
        Packet::SubAck(ack) => {
            let said = ack.properties.as_ref().and_then(|p| p.reason_string.as_deref());
            let refused =
                |code: &SubscribeReasonCode| not_granted(*code).map(|code| with_said(reason(code), said));
            Heard::Granted(ack.pkid, ack.return_codes.iter().map(refused).collect())
        }
        Packet::PingResp(_) => Heard::Pong,
        Packet::UnsubAck(ack) => Heard::Unsubscribed(ack.pkid),
        Packet::Auth(_)
        | Packet::Connect(..)
        | Packet::Disconnect(_)
        | Packet::PingReq(_)
        | Packet::PubComp(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_) => Heard::Other,
    })
}

fn welcome(properties: Option<&ConnAckProperties>) -> Welcome {
    let of = |value: fn(&ConnAckProperties) -> Option<u8>| properties.and_then(value);
    let largest = properties.and_then(|p| p.max_packet_size);
    let largest = largest.map_or(OUTGOING, |size| {
        OUTGOING.min(usize::try_from(size).unwrap_or(OUTGOING))
    });
    Welcome {
        keep_alive: properties.and_then(|p| p.server_keep_alive),
        largest,
        marks_retained: true,
        qos1: of(|p| p.max_qos) != Some(0),
        retains: of(|p| p.retain_available) != Some(0),
        version: Spoken::V5,
        wildcards: of(|p| p.wildcard_subscription_available) != Some(0),
        window: properties
            .and_then(|p| p.receive_max)
            .unwrap_or(INFLIGHT)
            .clamp(1, INFLIGHT),
    }
}

fn came(publish: Publish) -> Result<Came, Unread> {
    let properties = publish.properties.unwrap_or_default();
    if properties.topic_alias.is_some() {
        return Err(Unread::Malformed(
            "a topic alias, which was not asked for".to_owned(),
        ));
    }
    let topic = String::from_utf8(publish.topic.to_vec()).map_err(|error| unread(&error))?;
    Ok(Came {
        correlation: properties.correlation_data,
        dup: publish.dup,
        expiry: properties.message_expiry_interval,
        id: (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid),
        payload: publish.payload,
        response: properties.response_topic,
        retain: publish.retain,
        topic,
    })
}

/// What the broker adds to its reason code, for people.
fn said(packet: &mut BytesMut) -> Option<String> {
    let packet = Packet::read(packet, None).ok()?;
    if let Packet::ConnAck(ack) = packet {
        ack.properties?.reason_string
    } else if let Packet::Disconnect(end) = packet {
        end.properties?.reason_string
    } else {
        None
    }
}

fn with_said(reason: String, said: Option<&str>) -> String {
    let Some(said) = said else { return reason };
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID).collect();
    format!("{reason} ({said:?})")
}

/// Why we are not taken. A broker of 3.1.1 answers with codes of its own (3.1.1 §3.2.2.3).
fn refused(code: u8, old: bool, said: Option<&str>) -> Refused {
    match code {
        0..=3 if old => Refused::Version,
        4 | 5 if old => Refused::Login,
        0x84 => Refused::Version,
        0x86 | 0x87 | 0x8c => Refused::Login,
        _ => Refused::Other(with_said(format!("the connection: {}", reason(code)), said)),
    }
}

const fn not_granted(code: SubscribeReasonCode) -> Option<u8> {
    Some(match code {
        SubscribeReasonCode::Success(_) => return None,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => 0x80,
        SubscribeReasonCode::ImplementationSpecific => 0x83,
        SubscribeReasonCode::NotAuthorized => 0x87,
        SubscribeReasonCode::TopicFilterInvalid => 0x8f,
        SubscribeReasonCode::PkidInUse => 0x91,
        SubscribeReasonCode::QuotaExceeded => 0x97,
        SubscribeReasonCode::SharedSubscriptionsNotSupported => 0x9e,
        SubscribeReasonCode::SubscriptionIdNotSupported => 0xa1,
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => 0xa2,
    })
}

/// A reason code in words (MQTT 5 §2.4).
fn reason(code: u8) -> String {
    let words = match code {
        0x00 => "it ends the connection in good order",
        0x80 => "it does not say why",
        0x81 => "a packet of ours was malformed",
        0x82 => "a packet of ours was against the protocol",
        0x83 => "it has a reason of its own",
        0x84 => "it does not take this version of MQTT",
        0x85 => "it does not take our client id",
        0x86 => "user or password is wrong",
        0x87 => "its access list does not allow it",
        0x88 => "it is not available",
        0x89 => "it is busy",
        0x8a => "we are banned",
        0x8b => "it shuts down",
        0x8c => "it wants another way of authentication",
        0x8d => "it heard nothing of us for too long",
        0x8e => {
            "another client with our client id connected: a copy of this gateway's state folder runs elsewhere"
        }
        0x8f => "it does not take this topic filter",
        0x90 => "it does not take this topic",
        0x91 => "a packet id was in use",
        0x93 => "more was sent at once than it takes",
        0x94 => "a topic alias was wrong",
        0x95 => "a packet was larger than it takes",
        0x96 => "too many messages were sent",
        0x97 => "a quota was exceeded",
        0x98 => "somebody ended the connection there",
        0x99 => "the payload is not what it said to be",
        0x9a => "it keeps no retained messages",
        0x9b => "it does not take this QoS",
        0x9c => "another server should be used for now",
        0x9d => "it has moved to another server",
        0x9e => "it takes no shared subscriptions",
        0x9f => "connections were made too often",
        0xa0 => "the longest time of a connection is over",
        0xa1 => "it takes no subscription identifiers",
        0xa2 => "it takes no subscriptions with wildcards",
        _ => return format!("reason {code:#04x}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, Message, With, tests::HELLO};

    fn read(bytes: &[u8]) -> Result<Heard, Unread> {
        hear(&mut BytesMut::from(bytes))
    }

    #[test]
    fn we_introduce_ourselves_with_a_clean_start_and_a_session_that_ends_with_the_connection() {
        let mut to = BytesMut::new();
        hello(&HELLO, &mut to).expect("written");
        // MQTT 5 §3.1.2: name, level 5, flags, keep alive 15, 17 bytes of properties, the first: session expiry 0
        assert_eq!(&to[2..14], b"\x00\x04MQTT\x05\xee\x00\x0f\x10\x11");
        assert_eq!(&to[14..18], [0; 4]);
    }

    #[test]
    fn a_broker_that_speaks_only_3_1_1_is_told_from_one_that_refuses_the_login() {
        assert_eq!(read(b"\x20\x02\x00\x01"), Ok(Heard::Refused(Refused::Version)));
        assert_eq!(read(b"\x20\x02\x00\x00"), Ok(Heard::Refused(Refused::Version)));
        assert_eq!(read(b"\x20\x02\x00\x05"), Ok(Heard::Refused(Refused::Login)));
        assert_eq!(
            read(b"\x20\x03\x00\x84\x00"),
            Ok(Heard::Refused(Refused::Version))
        );
        assert_eq!(read(b"\x20\x03\x00\x86\x00"), Ok(Heard::Refused(Refused::Login)));
        let busy = "the connection: it is busy (\"later\")";
        assert_eq!(
            read(b"\x20\x0b\x00\x89\x08\x1f\x00\x05later"),
            Ok(Heard::Refused(Refused::Other(busy.to_owned())))
        );
    }

    #[test]
    fn what_the_broker_can_do_is_read() {
        let welcome = |properties: &[u8]| {
            let length = u8::try_from(properties.len()).expect("short");
            let mut packet = vec![0x20, length + 3, 0, 0, length];
            packet.extend(properties);
            match read(&packet) {
                Ok(Heard::Welcome(welcome)) => welcome,
                other => panic!("{other:?}"),
            }
        };
        let can = |welcome: &Welcome| [welcome.qos1, welcome.retains, welcome.wildcards];
        let plain = welcome(b"");
        assert_eq!((plain.largest, plain.window), (OUTGOING, INFLIGHT));
        assert_eq!(can(&plain), [true; 3]);
        let small = welcome(b"\x27\x00\x00\x20\x00\x21\x00\x0a\x13\x00\x05");
        assert_eq!(
            (small.largest, small.window, small.keep_alive),
            (8192, 10, Some(5))
        );
        assert_eq!(can(&welcome(b"\x24\x00")), [false, true, true]);
        assert_eq!(can(&welcome(b"\x25\x00")), [true, false, true]);
        assert_eq!(can(&welcome(b"\x28\x00")), [true, true, false]);
    }

    #[test]
    fn a_closed_connection_says_why_with_and_without_properties() {
        let taken = read(b"\xe0\x01\x8e").expect("read");
        assert!(matches!(&taken, Heard::Closed(why) if why.contains("with our client id")));
        let said = read(b"\xe0\x08\x98\x06\x1f\x00\x03out").expect("read");
        assert_eq!(
            said,
            Heard::Closed("somebody ended the connection there (\"out\")".into())
        );
        assert!(matches!(read(b"\xe0\x00"), Ok(Heard::Closed(_))));
        assert_eq!(read(b"\xe0\x01\x7f"), Ok(Heard::Closed("reason 0x7f".into())));
    }

    #[test]
    fn refused_publishes_and_subscriptions_say_why() {
        assert_eq!(read(b"\x40\x02\x00\x07"), Ok(Heard::Acked(7, None)));
        // no matching subscribers is no fault
        assert_eq!(read(b"\x40\x03\x00\x07\x10"), Ok(Heard::Acked(7, None)));
        let denied = "its access list does not allow it".to_owned();
        assert_eq!(
            read(b"\x40\x03\x00\x07\x87"),
            Ok(Heard::Acked(7, Some(denied.clone())))
        );
        assert_eq!(
            read(b"\x90\x05\x00\x01\x00\x01\x87"),
            Ok(Heard::Granted(1, vec![None, Some(denied)]))
        );
    }

    #[test]
    fn a_message_comes_with_all_that_it_carries_and_without_an_alias() {
        let packet = b"\x33\x18\x00\x01a\x00\x09\x10\x02\x00\x00\x00\x05\x08\x00\x03b/c\x09\x00\x02id{}";
        let expected = Came {
            correlation: Some("id".into()),
            dup: false,
            expiry: Some(5),
            id: Some(9),
            payload: "{}".into(),
            response: Some("b/c".into()),
            retain: true,
            topic: "a".into(),
        };
        assert_eq!(read(packet), Ok(Heard::Message(expected)));
        assert!(read(b"\x30\x07\x00\x01a\x03\x23\x00\x01").is_err());
    }

    #[test]
    fn what_is_said_carries_expiry_correlation_and_properties() {
        let mut to = BytesMut::new();
        let message = Message {
            payload: "{}".into(),
            retain: false,
            topic: "a".into(),
            with: With {
                correlation: Some("id".into()),
                expiry: Some(60),
                user: vec![("seq", "1".into())],
            },
        };
        say(Say::Publish(Some(3), message), &mut to).expect("written");
        let Packet::Publish(publish) = Packet::read(&mut to, None).expect("a packet") else {
            panic!("another packet");
        };
        let properties = publish.properties.expect("some");
        assert_eq!(properties.message_expiry_interval, Some(60));
        assert_eq!(properties.correlation_data.as_deref(), Some(&b"id"[..]));
        assert_eq!(properties.content_type.as_deref(), Some(JSON));
        assert_eq!(properties.user_properties, [("seq".to_owned(), "1".to_owned())]);
        let filters = [true, false].map(|marked| Filter {
            marked,
            path: "a".into(),
            qos: Qos::AtLeastOnce,
        });
        say(Say::Subscribe(1, filters.to_vec()), &mut to).expect("written");
        // §3.8.3.1: bit 3 is Retain As Published, bits 4 and 5 Retain Handling
        assert_eq!(&to[5..], b"\x00\x01a\x09\x00\x01a\x01");
    }
}
