//! What is read as a command, and what is not.

use super::*;
use gateway_core::Seq;
use proptest::prelude::*;

const RULES: Rules<'static> = Rules {
    accept_untimed: false,
    by: SUBJECT,
    code_needed: false,
    press: false,
    ttl: Duration::from_secs(10),
};
const WALL: &str = "2026-03-01T12:00:00Z";

fn made() -> CommandId {
    CommandId::new("made").expect("an id")
}

fn door() -> Target {
    Target::Door("front".into())
}

fn arrival(target: Target, payload: &[u8]) -> Arrival<'_> {
    Arrival {
        connected: Duration::from_secs(3600),
        dup: false,
        expiry: None,
        payload,
        retained: false,
        ring: None,
        target,
        wall: WALL.parse().expect("a time"),
    }
}

fn check(target: Target, payload: &str) -> Result<Asked, String> {
    read(&arrival(target, payload.as_bytes()), RULES, &made()).map_err(|(_, e)| e.to_string())
}

/// Would the core's rules take it as news?
fn is_news(asked: &Asked) -> bool {
    !asked.request.stale_by_transport && asked.request.given != Given::Undated
}

#[test]
fn a_complete_command_is_news() {
    let text = r#"{"command":"open","id":"a1","at":"2026-03-01T11:59:55.5+00:00"}"#;
    let asked = check(door(), text).expect("a command");
    assert!(is_news(&asked));
    assert_eq!(asked.why_not, None);
    assert_eq!(asked.request.id.as_str(), "a1");
    assert_eq!(asked.request.origin.factor, Factor::Mqtt);
    assert_eq!(asked.request.origin.subject.to_string(), "integration:mqtt");
    let front = DoorId::new("front").expect("a name");
    assert_eq!(asked.request.command, Command::Open { door: front.clone() });
    let site = r#"{"command":"open","door":"front","id":"a1","at":"2026-03-01T12:00:00Z"}"#;
    assert_eq!(
        check(Target::Site, site).expect("a command").request.command,
        Command::Open { door: front.clone() }
    );
    let ring = "01990000-0000-7707-8707-070707070707";
    let visitor = format!(r#"{{"command":"open","ring_id":"{ring}","id":"a1","at":"2026-03-01T12:00:00Z"}}"#);
    let ring = RingId::parse(ring).expect("a ring");
    assert_eq!(
        check(door(), &visitor).expect("a command").request.command,
        Command::OpenFor { door: front, ring }
    );
}

#[test]
fn a_code_goes_with_open_alone_and_is_quoted_by_no_error() {
    let check = |rules: Rules<'_>, body: &str| {
        let text = format!(r#"{{{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        let read = read(&arrival(door(), text.as_bytes()), rules, &made());
        read.map(|asked| asked.request.command).map_err(|(_, e)| e)
    };
    let front = DoorId::new("front").expect("a name");
    let coded = |code: &str| Command::OpenWithCode {
        code: Secret::new(code),
        door: front.clone(),
    };
    let needed = Rules {
        code_needed: true,
        ..RULES
    };
    for rules in [RULES, needed] {
        assert_eq!(
            check(rules, r#""command":"open","code":"4711""#),
            Ok(coded("4711"))
        );
        assert_eq!(
            check(rules, r#""command":"open","code":"*47#""#),
            Ok(coded("*47#"))
        );
        for bad in [
            "4711",
            "\"4711a\"",
            "\"471147114\"",
            "\"\"",
            "[\"4711\"]",
            "{\"4711\":1}",
            "true",
        ] {
            let refused = check(rules, &format!(r#""command":"open","code":{bad}"#));
            assert_eq!(refused, Err(Malformed::Code), "{bad}");
            assert!(!Malformed::Code.to_string().contains("4711"));
        }
    }
    let visitor = r#""command":"open","code":"4711","ring_id":"01990000-0000-7707-8707-070707070707""#;
    assert_eq!(check(RULES, visitor), Err(Malformed::Code));
    let open = r#""command":"open","code":null"#;
    // who lost the code that was typed has none, and is no one who opens without
    assert_eq!(check(RULES, open), Err(Malformed::Code));
    assert_eq!(
        check(RULES, r#""command":"open""#),
        Ok(Command::Open { door: front.clone() })
    );
    let panel = Target::Panel("main".into());
    for opens in [
        r#""command":"open""#,
        r#""command":"open","ring_id":"01990000-0000-7707-8707-070707070707""#,
        r#""command":"hold","minutes":5"#,
    ] {
        let refused = check(needed, opens).expect_err(opens);
        assert_eq!(
            (refused.reason(), &refused),
            (Refusal::Forbidden, &Malformed::CodeNeeded)
        );
    }
    let rings = br#"{"command":"ring-to-open","minutes":5,"id":"a","at":"2026-03-01T12:00:00Z"}"#;
    let refused = read(&arrival(panel, rings), needed, &made()).expect_err("refused");
    assert_eq!(refused.1, Malformed::CodeNeeded);
    let word = read(
        &arrival(door(), b"OPEN"),
        Rules {
            accept_untimed: true,
            ..needed
        },
        &made(),
    );
    assert_eq!(word.expect_err("refused").1, Malformed::CodeNeeded);
    assert_eq!(
        check(needed, r#""command":"end-hold""#),
        Ok(Command::EndHold { door: front })
    );
}

#[test]
fn press_and_hang_up_are_read_from_their_topics() {
    let press = r#"{"command":"press","button":"bell","id":"a","at":"2026-03-01T12:00:00Z"}"#;
    let asked = check(Target::Panel("main".into()), press).expect("a command");
    assert_eq!(asked.request.command.verb(), "press");
    assert!(!asked.request.origin.may_simulate);
    let hang_up = r#"{"command":"hang-up","ring_id":"01990000-0000-7707-8707-070707070707","id":"a","at":"2026-03-01T12:00:00Z"}"#;
    let asked = check(Target::Site, hang_up).expect("a command");
    assert_eq!(asked.request.command.verb(), "hang-up");
}

#[test]
fn a_panel_is_made_to_call_for_a_button_that_is_named_or_for_the_only_one() {
    let read = |target, body: &str| {
        let text = format!(r#"{{"command":"call",{body}"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let call = |button: Option<&str>| {
        Ok(Command::Call {
            button: button.map(|button| ButtonId::new(button).expect("a name")),
            panel: PanelId::new("main").expect("a name"),
        })
    };
    let panel = || Target::Panel("main".into());
    assert_eq!(read(panel(), r#""button":"bell","#), call(Some("bell")));
    assert_eq!(read(panel(), ""), call(None));
    assert_eq!(read(Target::Site, r#""panel":"main","#), call(None));
    assert_eq!(
        read(Target::Site, r#""panel":"main","button":"bell","#),
        call(Some("bell"))
    );
    let missing = |field: &'static str| Err(Malformed::Name { field }.to_string());
    assert_eq!(read(Target::Site, ""), missing("panel"));
    for bad in [r#""button":null,"#, r#""button":"a b","#] {
        assert_eq!(read(panel(), bad), missing("button"));
    }
    let door = read(Target::Door("front".into()), "");
    assert!(
        door.is_err_and(|why| why.contains("a door takes")),
        "a door calls nobody"
    );
}

#[test]
fn an_announcement_is_named_and_says_who_hears_it_or_whoever_stands_there() {
    let read = |target, body: &str| {
        let text = format!(r#"{{"command":"announce",{body}"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let announce = |to| {
        Ok(Command::Announce {
            announcement: AnnouncementId::new("lift").expect("a name"),
            panel: PanelId::new("main").expect("a name"),
            to,
        })
    };
    let panel = || Target::Panel("main".into());
    assert_eq!(
        read(panel(), r#""announcement":"lift","#),
        announce(AnnounceTo::Door)
    );
    for to in AnnounceTo::ALL {
        let body = format!(r#""announcement":"lift","panel":"main","to":"{to}","#);
        assert_eq!(read(Target::Site, &body), announce(*to));
    }
    for bad in ["null", "\"\"", "\"Both\"", "\"everybody\""] {
        let body = format!(r#""announcement":"lift","to":{bad},"#);
        assert_eq!(read(panel(), &body), Err(Malformed::To.to_string()), "{bad}");
    }
    let missing = |field: &'static str| Err(Malformed::Name { field }.to_string());
    for bad in [
        "",
        r#""announcement":null,"#,
        r#""announcement":"../etc/passwd","#,
    ] {
        assert_eq!(read(panel(), bad), missing("announcement"), "{bad}");
    }
    assert_eq!(read(Target::Site, r#""announcement":"lift","#), missing("panel"));
    let door = read(Target::Door("front".into()), r#""announcement":"lift","#);
    assert!(door.is_err_and(|why| why.contains("a door takes")));
}

#[test]
fn a_lockdown_is_of_the_site_or_of_a_group() {
    let check = |target, body: &str| {
        let text = format!(r#"{{{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let group = DoorGroupId::new("lobby").ok();
    let site = |body| check(Target::Site, body);
    assert_eq!(
        site(r#""command":"lockdown""#),
        Ok(Command::Lockdown { group: None })
    );
    assert_eq!(
        site(r#""command":"lockdown","group":"lobby""#),
        Ok(Command::Lockdown { group: group.clone() })
    );
    assert_eq!(
        site(r#""command":"end-lockdown","group":"lobby""#),
        Ok(Command::EndLockdown { group })
    );
    assert_eq!(
        site(r#""command":"reset-passback","person":"alice""#),
        Ok(Command::ResetPassback {
            person: PersonId::new("alice").ok()
        })
    );
    assert_eq!(
        site(r#""command":"confirm-alarm","alarm":"intrusion""#),
        Ok(Command::ConfirmAlarm {
            alarm: AlarmId::new("intrusion").expect("a name")
        })
    );
    assert!(site(r#""command":"confirm-alarm""#).is_err());
    assert!(site(r#""command":"reset-passback","person":"A/""#).is_err());
    // a group that is none must not become the whole site
    assert!(site(r#""command":"end-lockdown","group":"Lobby/""#).is_err());
    for lost in [
        r#""command":"end-lockdown","group":null"#,
        r#""command":"end-lockdown","door":"front""#,
        r#""command":"end-lockdown","panel":"main""#,
        r#""command":"lockdown","group":null"#,
        r#""command":"reset-passback","person":null"#,
        r#""command":"quiet","panel":"main","minutes":null"#,
        r#""command":"set-relay","relay":"horn","state":"on","for_s":null"#,
        r#""command":"hold","door":null,"minutes":5"#,
        r#""command":"open","door":"front","code":null"#,
        r#""command":"reset-fire","ttl_s":null"#,
    ] {
        assert!(site(lost).is_err(), "{lost}");
    }
    // what a command for the whole site does not look at was meant to narrow it
    for (narrowed, field) in [
        (r#""command":"reset-passback","door":"front""#, "door"),
        (r#""command":"reset-passback","group":"lobby""#, "group"),
        (
            r#""command":"reset-passback","person":"alice","group":"lobby""#,
            "group",
        ),
        (r#""command":"end-lockdown","relay":"horn""#, "relay"),
        (r#""command":"lockdown","group":"lobby","minutes":5"#, "minutes"),
        (r#""command":"reset-fire","door":"front""#, "door"),
    ] {
        let said = site(narrowed).expect_err(narrowed);
        assert!(
            said.contains(&format!("field \"{field}\" has no meaning")),
            "{said}"
        );
    }
    // a misspelt field is never the same as none
    for misspelt in [
        r#""command":"end-lockdown","gruop":"lobby""#,
        r#""command":"lockdown","Group":"lobby""#,
        r#""command":"reset-passback","persons":"alice""#,
    ] {
        let said = site(misspelt).expect_err(misspelt);
        assert!(
            said.contains("unknown field") && said.contains("`group`"),
            "{said}"
        );
    }
    // as the mode of a door does it
    assert!(site(r#""command":"end-lockdown","door":"front","group":"lobby""#).is_ok());
    assert!(check(door(), r#""command":"end-lockdown""#).is_err());
}

#[test]
fn who_misspells_a_field_is_answered_by_the_id_of_the_command() {
    let text = br#"{"command":"end-lockdown","gruop":"lobby","id":"a7","at":"2026-03-01T12:00:00Z"}"#;
    let (id, malformed) = read(&arrival(Target::Site, text), RULES, &made()).expect_err("no command");
    assert_eq!(
        (id, malformed.reason()),
        (CommandId::new("a7"), Refusal::Malformed)
    );
}

#[test]
fn a_card_goes_to_a_controller_by_the_site_and_what_is_none_goes_nowhere() {
    let check = |target, body: &str| {
        let text = format!(r#"{{"command":"send-card",{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let sent = Command::SendCard {
        card: gateway_access::card_frame("26:123,04567").expect("a card"),
        controller: "lift".parse().expect("a name"),
    };
    let card = r#""controller":"lift","card":"26:123,04567""#;
    assert_eq!(check(Target::Site, card), Ok(sent));
    for body in [
        r#""controller":"lift""#,
        r#""card":"26:123,04567""#,
        r#""controller":"lift","card":"04567""#,
        r#""controller":"lift","card":null"#,
        r#""controller":"lift","card":"26:123,04567","door":"front""#,
    ] {
        assert!(check(Target::Site, body).is_err(), "{body}");
    }
    assert!(check(door(), card).is_err());
}

#[test]
fn a_relay_is_set_by_the_site_and_for_no_longer_than_a_day() {
    let check = |target, body: &str| {
        let text = format!(r#"{{"command":"set-relay",{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let relay = RelayId::new("siren").expect("a name");
    for (body, set) in [
        (r#""state":"on""#, RelaySet::On),
        (r#""state":"off""#, RelaySet::Off),
        (r#""state":"toggle""#, RelaySet::Toggle),
        (r#""state":"on","for_s":86400"#, RelaySet::For(RelaySet::LONGEST)),
    ] {
        let relay = relay.clone();
        let asked = check(Target::Site, &format!(r#""relay":"siren",{body}"#));
        assert_eq!(asked, Ok(Command::SetRelay { relay, set }), "{body}");
    }
    for body in [
        r#""relay":"siren""#,
        r#""state":"on""#,
        r#""relay":"siren","state":"open""#,
        r#""relay":"siren","state":"on","for_s":0"#,
        r#""relay":"siren","state":"on","for_s":86401"#,
        r#""relay":"siren","state":"off","for_s":5"#,
    ] {
        assert!(check(Target::Site, body).is_err(), "{body}");
    }
    assert!(check(door(), r#""relay":"siren","state":"on""#).is_err());
}

#[test]
fn a_door_is_held_open_for_some_minutes() {
    let check = |target, body: &str| {
        let text = format!(r#"{{{body},"id":"a","at":"2026-03-01T12:00:00Z"}}"#);
        check(target, &text).map(|asked| asked.request.command)
    };
    let front = DoorId::new("front").expect("a name");
    let hold = Command::Hold {
        door: front.clone(),
        time: Duration::from_secs(1800),
    };
    assert_eq!(
        check(door(), r#""command":"hold","minutes":30"#),
        Ok(hold.clone())
    );
    let at_site = r#""command":"hold","door":"front","minutes":30"#;
    assert_eq!(check(Target::Site, at_site), Ok(hold));
    assert_eq!(
        check(door(), r#""command":"end-hold""#),
        Ok(Command::EndHold { door: front })
    );
    for bad in ["", r#","minutes":0"#, r#","minutes":1441"#] {
        let said = check(door(), &format!(r#""command":"hold"{bad}"#)).expect_err(bad);
        assert!(
            said.contains("\"minutes\" must be a number from 1 to 1440"),
            "{said}"
        );
    }
    assert!(check(door(), r#""command":"hold","minutes":"long""#).is_err());
    let main = || Target::Panel("main".into());
    let panel = PanelId::new("main").expect("a name");
    let time = Some(Duration::from_secs(3600));
    for (target, text, wanted) in [
        (
            main(),
            r#""command":"quiet""#,
            Command::Quiet {
                panel: panel.clone(),
                time: None,
            },
        ),
        (
            main(),
            r#""command":"quiet","minutes":60"#,
            Command::Quiet {
                panel: panel.clone(),
                time,
            },
        ),
        (
            main(),
            r#""command":"end-quiet""#,
            Command::EndQuiet { panel: panel.clone() },
        ),
        (
            Target::Site,
            r#""command":"end-quiet","panel":"main""#,
            Command::EndQuiet { panel: panel.clone() },
        ),
        (
            main(),
            r#""command":"ring-to-open","minutes":60"#,
            Command::RingToOpen {
                panel: panel.clone(),
                time: Duration::from_secs(3600),
            },
        ),
        (
            Target::Site,
            r#""command":"end-ring-to-open","panel":"main""#,
            Command::EndRingToOpen { panel },
        ),
    ] {
        assert_eq!(check(target, text), Ok(wanted), "{text}");
    }
    for bad in [
        r#""command":"quiet","minutes":0"#,
        r#""command":"ring-to-open""#,
        r#""command":"ring-to-open","minutes":1441"#,
        r#""command":"quiet","minutes":1441"#,
    ] {
        assert!(check(main(), bad).is_err(), "{bad}");
    }
    assert!(check(Target::Site, r#""command":"quiet""#).is_err());
    assert!(check(Target::Panel("main".into()), r#""command":"hold","minutes":5"#).is_err());
}

#[test]
fn a_panel_hangs_up_its_own_call_and_is_pressed_only_where_that_is_set() {
    let panel = || Target::Panel("main".into());
    let hang_up = r#"{"command":"hang-up","id":"a","at":"2026-03-01T12:00:00Z"}"#;
    let quiet = read(&arrival(panel(), hang_up.as_bytes()), RULES, &made());
    let (id, malformed) = quiet.expect_err("no call");
    assert_eq!((id, malformed.reason()), (CommandId::new("a"), Refusal::Unknown));
    let ring = RingId::parse("01990000-0000-7707-8707-070707070707");
    let busy = Arrival {
        ring,
        ..arrival(panel(), hang_up.as_bytes())
    };
    let asked = read(&busy, RULES, &made()).expect("a command");
    let ring = ring.expect("a ring");
    assert_eq!(asked.request.command, Command::HangUp { ring });
    // elsewhere the ring must be named
    assert!(check(Target::Site, hang_up).is_err());
    // a call of another panel is named, or the topic is a door's
    let named = |ring: &str| {
        format!(r#"{{"command":"hang-up","ring_id":"{ring}","id":"a","at":"2026-03-01T12:00:00Z"}}"#)
    };
    let other = named("01990000-0000-7707-8707-070707070708");
    let own = named(&ring.to_string());
    for (text, target, fits) in [
        (&other, panel(), false),
        (&own, panel(), true),
        (&own, Target::Door("front".into()), false),
    ] {
        let arrival = Arrival {
            ring: Some(ring),
            ..arrival(target, text.as_bytes())
        };
        assert_eq!(read(&arrival, RULES, &made()).is_ok(), fits, "{text}");
    }

    let press = r#"{"command":"press","button":"bell","id":"a","at":"2026-03-01T12:00:00Z"}"#;
    let may = Rules { press: true, ..RULES };
    let asked = read(&arrival(panel(), press.as_bytes()), may, &made()).expect("a command");
    assert!(asked.request.origin.may_simulate);
}

#[test]
fn old_kept_repeated_and_early_commands_are_marked_stale() {
    let stale = |change: &dyn Fn(&mut Arrival<'_>), at: &str| {
        let text = format!(r#"{{"command":"open","id":"a","at":"{at}"}}"#);
        let mut arrival = arrival(door(), text.as_bytes());
        change(&mut arrival);
        let asked = read(&arrival, RULES, &made()).expect("a command");
        assert_eq!(asked.request.stale_by_transport, asked.why_not.is_some());
        asked.why_not
    };
    assert_eq!(stale(&|_| (), "2026-03-01T11:59:50Z"), None);
    assert_eq!(stale(&|_| (), "2026-03-01T12:00:02Z"), None);
    let old = stale(&|_| (), "2026-03-01T11:59:49Z").expect("stale");
    assert_eq!(
        old,
        "the command is 11 s old, allowed are 10 s; compare the clocks"
    );
    let ahead = stale(&|_| (), "2026-03-01T12:00:02.5Z").expect("stale");
    assert_eq!(
        ahead,
        "the command is dated 2.5 s ahead, allowed are 2 s; compare the clocks"
    );
    let early = |a: &mut Arrival<'_>| a.connected = Duration::from_secs(2);
    assert_eq!(stale(&early, "2026-03-01T11:59:58Z"), None);
    assert!(stale(&early, "2026-03-01T11:59:57Z").is_some());
    assert!(stale(&|a| a.retained = true, WALL).is_some());
    assert!(stale(&|a| a.dup = true, WALL).is_some());
    assert_eq!(stale(&|a| a.expiry = Some(1), WALL), None);
    assert_eq!(
        stale(&|a| a.expiry = Some(0), WALL).as_deref(),
        Some("the command expired on its way")
    );
}

#[test]
fn a_sender_says_how_long_its_command_is_good_and_the_broker_how_long_it_waited() {
    let stale = |fields: &str, expiry, connected| {
        let text = format!(r#"{{"command":"open","id":"a",{fields}}}"#);
        let arrival = Arrival {
            connected: Duration::from_secs(connected),
            expiry,
            ..arrival(door(), text.as_bytes())
        };
        let untimed = Rules {
            accept_untimed: true,
            ..RULES
        };
        read(&arrival, untimed, &made()).expect("a command").why_not
    };
    let timed =
        |seconds: u32, ttl_s: u32| format!(r#""at":"2026-03-01T11:59:{:02}Z","ttl_s":{ttl_s}"#, 60 - seconds);
    assert_eq!(stale(&timed(5, 5), None, 100), None);
    assert_eq!(
        stale(&timed(6, 5), None, 100).as_deref(),
        Some("the command is 6 s old, allowed are 5 s; compare the clocks")
    );
    // longer than the site allows is no longer than the site allows
    assert!(stale(&timed(11, 60), None, 100).is_some());
    // the sender's clock is ahead, the broker knows better
    assert_eq!(stale(&timed(1, 60), Some(51), 100), None);
    assert_eq!(
        stale(&timed(1, 60), Some(40), 100).as_deref(),
        Some("the command waited 20 s at a broker, allowed are 10 s")
    );
    assert_eq!(stale(r#""ttl_s":8"#, Some(5), 100), None);
    assert!(
        stale(r#""ttl_s":8"#, Some(5), 2).is_some(),
        "from before the connection"
    );
    assert!(stale(r#""ttl_s":30"#, Some(15), 100).is_some());
    assert_eq!(stale(r#""ttl_s":5"#, Some(50), 100), None, "no more than it says");
    for bad in ["0", "61", "-1", "1.5", "1e30", "\"5\"", "[5]", "{}", "true"] {
        let error = check(door(), &format!(r#"{{"command":"open","ttl_s":{bad}}}"#)).expect_err(bad);
        assert_eq!(error, "field \"ttl_s\" must be a number from 1 to 60", "{bad}");
    }
}

#[test]
fn without_time_or_id_only_the_option_lets_a_command_be_news() {
    let untimed = Rules {
        accept_untimed: true,
        ..RULES
    };
    for text in [
        r#"{"command":"open"}"#,
        r#"{"command":"open","id":"a"}"#,
        r#"{"command":"open","at":"2026-03-01T12:00:00Z"}"#,
        r#"{"command":"open","id":null,"at":null}"#,
        "OPEN",
        " UNLOCK\n",
        "PRESS",
    ] {
        let asked = check(door(), text).expect("a command");
        assert!(!is_news(&asked), "{text}");
        assert!(
            asked.request.given == Given::Undated && asked.why_not.is_some(),
            "{text}"
        );
        let mut arrival = arrival(door(), text.as_bytes());
        let asked = read(&arrival, untimed, &made()).expect("a command");
        assert!(!asked.request.stale_by_transport, "{text}");
        assert_eq!(asked.why_not, None, "{text}");
        arrival.retained = true;
        let asked = read(&arrival, untimed, &made()).expect("a command");
        assert!(asked.request.stale_by_transport, "{text}");
    }
    // what opens for minutes is never news by the option alone
    let panel = Target::Panel("main".into());
    for (target, text) in [
        (door(), r#"{"command":"hold","minutes":5}"#),
        (
            door(),
            r#"{"command":"hold","minutes":5,"at":"2026-03-01T12:00:00Z"}"#,
        ),
        (panel, r#"{"command":"ring-to-open","minutes":5,"id":"a"}"#),
    ] {
        let asked = read(&arrival(target, text.as_bytes()), untimed, &made()).expect("a command");
        assert!(
            asked.request.given == Given::Undated && asked.why_not.is_some(),
            "{text}"
        );
    }
    // a time that is there still counts
    let old = r#"{"command":"open","at":"2026-03-01T11:00:00Z"}"#;
    let asked = read(&arrival(door(), old.as_bytes()), untimed, &made()).expect("a command");
    assert!(asked.request.stale_by_transport);
}

#[test]
fn what_is_no_command_says_why() {
    let cases = [
        (
            door(),
            "",
            "the message is empty, which is no command; one is {\"command\":…,\"id\":…,\"at\":…}. If it was to clear what the broker kept, nothing is wrong",
        ),
        (
            door(),
            "open",
            "not a JSON object with text fields \"command\", \"id\" and \"at\", and others that are known: neither an object nor OPEN at a door",
        ),
        (
            Target::Panel("main".into()),
            "PRESS",
            "not a JSON object with text fields \"command\", \"id\" and \"at\", and others that are known: neither an object nor OPEN at a door",
        ),
        (
            door(),
            r#"{"command":"lock","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "\"lock\" is not a command here; a door takes \"open\", \"hold\" and \"end-hold\"; it locks by itself",
        ),
        (
            door(),
            r#"{"command":"open","id":"","at":"2026-03-01T12:00:00Z"}"#,
            "id must have 1 to 64 visible ASCII characters",
        ),
        (
            door(),
            r#"{"command":"open","id":"a","at":"noon"}"#,
            "at \"noon\" is not an RFC 3339 time such as 2026-03-01T12:00:00Z",
        ),
        (
            door(),
            r#"{"command":"open","door":"back","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "topic and field \"door\" name different things",
        ),
        (
            Target::Door("Front".into()),
            r#"{"command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"door\" is missing or is not a name",
        ),
        (
            Target::Site,
            r#"{"command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"door\" is missing or is not a name",
        ),
        (
            Target::Panel("main".into()),
            r#"{"command":"press","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"button\" is missing or is not a name",
        ),
        // a ring that cannot be read must not become an opening for anybody
        (
            door(),
            r#"{"command":"open","ring_id":"","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"ring_id\" is missing or is not a name",
        ),
        (
            door(),
            r#"{"command":"open","ring_id":null,"id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"ring_id\" is missing or is not a name",
        ),
        (
            Target::Site,
            r#"{"command":"hang-up","ring_id":"x","id":"a","at":"2026-03-01T12:00:00Z"}"#,
            "field \"ring_id\" is missing or is not a name",
        ),
    ];
    for (target, text, expected) in cases {
        assert_eq!(check(target, text), Err(expected.to_owned()), "{text}");
    }
    let deep = format!("{{\"command\":{}", "[".repeat(900));
    assert!(check(door(), &deep).is_err());
    let twice = r#"{"command":"open","command":"open","id":"a","at":"2026-03-01T12:00:00Z"}"#;
    assert!(check(door(), twice).is_err());
    let long = "x".repeat(MAX_PAYLOAD + 1);
    assert_eq!(
        check(door(), &long),
        Err("1025 bytes are too long, at most 1024 are allowed".to_owned())
    );
}

#[test]
fn the_exact_texts_of_answers() {
    let text = r#"{"command":"open","id":"a1","at":"2026-03-01T12:00:00Z"}"#;
    let mut asked = check(door(), text).expect("a command");
    let ring = RingId::parse("01990000-0000-7707-8707-070707070707");
    assert_eq!(
        answer(&asked, &CommandReply::Accepted { ring, seq: Seq(12) }),
        r#"{"id":"a1","status":"ok","reason":null,"error":null,"seq":12,"ring_id":"01990000-0000-7707-8707-070707070707"}"#
    );
    let refused = |reason| CommandReply::Refused {
        reason,
        text: "by the core".into(),
    };
    assert_eq!(
        answer(&asked, &refused(Refusal::Duplicate)),
        r#"{"id":"a1","status":"refused","reason":"duplicate","error":"by the core","seq":null,"ring_id":null}"#
    );
    asked.why_not = Some("by the broker".into());
    assert_eq!(
        answer(&asked, &refused(Refusal::Stale)),
        r#"{"id":"a1","status":"refused","reason":"stale","error":"by the broker","seq":null,"ring_id":null}"#
    );
    assert_eq!(
        refusal(None, "malformed", "no \"id\""),
        r#"{"id":null,"status":"refused","reason":"malformed","error":"no \"id\"","seq":null,"ring_id":null}"#
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
        crate::fuzz::command(&data);
    }

    #[test]
    fn nothing_untimed_kept_or_old_is_ever_news(
        command in prop_oneof![Just("open".to_owned()), Just("press".to_owned()), ".{0,8}"],
        id in proptest::option::of(prop_oneof![Just("a1".to_owned()), ".{0,70}"]),
        seconds in proptest::option::of(-40i64..40),
        door in proptest::option::of(prop_oneof![Just("front".to_owned()), ".{0,5}"]),
    ) {
        let wall: Timestamp = WALL.parse().expect("a time");
        let at = seconds.map(|s| (wall + jiff::SignedDuration::from_secs(s)).to_string());
        let value = serde_json::json!({
            "command": command, "id": id, "at": at, "door": door, "button": "bell", "panel": "main",
        });
        crate::fuzz::command(value.to_string().as_bytes());
    }
}
