//! MQTT 3.1.1 on the wire, by rumqttc's codec.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode, Unsubscribe,
};
use rumqttc::mqttbytes::{Error, QoS};

use crate::{Came, Filter, Heard, Hello, INFLIGHT, OUTGOING, Qos, Refused, Say, Spoken, Unread, Welcome};

fn unread(error: &Error) -> Unread {
    Unread::Malformed(error.to_string())
}

fn write(packet: &Packet, to: &mut BytesMut) -> Result<(), Unread> {
    let written = packet.write(to, OUTGOING);
    written.map(drop).map_err(|error| unread(&error))
}

pub(crate) fn hello(hello: &Hello<'_>, to: &mut BytesMut) -> Result<(), Unread> {
    let mut connect = Connect::new(hello.client);
    connect.keep_alive = hello.keep_alive;
    connect.clean_session = true;
    let will = hello.will;
    connect.last_will =
        will.map(|will| LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain));
    if let Some((user, password)) = hello.login {
        connect.set_login(user, password);
    }
    write(&Packet::Connect(connect), to)
}

pub(crate) fn say(say: Say, to: &mut BytesMut) -> Result<(), Unread> {
    let packet = match say {
        Say::Ack(id) => Packet::PubAck(PubAck::new(id)),
        Say::Bye => Packet::Disconnect,
        Say::Ping => Packet::PingReq,
        Say::Publish(id, message) => {
            let qos = id.map_or(QoS::AtMostOnce, |_| QoS::AtLeastOnce);
            let mut publish = Publish::new(message.topic, qos, message.payload);
            publish.pkid = id.unwrap_or_default();
            publish.retain = message.retain;
            Packet::Publish(publish)
        }
        Say::Subscribe(id, filters) => {
            let filter = |filter: Filter| SubscribeFilter::new(filter.path, qos(filter.qos));
            let mut subscribe = Subscribe::new_many(filters.into_iter().map(filter));
            subscribe.pkid = id;
            Packet::Subscribe(subscribe)
        }
        Say::Unsubscribe(id, path) => {
            let mut unsubscribe = Unsubscribe::new(path);
            unsubscribe.pkid = id;
            Packet::Unsubscribe(unsubscribe)
        }
    };
    write(&packet, to)
}

const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::AtMostOnce => QoS::AtMostOnce,
    }
}

/// Reads one whole packet.
pub(crate) fn hear(packet: &mut BytesMut) -> Result<Heard, Unread> {
    let length = packet.len();
    let packet = Packet::read(packet, length).map_err(|error| unread(&error))?;
    Ok(match packet {
        Packet::ConnAck(ConnAck { code, .. }) => match code {
            ConnectReturnCode::Success => Heard::Welcome(Welcome {
                keep_alive: None,
                largest: OUTGOING,
                marks_retained: false,
                qos1: true,
                retains: true,
                version: Spoken::V3,
                wildcards: true,
                window: INFLIGHT,
            }),
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                Heard::Refused(Refused::Login)
            }
            ConnectReturnCode::BadClientId => Heard::Refused(Refused::Other("our client id".to_owned())),
            ConnectReturnCode::RefusedProtocolVersion => Heard::Refused(Refused::Version),
            ConnectReturnCode::ServiceUnavailable => {
                Heard::Refused(Refused::Other("us: it is not available".to_owned()))
            }
        },
        Packet::Publish(publish) => Heard::Message(Came {
            dup: publish.dup,
            id: (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid),
            payload: publish.payload,
            retain: publish.retain,
            topic: publish.topic,
            ..Came::default()
        }),
        Packet::PubAck(ack) => Heard::Acked(ack.pkid, None),
        Packet::SubAck(ack) => {
            let refused = |code: &SubscribeReasonCode| {
                let failed = *code == SubscribeReasonCode::Failure;
                failed.then(|| "it does not say why".to_owned())
            };
            Heard::Granted(ack.pkid, ack.return_codes.iter().map(refused).collect())
        }
        Packet::PingResp => Heard::Pong,
        Packet::UnsubAck(ack) => Heard::Unsubscribed(ack.pkid),
        Packet::Disconnect => Heard::Closed("it does not say why".to_owned()),
        Packet::Connect(_)
        | Packet::PingReq
        | Packet::PubComp(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_) => Heard::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::HELLO;

    #[test]
    fn we_introduce_ourselves_with_a_clean_session_and_a_will_that_is_kept() {
        let mut to = BytesMut::new();
        hello(&HELLO, &mut to).expect("written");
        // MQTT 3.1.1 §3.1.2: name, level 4, flags: user, password, will kept with QoS 1, clean; keep alive 15
        assert_eq!(&to[2..12], b"\x00\x04MQTT\x04\xee\x00\x0f");
    }

    #[test]
    fn answers_of_a_broker_are_read() {
        let read = |bytes: &[u8]| hear(&mut BytesMut::from(bytes));
        assert_eq!(read(b"\x20\x02\x00\x01"), Ok(Heard::Refused(Refused::Version)));
        assert_eq!(read(b"\x20\x02\x00\x05"), Ok(Heard::Refused(Refused::Login)));
        assert!(matches!(read(b"\x20\x02\x00\x00"), Ok(Heard::Welcome(_))));
        assert!(read(b"\x20\x02\x00\x09").is_err());
        assert_eq!(read(b"\x40\x02\x00\x07"), Ok(Heard::Acked(7, None)));
        assert!(matches!(
            read(b"\x90\x04\x00\x01\x01\x80"),
            Ok(Heard::Granted(1, refused)) if refused.iter().map(Option::is_some).eq([false, true])
        ));
    }
}
