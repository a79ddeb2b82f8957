//! Parameters of the site machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_config as config;
use gateway_core::{Bell, ButtonId, Cause, LineId, ListId, PanelId, Volume};
use gateway_site as site;

use config::Config;

use super::relays;

/// Debounce of virtual inputs, as a push button wants it.
pub(crate) const VIRTUAL_DEBOUNCE: Duration = Duration::from_millis(20);

/// The site machine's view of the file.
pub(crate) fn site(config: &Config, instance: &str) -> site::SiteParams {
    let mqtt = config.mqtt.as_ref();
    site::SiteParams {
        accounts: map(&config.accounts, |a| site::AccountParams {
            domain: a.domain.to_string(),
            register: a.register,
        }),
        accept_untimed: mqtt.is_some_and(|m| m.accept_untimed),
        alarms: map(&config.alarms, |a| site::AlarmParams {
            again: a.again,
            calls: a.calls.clone(),
            code: a.code.clone(),
            input: a.input.clone(),
            name: a.name.clone(),
            panel: a.panel.clone(),
            rounds: a.rounds,
        }),
        announcements: map(&config.announcements, |a| site::AnnouncementParams {
            file: a.file.clone(),
            name: a.name.clone(),
            panels: config.panels_of(a).cloned().collect(),
        }),
        areas: map(&config.areas, |a| site::Area {
            passback: match a.anti_passback {
                config::AntiPassback::Hard => site::Passback::Hard,
                config::AntiPassback::Soft => site::Passback::Soft,
            },
            time_out: a.time_out,
        }),
        cards: map(&config.cards, card),
        codes: map(&config.codes, code),
        command_ttl: mqtt.map_or(Duration::from_secs(10), |m| m.command_ttl),
        door_groups: map(&config.door_groups, |g| site::DoorGroupParams {
            doors: g.doors.iter().cloned().collect(),
            interlock: g.interlock,
            lockdown_input: g.lockdown_input.clone(),
            name: g.name.clone(),
        }),
        doors: map(&config.doors, door),
        fire_input: config.site.fire_input.clone(),
        groups: map(&config.groups, |g| site::Group {
            doors: g.doors.iter().cloned().collect(),
            escort: g.escorted_by.clone().map(|by| site::Escort {
                by,
                within: g.escort_within,
            }),
            open_for: g.strike,
            when: g.schedule.clone(),
        }),
        id: config.site.id.clone(),
        // the GPIO driver debounces by itself; a virtual input bounces only if it is told to
        inputs: map(&config.inputs, |i| site::InputParams {
            debounce: if i.driver.is_virtual() {
                VIRTUAL_DEBOUNCE
            } else {
                Duration::ZERO
            },
            simulated: i.driver.is_virtual(),
        }),
        instance: instance.to_owned(),
        lines: lines(config),
        lists: map(&config.lists, |l| list(config, l))
            .into_iter()
            .chain(apartment_lists(config))
            .collect(),
        lockdown_input: config.site.lockdown_input.clone(),
        name: config.site.name.clone(),
        // what only tells something is no output that opens
        numbers: config.site.country.map(|country| country.0),
        outputs: config
            .outputs
            .iter()
            .filter(|(id, _)| config.relays.values().all(|relay| relay.output != **id))
            .map(|(id, o)| {
                let simulated = o.driver.is_virtual();
                (id.clone(), site::OutputParams { simulated })
            })
            .collect(),
        panels: config
            .panels
            .iter()
            .map(|(id, p)| (id.clone(), panel(id, p, config)))
            .collect(),
        presses: config
            .inputs
            .iter()
            .filter_map(|(id, input)| Some((id.clone(), input.press?)))
            .collect(),
        controllers: map(&config.controllers, |controller| site::ControllerParams {
            by_command: controller.by_command,
            keys: controller.forward_keys,
            readers: controller.forward.clone(),
        }),
        readers: map(&config.readers, |r| site::ReaderParams {
            card_alone: r.card_alone.clone(),
            into: r.into.clone(),
            out_of: r.out_of.clone(),
            simulated: r.driver.is_virtual(),
        }),
        relays: map(&config.relays, relays::relay),
        rules: config.engine_rules(),
        schedules: schedules(config),
        start: site::StartParams {
            hold: config.start.hold,
            reset_input: config.start.reset_input.clone(),
            tell_input: config.start.tell_input.clone(),
            tell_line: config.start.tell_line.clone(),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn map<K: Clone + Ord, V, W>(from: &BTreeMap<K, V>, one: impl Fn(&V) -> W) -> BTreeMap<K, W> {
    from.iter().map(|(id, value)| (id.clone(), one(value))).collect()
}

/// The site's time zone, if this machine knows it.
pub(crate) fn zone(config: &Config) -> Option<jiff::tz::TimeZone> {
    let name = &config.site.time_zone;
    if name == "UTC" {
        return Some(jiff::tz::TimeZone::UTC);
    }
    jiff::tz::TimeZone::get(name)
        .inspect_err(|error| tracing::error!(%error, "the time zone cannot be read; install tzdata"))
        .ok()
}

/// Without its time zone no schedule is there, and what is not there is never in force. `check` has said so.
pub(super) fn schedules(config: &Config) -> site::Schedules {
    let Some(zone) = zone(config) else {
        return site::Schedules::default();
    };
    let schedule = |schedule: &config::Schedule| {
        let lists = schedule.holidays.iter().filter_map(|id| config.holidays.get(id));
        let holidays = lists.flat_map(|list| &list.days).copied().collect();
        site::Schedule::new(&schedule.times, holidays, schedule.exceptions.clone())
    };
    site::Schedules::new(zone, map(&config.schedules, schedule))
}

fn card(card: &config::Card) -> site::CardParams {
    site::CardParams {
        doors: card.doors.iter().cloned().collect(),
        frame: card.card.clone(),
        open_for: card.strike,
        person: card.person.clone(),
        pin: card.pin.clone(),
        when: card.schedule.clone(),
    }
}

fn code(code: &config::Code) -> site::CodeParams {
    let from: BTreeSet<&str> = code.from.iter().map(|f| f.word()).collect();
    site::CodeParams {
        digits: code.digits.reveal().to_owned(),
        doors: code.doors.iter().cloned().collect(),
        from_call: from.contains(config::CodeFrom::Call.word()),
        from_keypad: from.contains(config::CodeFrom::Keypad.word()),
        person: code.person.clone(),
        when: code.schedule.clone(),
    }
}

fn door(door: &config::Door) -> site::DoorParams {
    site::DoorParams {
        by_call: door.open_by_call.clone(),
        callers: door
            .callers
            .iter()
            .map(|c| site::Caller {
                address: c.number.to_string(),
                name: c.name.clone().unwrap_or_else(|| c.number.to_string()),
                when: c.schedule.clone(),
            })
            .collect(),
        contact: door.contact.as_ref().map(|c| c.input.clone()),
        digits_by_list: matches!(door.digits_by, config::DigitsBy::List),
        duty: match door.duty {
            config::Duty::Continuous => site::Duty::Continuous,
            config::Duty::Pulse => site::Duty::Pulse,
        },
        fail: match door.fail {
            config::Fail::Safe => site::FailMode::Safe,
            config::Fail::Secure => site::FailMode::Secure,
        },
        held_open: door.held_open,
        hold: door.hold_open.clone(),
        hold_after: door.hold_after.clone(),
        hold_limit: door.hold_limit,
        lock: match door.lock {
            config::LockKind::Bistable => site::LockKind::Bistable,
            config::LockKind::GateOpen => site::LockKind::GateOpen,
            config::LockKind::GateStep => site::LockKind::GateStep,
            config::LockKind::Maglock => site::LockKind::Maglock,
            config::LockKind::Motor => site::LockKind::Motor,
            config::LockKind::Strike => site::LockKind::Strike,
        },
        lock_sense: door.lock_sense.as_ref().map(|of| of.input.clone()),
        name: door.name.clone(),
        on_journal_fault: match door.on_journal_fault {
            config::OnJournalFault::OpenAndBuffer => site::OnJournalFault::OpenAndBuffer,
            config::OnJournalFault::Refuse => site::OnJournalFault::Refuse,
        },
        output: door.output.clone(),
        owner: match door.lock_owner {
            config::LockOwner::Gateway => site::LockOwner::Gateway,
            config::LockOwner::Panel => site::LockOwner::Panel,
        },
        readers: door.readers.clone(),
        relock: match door.relock {
            config::Relock::OnClose => site::Relock::OnClose,
            config::Relock::OnOpen => site::Relock::OnOpen,
            config::Relock::Time => site::Relock::Time,
        },
        rex: door.rex.iter().map(rex).collect(),
        second_within: door.second_within,
        strike: door.strike,
        tamper: door.tamper.as_ref().map(|t| t.input.clone()),
        travel: door.travel,
        two_persons: door.two_persons.clone(),
        visitor: door.visitor,
    }
}

fn rex(rex: &config::Rex) -> site::RexParams {
    site::RexParams {
        input: rex.input.clone(),
        kind: match rex.kind {
            config::RexKind::Parallel => site::RexKind::Parallel,
            config::RexKind::ShuntOnly => site::RexKind::ShuntOnly,
            config::RexKind::Unlock => site::RexKind::Unlock,
        },
    }
}

fn lines(config: &Config) -> BTreeMap<LineId, site::LineParams> {
    let opens = |of: &LineId| {
        let mut doors = config.outputs.values();
        doors.any(|output| matches!(&output.driver, config::OutputDriver::FrontEnd(door) if door.line == *of))
    };
    let all = config.lines.iter();
    all.map(|(id, of)| (id.clone(), line(of, opens(id)))).collect()
}

/// On a front end a line does no more than its profile can. One whose profile could not be read opens nothing by itself.
/// `opens` if the front end presses a door there.
fn line(line: &config::Line, opens: bool) -> site::LineParams {
    let of = match &line.driver {
        config::LineDriver::FrontEnd(of) => Some(of),
        config::LineDriver::Contact(_) | config::LineDriver::Virtual(_) => None,
    };
    let can = of.and_then(|of| of.panel_profile()).map(|profile| &profile.can);
    let within =
        |asked: Duration, most: Option<u32>| most.map_or(asked, |s| asked.min(Duration::from_secs(s.into())));
    let open_when = match (line.open_when, can.map(|can| can.open_when)) {
        (config::OpenWhen::Ringing, _) | (_, Some(gateway_panel::OpenWhen::Ringing)) => {
            site::OpenWhen::Ringing
        }
        (config::OpenWhen::OffHook, _) | (_, Some(gateway_panel::OpenWhen::OffHook)) => {
            site::OpenWhen::OffHook
        }
        (config::OpenWhen::Always, Some(gateway_panel::OpenWhen::Always) | None) => site::OpenWhen::Always,
    };
    site::LineParams {
        call_in: match line.call_in {
            config::CallIn::None => site::CallIn::None,
            config::CallIn::SelfStart => site::CallIn::SelfStart,
        },
        handset_sense: line.driver.is_virtual() || of.is_some_and(|of| of.handset_input.is_some()),
        hook_to_open: opens
            && of
                .and_then(|of| of.panel_profile()?.door)
                .is_some_and(|door| door.off_hook_ms > 0),
        open_when,
        quiet: line.quiet_times.clone(),
        quiet_volume: Volume {
            microphone_db: line.quiet_microphone.unwrap_or(line.microphone),
            speaker_db: line.quiet_speaker.unwrap_or(line.speaker - 12),
        },
        ring_window: within(line.ring_window, can.map(|can| can.ring_window_s)),
        simulated: line.driver.is_virtual(),
        talk_window: within(line.talk_window, can.map(|can| can.talk_window_s)),
        volume: Volume {
            microphone_db: line.microphone,
            speaker_db: line.speaker,
        },
    }
}

fn list(config: &Config, list: &config::List) -> site::ListParams {
    site::ListParams {
        again: list.again,
        hang_up_after_open: list.hang_up_after_open,
        parallel: matches!(list.strategy, config::Strategy::Parallel),
        ring: list.ring,
        rounds: list.rounds,
        talk_limit: list.talk_limit,
        targets: list.targets.iter().map(|t| target(config, t)).collect(),
    }
}

/// A number goes through the panel's account; a full address through the account of its domain, else directly.
fn target(config: &Config, target: &config::Target) -> site::TargetParams {
    let of_domain = |host: &str| {
        let mut accounts = config.accounts.iter();
        accounts
            .find(|(_, a)| a.domain.as_str() == host)
            .map(|(id, _)| id.clone())
    };
    let account = target
        .account
        .clone()
        .or_else(|| target.to.as_ref()?.host().and_then(of_domain));
    site::TargetParams {
        confirm: target.confirm.map(|key| key.0),
        contact: target.contact.clone(),
        direct: account.is_none() && target.to.as_ref().is_some_and(|to| to.host().is_some()),
        account,
        address: target.to.as_ref().map(ToString::to_string).unwrap_or_default(),
        manner: gateway_core::Manner {
            alert: target.alert_info.as_ref().map(ToString::to_string),
            answers_itself: target.auto_answer,
            keys: target
                .digits_after_answer
                .as_ref()
                .map(|digits| gateway_core::Keys {
                    digits: digits.to_string(),
                    by: match target.digit_method {
                        config::DigitMethod::Auto => gateway_core::KeysBy::Auto,
                        config::DigitMethod::Inband => gateway_core::KeysBy::Inband,
                        config::DigitMethod::Info => gateway_core::KeysBy::Info,
                        config::DigitMethod::Rfc4733 => gateway_core::KeysBy::TelephoneEvent,
                    },
                }),
        },
        name: target.name.clone(),
    }
}

/// Name of the list that an apartment of a panel calls.
fn apartment_list(panel: &PanelId, apartment: u16) -> Option<ListId> {
    ListId::new(&format!("{panel}-apartment-{apartment}")).ok()
}

/// The lists of apartments: one number each.
fn apartment_lists(config: &Config) -> Vec<(ListId, site::ListParams)> {
    let mut lists = Vec::new();
    for (id, panel) in &config.panels {
        let Some(apartments) = &panel.apartments else {
            continue;
        };
        for (apartment, number) in apartments.numbers().unwrap_or_default() {
            let Some(list) = apartment_list(id, apartment) else {
                continue;
            };
            let params = site::ListParams {
                again: Duration::ZERO,
                hang_up_after_open: false,
                parallel: false,
                ring: apartments.ring,
                rounds: 1,
                talk_limit: None,
                targets: vec![site::TargetParams {
                    account: apartments.account.clone(),
                    address: number,
                    confirm: None,
                    contact: None,
                    direct: false,
                    manner: gateway_core::Manner::default(),
                    name: None,
                }],
            };
            lists.push((list, params));
        }
    }
    lists
}

/// Buttons of the bells that a line names.
fn bells(id: &PanelId, panel: &config::Panel) -> Vec<(ButtonId, site::ButtonParams)> {
    let mut bells = Vec::new();
    let mut add = |name: String, bell, list: Option<ListId>| {
        if let (Ok(button), Some(list)) = (ButtonId::new(&name), list) {
            let params = site::ButtonParams {
                bell: Some(bell),
                ..site::ButtonParams::calling(list, name)
            };
            bells.push((button, params));
        }
    };
    if let Some(apartments) = &panel.apartments {
        for n in apartments.subscribed.iter() {
            add(
                format!("apartment-{n}"),
                Bell::Apartment(n),
                apartment_list(id, n),
            );
        }
        for n in apartments.concierge_for.iter().flat_map(|all| all.iter()) {
            add(
                format!("apartment-{n}"),
                Bell::Apartment(n),
                apartments.concierge.clone(),
            );
        }
    }
    add("floor".to_owned(), Bell::Floor, panel.floor_call.clone());
    bells
}

fn panel(id: &PanelId, panel: &config::Panel, config: &Config) -> site::PanelParams {
    let buttons = map(&panel.buttons, |b| site::ButtonParams {
        again_next: b.again == config::PressAgain::Next,
        bell: None,
        day: b.day.clone(),
        hangs_up: b.in_talk == config::PressInTalk::HangUp,
        input: b.input.clone(),
        list: b.call.clone(),
        mode: match b.mode {
            config::ButtonMode::ListForbidden => site::ButtonMode::ListForbidden,
            config::ButtonMode::ListList => site::ButtonMode::ListList,
            config::ButtonMode::StrikeList => site::ButtonMode::StrikeList,
        },
        name: b.name.clone(),
        night: b.night_call.clone(),
        opens: b.opens.clone(),
        quiet: b.quiet.clone(),
    });
    site::PanelParams {
        accounts: panel.accounts().cloned().collect(),
        answer: match (panel.answer_by_button, panel.answer_after) {
            (Some(within), _) => site::Answer::ByPress(within),
            (None, Some(time)) => site::Answer::After(time),
            (None, None) => site::Answer::AtOnce,
        },
        buttons: buttons.into_iter().chain(bells(id, panel)).collect(),
        callers: panel.callers.iter().filter_map(caller).collect(),
        doors: panel.doors.clone(),
        line: panel.line.clone(),
        name: panel.name.clone(),
        record: config
            .recordings
            .as_ref()
            .filter(|_| panel.record)
            .map(|kept| site::RecordParams {
                announcement: kept.announcement_file.clone(),
                folder: config.site.state_dir.join("recordings"),
                most_files: kept.most_files,
                most_mib: kept.most_mib,
            }),
        ring_to_open: panel.ring_to_open,
        early_media: match panel.early_media {
            config::EarlyMedia::Ignore => false,
            config::EarlyMedia::Play => true,
        },
        greeting: panel.greeting_file.clone(),
        rings_back: match panel.ring_back {
            config::RingBack::Gateway => true,
            config::RingBack::Phone => false,
        },
        opened_call: match panel.opened_call {
            config::CallRefusal::Busy => Cause::Busy,
            config::CallRefusal::Declined => Cause::Declined,
            config::CallRefusal::Unavailable => Cause::Unavailable,
        },
        on_line_fault: match panel.on_line_fault {
            config::OnLineFault::Reject480 => site::OnLineFault::Reject,
            config::OnLineFault::Stay => site::OnLineFault::Stay,
            config::OnLineFault::Unregister => site::OnLineFault::Unregister,
        },
        transfers: match panel.transfers {
            config::Transfers::Any => site::Transfers::Any,
            config::Transfers::Listed => site::Transfers::Listed,
            config::Transfers::Refuse => site::Transfers::Refuse,
        },
        other_calls: match panel.other_calls {
            config::OtherCalls::Answer => None,
            config::OtherCalls::Busy => Some(Cause::Busy),
            config::OtherCalls::Declined => Some(Cause::Declined),
            config::OtherCalls::Unavailable => Some(Cause::Unavailable),
        },
    }
}

/// `None` for what the check refuses: it must not mean everybody, nor nobody in particular.
fn caller(caller: &config::PanelCaller) -> Option<site::CallerParams> {
    let number = match &caller.number {
        None => None,
        Some(number) => Some(site::CallerPattern::parse(&number.text).ok()?),
    };
    let action = match caller.action {
        config::CallerDo::Bridge => site::CallerAction::Bridge(caller.list.clone()?),
        config::CallerDo::Busy => site::CallerAction::Refuse(Cause::Busy),
        config::CallerDo::Divert => site::CallerAction::Divert(caller.to.as_ref()?.text.clone()),
        config::CallerDo::Open => site::CallerAction::Open,
        config::CallerDo::Reject => site::CallerAction::Refuse(Cause::Declined),
        config::CallerDo::Talk => site::CallerAction::Talk,
    };
    Some(site::CallerParams {
        action,
        number,
        when: caller.schedule.clone(),
    })
}
