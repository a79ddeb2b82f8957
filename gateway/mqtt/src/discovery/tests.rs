//! Announcements, word by word.

use super::*;
use crate::tests::{params, view};

fn all(params: &MqttParams, view: &SiteView, before: impl Fn(&str) -> Components) -> Vec<(String, Value)> {
    let topics = Topics::new(&params.base, &params.site_id);
    announcements(params, &topics, view, before)
        .into_iter()
        .map(|a| (a.topic, serde_json::from_str(&a.payload).expect("JSON")))
        .collect()
}

/// What makes something available.
fn up(is_so: &str) -> Value {
    json!([
        {
            "topic": "doorline/lilas/alive",
            "value_template": format!("{{{{ 'online' if {is_so} else 'offline' }}}}"),
        },
        { "topic": "doorline/lilas/availability", "payload_available": "-" },
        {
            "topic": "homeassistant/status",
            "payload_available": "-",
            "payload_not_available": "online",
        },
    ])
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_exact_text_of_a_door_whose_panel_owns_the_lock() {
    let params = params(1883);
    let topics = Topics::new(&params.base, &params.site_id);
    let found = announcements(&params, &topics, &view(), |_| Components::new());
    let yard = &found[2];
    assert_eq!(yard.topic, "homeassistant/device/doorline_lilas_door_yard/config");
    assert_eq!(
        yard.payload,
        concat!(
            r#"{"device":{"identifiers":["doorline_lilas_door_yard"],"name":"Yard","manufacturer":"Doorline","model":"Door","via_device":"doorline_lilas","configuration_url":"https://192.0.2.1/"},"#,
            r#""origin":{"name":"Doorline","sw_version":"0.1.0"},"#,
            r#""components":{"open":{"platform":"button","unique_id":"doorline_lilas_door_yard_open","object_id":"doorline_lilas_door_yard_open","default_entity_id":"button.doorline_lilas_door_yard_open","name":"Ouvrir","command_topic":"doorline/lilas/door/yard/command","#,
            r#""command_template":"{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}\",\"at\":\"{{ utcnow().isoformat() }}\"}","qos":1,"#,
            r#""availability":[{"topic":"doorline/lilas/alive","value_template":"{{ 'online' if 'yard' in value_json.available else 'offline' }}"},{"topic":"doorline/lilas/availability","payload_available":"-"},{"topic":"homeassistant/status","payload_available":"-","payload_not_available":"online"}]},"#,
            r#""mode":{"platform":"select","unique_id":"doorline_lilas_door_yard_mode","object_id":"doorline_lilas_door_yard_mode","default_entity_id":"select.doorline_lilas_door_yard_mode","name":"Mode de la porte","icon":"mdi:door-closed-lock","options":["Normal","Maintenue ouverte","Confinement"],"command_topic":"doorline/lilas/command","#,
            r#""command_template":"{\"command\":\"{{ {'Maintenue ouverte':'hold','Confinement':'lockdown'}.get(value, 'end-lockdown' if this.state == 'Confinement' else 'end-hold') }}\",\"door\":\"yard\",\"group\":\"street\",{% if value == 'Maintenue ouverte' %}\"minutes\":1,{% endif %}\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}\",\"at\":\"{{ utcnow().isoformat() }}\"}","qos":1,"#,
            r#""state_topic":"doorline/lilas/door/yard/state","value_template":"{{ 'Confinement' if value_json.lockdown else 'Maintenue ouverte' if value_json.hold else 'Normal' }}","availability":[{"topic":"doorline/lilas/alive","value_template":"{{ 'online' if value_json.alive else 'offline' }}"},{"topic":"doorline/lilas/availability","payload_available":"-"},{"topic":"homeassistant/status","payload_available":"-","payload_not_available":"online"}]},"#,
            r#""problem":{"platform":"binary_sensor","unique_id":"doorline_lilas_door_yard_problem","object_id":"doorline_lilas_door_yard_problem","default_entity_id":"binary_sensor.doorline_lilas_door_yard_problem","name":"Problème","device_class":"problem","state_topic":"doorline/lilas/door/yard/state","value_template":"{{ 'ON' if value_json.forced or value_json.held_open else 'OFF' }}","availability":[{"topic":"doorline/lilas/alive","value_template":"{{ 'online' if value_json.alive else 'offline' }}"},{"topic":"doorline/lilas/availability","payload_available":"-"},{"topic":"homeassistant/status","payload_available":"-","payload_not_available":"online"}]},"#,
            r#""activity":{"platform":"event","unique_id":"doorline_lilas_door_yard_activity","object_id":"doorline_lilas_door_yard_activity","default_entity_id":"event.doorline_lilas_door_yard_activity","name":"Activité","event_types":["closed","denied","forced","forced-ended","granted","held-open","held-open-ended","hold-began","hold-ended","lock-fault","locked-out","opened","opened-by-panel","passback","relocked","rex-shunt","second-awaited","tamper","unlocked"],"state_topic":"doorline/lilas/door/yard/event","availability":[{"topic":"doorline/lilas/alive","value_template":"{{ 'online' if value_json.alive else 'offline' }}"},{"topic":"doorline/lilas/availability","payload_available":"-"},{"topic":"homeassistant/status","payload_available":"-","payload_not_available":"online"}]},"#,
            r#""trigger_denied":{"platform":"device_automation","automation_type":"trigger","type":"denied","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"denied"},"#,
            r#""trigger_forced":{"platform":"device_automation","automation_type":"trigger","type":"forced","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"forced"},"#,
            r#""trigger_held-open":{"platform":"device_automation","automation_type":"trigger","type":"held-open","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"held-open"},"#,
            r#""trigger_opened":{"platform":"device_automation","automation_type":"trigger","type":"opened","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"opened"},"#,
            r#""trigger_unlocked":{"platform":"device_automation","automation_type":"trigger","type":"unlocked","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"unlocked"}}}"#,
        )
    );
}

#[test]
fn a_door_with_its_own_lock_has_a_lock_a_contact_and_its_bell() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let (topic, front) = &found[1];
    assert_eq!(topic, "homeassistant/device/doorline_lilas_door_front/config");
    assert_eq!(
        keys(&front["components"]),
        [
            "lock",
            "open",
            "mode",
            "contact",
            "tamper",
            "problem",
            "activity",
            "trigger_denied",
            "trigger_forced",
            "trigger_held-open",
            "trigger_opened",
            "trigger_unlocked",
            "ring_main",
            "call_main",
            "hang_up_main",
            "quiet_main",
            "ring_to_open_main",
            "announce_main_lift",
            "trigger_ring_main_bell",
            "make_call_main_bell"
        ]
    );
    let bell = &front["components"]["ring_main"];
    assert_eq!(bell["event_types"], json!(["ring"]));
    assert_eq!(bell["device_class"], "doorbell");
    assert_eq!(bell["state_topic"], "doorline/lilas/panel/main/event");
    let lock = &front["components"]["lock"];
    assert_eq!(lock["default_entity_id"], "lock.doorline_lilas_door_front_lock");
    assert_eq!(lock["availability"], up("'front' in value_json.available"));
    assert!(
        lock.get("payload_lock").is_none(),
        "LOCK must stay what the template does not open for"
    );
}

#[test]
fn the_site_has_connection_and_problem_and_the_bells_without_a_door() {
    let mut view = view();
    view.panels[0].doors.clear();
    let found = all(&params(1883), &view, |_| Components::new());
    let (topic, site) = &found[0];
    assert_eq!(topic, "homeassistant/device/doorline_lilas/config");
    assert_eq!(keys(site), ["device", "origin", "components"]);
    assert_eq!(
        keys(&site["components"]),
        [
            "connection",
            "problem",
            "update",
            "account_pbx",
            "fire",
            "reset_fire",
            "lockdown",
            "lockdown_street",
            "alarm_intrusion",
            "confirm_intrusion",
            "relay_network",
            "relay_siren",
            "ring_main",
            "call_main",
            "hang_up_main",
            "quiet_main",
            "ring_to_open_main",
            "announce_main_lift",
            "trigger_ring_main_bell",
            "make_call_main_bell"
        ]
    );
    assert_eq!(site["device"]["serial_number"], "041234567");
    // nothing is told without saying whether that is so still, but what tells of the last will is there after it
    for (_, device) in &found {
        let parts = device["components"].as_object().expect("components").iter();
        for (key, part) in parts.filter(|(_, part)| part.get("unique_id").is_some()) {
            let all = up("value_json.alive");
            let due = match key.as_str() {
                "connection" => json!([all[0], all[2]]),
                _ => json!([part["availability"][0], all[1], all[2]]),
            };
            assert_eq!(part["availability"], due, "{key}");
            assert_eq!(part["availability"][0]["topic"], all[0]["topic"], "{key}");
            assert!(part.get("availability_mode").is_none(), "{key}");
        }
    }
}

#[test]
fn an_alarm_can_be_confirmed_and_only_a_relay_that_is_to_be_set_is_a_switch() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let parts = &found[0].1["components"];
    let alarm = &parts["alarm_intrusion"];
    assert_eq!(
        (&alarm["platform"], &alarm["device_class"], &alarm["state_topic"]),
        (
            &json!("binary_sensor"),
            &json!("safety"),
            &json!("doorline/lilas/alarm/intrusion/state")
        )
    );
    let confirm = &parts["confirm_intrusion"];
    assert_eq!(
        (&confirm["platform"], &confirm["name"], &confirm["command_topic"]),
        (
            &json!("button"),
            &json!("Acquitter Warehouse"),
            &json!("doorline/lilas/command")
        )
    );
    let template = confirm["command_template"].as_str().expect("a text");
    assert!(
        template.starts_with(r#"{"command":"confirm-alarm","alarm":"intrusion","id":"#),
        "{template}"
    );
    let siren = &parts["relay_siren"];
    assert_eq!(siren["platform"], "switch");
    let template = siren["command_template"].as_str().expect("a text");
    let set =
        r#"{"command":"set-relay","relay":"siren","state":"{{ 'on' if value == 'ON' else 'off' }}","id":"#;
    assert!(template.starts_with(set), "{template}");
    let network = &parts["relay_network"];
    assert_eq!(network["platform"], "binary_sensor");
    assert!(network.get("command_topic").is_none());
}

#[test]
fn a_component_that_is_gone_is_removed_and_a_contact_not_read_yet_stays() {
    let mut view = view();
    view.doors[0].owned = false;
    view.doors[0].contact = ContactState::Unknown;
    let before = |topic: &str| {
        let front = topic.ends_with("door_front/config");
        let known = [("lock", "lock"), ("contact", "binary_sensor")];
        let known = known.iter().filter(|_| front);
        known.map(|(k, p)| ((*k).to_owned(), (*p).to_owned())).collect()
    };
    let found = all(&params(1883), &view, before);
    let components = &found[1].1["components"];
    assert_eq!(components["lock"], json!({ "platform": "lock" }));
    assert_eq!(components["contact"]["device_class"], "door");
    assert_eq!(components["open"]["platform"], "button");
}

#[test]
fn a_lock_of_the_panel_that_is_sensed_is_a_sensor_and_nothing_that_opens() {
    let mut view = view();
    view.doors[0].owned = false;
    for lock in [LockState::Locked, LockState::Unlocked] {
        view.doors[0].lock = lock;
        let found = all(&params(1883), &view, |_| Components::new());
        let components = &found[1].1["components"];
        assert_eq!(components["sense"]["platform"], "binary_sensor");
        assert_eq!(components["sense"]["device_class"], "lock");
        assert!(components["sense"].get("command_topic").is_none() && components.get("lock").is_none());
    }
    view.doors[0].lock = LockState::Unknown;
    let found = all(&params(1883), &view, |_| Components::new());
    assert!(
        found[1].1["components"].get("sense").is_none(),
        "there is no sense, or nobody reads it"
    );
}

#[test]
fn each_announcement_is_known_as_ours_but_not_in_the_other_format_or_of_another_site() {
    let of = |format| {
        let mut params = params(1883);
        params.discovery.as_mut().expect("discovery").format = format;
        params
    };
    let (device, entities) = (of(DiscoveryFormat::Device), of(DiscoveryFormat::Entities));
    let off = MqttParams {
        discovery: None,
        ..device.clone()
    };
    for (params, otherwise) in [(&device, &entities), (&entities, &device)] {
        let topics = Topics::new(&params.base, &params.site_id);
        let other = MqttParams {
            site_id: gateway_core::SiteId::new("lil").expect("a name"),
            ..params.clone()
        };
        let all = announcements(params, &topics, &view(), |_| Components::new());
        assert!(all.len() >= 3);
        for Announcement { topic, .. } in &all {
            assert!(is_own(params, topic) && is_own(&off, topic), "{topic}");
            assert!(!is_own(&other, topic) && !is_own(otherwise, topic), "{topic}");
        }
    }
}

#[test]
fn older_versions_get_a_message_per_entity_with_the_same_names() {
    let whole = all(&params(1883), &view(), |_| Components::new());
    let mut params = params(1883);
    params.press = true;
    let discovery = params.discovery.as_mut().expect("discovery");
    discovery.format = DiscoveryFormat::Entities;
    discovery.people = true;
    let mut view = view();
    view.doors[0].contact = ContactState::Unknown;
    let contact = "homeassistant/binary_sensor/doorline_lilas_door_front/contact/config";
    let before = |topic: &str| {
        let known = (topic == contact).then(|| ("contact".to_owned(), "binary_sensor".to_owned()));
        known.into_iter().collect()
    };
    let found = all(&params, &view, before);
    let one = |topic: &str| {
        let fits = found.iter().find(|(t, _)| t == topic);
        &fits.unwrap_or_else(|| panic!("{topic} is not among them")).1
    };
    let lock = one("homeassistant/lock/doorline_lilas_door_front/lock/config");
    let in_device = &whole[1].1["components"]["lock"];
    assert_eq!(lock["unique_id"], in_device["unique_id"]);
    assert_eq!(lock["command_template"], in_device["command_template"]);
    assert_eq!(lock["device"], whole[1].1["device"]);
    assert!(lock.get("platform").is_none());
    // not read yet, but announced before
    one(contact);
    let person = one("homeassistant/sensor/doorline_lilas_door_front/person/config");
    assert_eq!(person["enabled_by_default"], false);
    let press = one("homeassistant/button/doorline_lilas_door_front/press_main_bell/config");
    assert_eq!(press["name"], "Appuyer Bell");
    let ring = one("homeassistant/device_automation/doorline_lilas_door_front/trigger_ring_main_bell/config");
    assert_eq!(ring["payload"], "ring bell");
    assert!(ring.get("unique_id").is_none());
}

#[test]
fn without_discovery_nothing_is_announced_and_odd_bases_make_safe_nodes() {
    let mut params = params(1883);
    params.base = "haus/tür 1".into();
    let found = all(&params, &view(), |_| Components::new());
    assert_eq!(found[0].0, "homeassistant/device/haus_t_r_1_lilas/config");
    params.discovery = None;
    assert_eq!(all(&params, &view(), |_| Components::new()), []);
}

#[test]
fn a_lock_says_unlocking_only_between_the_permission_and_the_relay() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let lock = &found[1].1["components"]["lock"];
    assert_eq!(
        lock["value_template"],
        "{{ 'UNLOCKING' if value_json.lock == 'locked' and value_json.pulse else \
         {'locked':'LOCKED','unlocked':'UNLOCKED'}.get(value_json.lock) }}"
    );
}

#[test]
fn the_exact_text_of_a_fire_alarm_and_what_resets_it() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let site = &found[0].1["components"];
    let fire = json!({
        "platform": "binary_sensor",
        "unique_id": "doorline_lilas_fire",
        "object_id": "doorline_lilas_fire",
        "default_entity_id": "binary_sensor.doorline_lilas_fire",
        "name": "Alarme incendie",
        "device_class": "safety",
        "icon": "mdi:fire",
        "state_topic": "doorline/lilas/state",
        "value_template": "{{ 'ON' if value_json.fire else 'OFF' }}",
        "availability": up("value_json.alive"),
    });
    assert_eq!(site["fire"], fire);
    let reset = &site["reset_fire"];
    assert_eq!(
        (&reset["platform"], &reset["command_topic"]),
        (&json!("button"), &json!("doorline/lilas/command"))
    );
    let template = reset["command_template"].as_str().expect("a text");
    assert!(
        template.starts_with(r#"{"command":"reset-fire","id":"ha-"#),
        "{template}"
    );

    let mut view = view();
    view.fire = None;
    let before = |topic: &str| {
        let site = topic == "homeassistant/device/doorline_lilas/config";
        site.then(|| ("fire".to_owned(), "binary_sensor".to_owned()))
            .into_iter()
            .collect()
    };
    let found = all(&params(1883), &view, before);
    let site = &found[0].1["components"];
    assert_eq!(site["fire"], json!({ "platform": "binary_sensor" }));
    assert!(site.get("reset_fire").is_none());
}

#[test]
fn the_exact_texts_of_lockdowns_and_of_ring_to_open() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let site = &found[0].1["components"];
    let commands = |part: &Value| {
        part["command_template"]
            .as_str()
            .expect("a text")
            .split("\"id\"")
            .next()
            .map(str::to_owned)
    };
    assert_eq!(site["lockdown"]["name"], "Confinement");
    assert_eq!(
        site["lockdown"]["value_template"],
        "{{ 'ON' if value_json.lockdown else 'OFF' }}"
    );
    assert_eq!(
        commands(&site["lockdown"]).as_deref(),
        Some(r#"{"command":"{{ 'lockdown' if value == 'ON' else 'end-lockdown' }}","#)
    );
    let street = &site["lockdown_street"];
    assert_eq!(street["command_topic"], "doorline/lilas/command");
    assert_eq!(
        street["value_template"],
        "{{ 'ON' if 'street' in value_json.lockdown_groups else 'OFF' }}"
    );
    assert_eq!(
        commands(street).as_deref(),
        Some(r#"{"command":"{{ 'lockdown' if value == 'ON' else 'end-lockdown' }}","group":"street","#)
    );
    let front = &found[1].1["components"]["ring_to_open_main"];
    assert_eq!(
        (&front["platform"], &front["name"]),
        (&json!("switch"), &json!("Ouvrir à qui sonne"))
    );
    assert_eq!(front["command_topic"], "doorline/lilas/panel/main/command");
    assert_eq!(
        front["value_template"],
        "{{ 'ON' if value_json.ring_to_open else 'OFF' }}"
    );
    assert_eq!(
        front["json_attributes_template"],
        "{{ {'until': value_json.ring_to_open_until} | tojson }}"
    );
    assert_eq!(
        commands(front).as_deref(),
        Some(r#"{"command":"{{ 'ring-to-open' if value == 'ON' else 'end-ring-to-open' }}","minutes":120,"#)
    );
    let mut view = view();
    view.panels[0].ring_to_open_limit = None;
    let found = all(&params(1883), &view, |_| Components::new());
    assert!(found[1].1["components"].get("ring_to_open_main").is_none());
}

#[test]
fn a_door_has_the_modes_that_it_really_has() {
    let mut view = view();
    let modes = |view: &SiteView| {
        let found = all(&params(1883), view, |_| Components::new());
        found[1].1["components"]["mode"].clone()
    };
    let held = modes(&view);
    assert_eq!(
        held,
        json!({
            "platform": "select",
            "unique_id": "doorline_lilas_door_front_mode",
            "object_id": "doorline_lilas_door_front_mode",
            "default_entity_id": "select.doorline_lilas_door_front_mode",
            "name": "Mode de la porte",
            "icon": "mdi:door-closed-lock",
            "options": ["Normal", "Maintenue ouverte"],
            "command_topic": "doorline/lilas/door/front/command",
            "command_template": concat!(
                r#"{"command":"{{ 'hold' if value == 'Maintenue ouverte' else 'end-hold' }}","minutes":120,"#,
                r#""id":"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}","at":"{{ utcnow().isoformat() }}"}"#,
            ),
            "qos": 1,
            "state_topic": "doorline/lilas/door/front/state",
            "value_template": "{{ 'Maintenue ouverte' if value_json.hold else 'Normal' }}",
            "availability": up("value_json.alive and 'front' not in value_json.lockdown"),
        })
    );
    // with a group of its own it can be locked down, too
    view.lockdowns[1].doors = vec![view.doors[0].id.clone()];
    let own = modes(&view);
    assert_eq!(
        own["options"],
        json!(["Normal", "Maintenue ouverte", "Confinement"])
    );
    assert_eq!(own["command_topic"], "doorline/lilas/command");
    let template = own["command_template"].as_str().expect("a text");
    let wanted = concat!(
        r#"{"command":"{{ {'Maintenue ouverte':'hold','Confinement':'lockdown'}.get(value, "#,
        r#"'end-lockdown' if this.state == 'Confinement' else 'end-hold') }}","#,
        r#""door":"front","group":"street",{% if value == 'Maintenue ouverte' %}"minutes":120,{% endif %}"id":"#,
    );
    assert!(template.starts_with(wanted), "{template}");
    assert_eq!(
        own["value_template"],
        "{{ 'Confinement' if value_json.lockdown else 'Maintenue ouverte' if value_json.hold else 'Normal' }}"
    );
    assert_eq!(own["availability"], up("value_json.alive"));
    view.doors[0].hold_limit = None;
    let locked = modes(&view);
    assert_eq!(locked["options"], json!(["Normal", "Confinement"]));
    assert_eq!(
        locked["value_template"],
        "{{ 'Confinement' if value_json.lockdown else 'Normal' }}"
    );
    view.lockdowns.clear();
    assert!(modes(&view).is_null());
}

#[test]
fn where_a_code_is_needed_only_what_asks_for_one_opens() {
    let mut params = params(1883);
    params.code_needed = true;
    let found = all(&params, &view(), |_| Components::new());
    let front = &found[1].1["components"];
    let lock = &front["lock"];
    assert_eq!(lock["code_format"], "^[0-9*#]{1,8}$");
    let template = lock["command_template"].as_str().expect("a text");
    let wanted = concat!(
        r#"{"command":"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}","#,
        r#""code":{{ code | tojson }},"id":"#,
    );
    assert!(template.starts_with(wanted), "{template}");
    for without in ["open", "mode", "ring_to_open_main"] {
        assert!(front.get(without).is_none(), "{without}");
    }
    // what was announced before is removed
    let before = |topic: &str| {
        let front = topic.ends_with("door_front/config");
        front
            .then(|| ("open".to_owned(), "button".to_owned()))
            .into_iter()
            .collect()
    };
    let found = all(&params, &view(), before);
    assert_eq!(found[1].1["components"]["open"], json!({ "platform": "button" }));
}

#[test]
fn a_panel_can_be_made_to_call_where_its_line_is_heard_without_a_ring_and_nowhere_else() {
    let mut view = view();
    let found = all(&params(1883), &view, |_| Components::new());
    let call = &found[1].1["components"]["make_call_main_bell"];
    assert_eq!(
        (&call["platform"], &call["name"], &call["command_topic"]),
        (
            &json!("button"),
            &json!("Appeler : Bell"),
            &json!("doorline/lilas/panel/main/command")
        )
    );
    let template = call["command_template"].as_str().expect("a text");
    assert!(
        template.starts_with(r#"{"command":"call","button":"bell","id":"ha-"#),
        "{template}"
    );
    view.panels[0].callable = false;
    let before = |topic: &str| {
        let front = topic.ends_with("door_front/config");
        front
            .then(|| ("make_call_main_bell".to_owned(), "button".to_owned()))
            .into_iter()
            .collect()
    };
    let found = all(&params(1883), &view, before);
    assert_eq!(
        found[1].1["components"]["make_call_main_bell"],
        json!({ "platform": "button" })
    );
}

#[test]
fn each_announcement_of_a_panel_is_a_button_and_goes_when_the_site_file_lists_it_no_more() {
    let mut view = view();
    let found = all(&params(1883), &view, |_| Components::new());
    let announce = &found[1].1["components"]["announce_main_lift"];
    assert_eq!(
        (
            &announce["platform"],
            &announce["name"],
            &announce["command_topic"]
        ),
        (
            &json!("button"),
            &json!("Annoncer : The lift is out of order"),
            &json!("doorline/lilas/panel/main/command")
        )
    );
    let template = announce["command_template"].as_str().expect("a text");
    assert!(
        template.starts_with(r#"{"command":"announce","announcement":"lift","id":"ha-"#),
        "{template}"
    );
    let before = shape(&view);
    view.panels[0].announcements.clear();
    assert_ne!(shape(&view), before, "it is announced anew");
    let known = |topic: &str| {
        let front = topic.ends_with("door_front/config");
        front
            .then(|| ("announce_main_lift".to_owned(), "button".to_owned()))
            .into_iter()
            .collect()
    };
    let found = all(&params(1883), &view, known);
    assert_eq!(
        found[1].1["components"]["announce_main_lift"],
        json!({ "platform": "button" })
    );
}

#[test]
fn where_only_signed_commands_are_taken_nothing_that_commands_is_announced_and_all_that_shows_is() {
    let mut params = params(1883);
    params.press = true;
    let known = all(&params, &view(), |_| Components::new());
    params.signed_only = true;
    for format in [DiscoveryFormat::Device, DiscoveryFormat::Entities] {
        params.discovery.as_mut().expect("discovery").format = format;
        for (topic, payload) in all(&params, &view(), |_| Components::new()) {
            let text = payload.to_string();
            for of_commands in ["command_topic", "command_template", "code_format", "\"config\""] {
                assert!(!text.contains(of_commands), "{of_commands} in {topic}: {text}");
            }
        }
    }
    params.discovery.as_mut().expect("discovery").format = DiscoveryFormat::Device;
    let before = |topic: &str| {
        let of = known.iter().find(|(known, _)| known == topic);
        let parts = of.and_then(|(_, payload)| payload["components"].as_object());
        parts
            .into_iter()
            .flatten()
            .map(|(key, part)| {
                (
                    key.clone(),
                    part["platform"].as_str().expect("a platform").to_owned(),
                )
            })
            .collect()
    };
    let found = all(&params, &view(), before);
    let (site, front) = (&found[0].1["components"], &found[1].1["components"]);
    for (parts, key, platform) in [
        (front, "lock", "lock"),
        (front, "open", "button"),
        (front, "mode", "select"),
        (front, "hang_up_main", "button"),
        (front, "quiet_main", "switch"),
        (front, "press_main_bell", "button"),
        (site, "lockdown", "switch"),
        (site, "relay_siren", "switch"),
        (site, "confirm_intrusion", "button"),
    ] {
        assert_eq!(parts[key], json!({ "platform": platform }), "{key} is taken away");
    }
    assert_eq!(
        front["shows_lock"],
        json!({
            "platform": "binary_sensor",
            "unique_id": "doorline_lilas_door_front_shows_lock",
            "object_id": "doorline_lilas_door_front_shows_lock",
            "default_entity_id": "binary_sensor.doorline_lilas_door_front_shows_lock",
            "name": "Serrure",
            "state_topic": "doorline/lilas/door/front/state",
            "value_template": "{{ {'unlocked':'ON','locked':'OFF'}.get(value_json.lock) }}",
            "availability": up("value_json.alive"),
            "device_class": "lock",
        })
    );
    let mode = &front["shows_mode"];
    assert_eq!(
        (&mode["platform"], &mode["device_class"], &mode["options"]),
        (
            &json!("sensor"),
            &json!("enum"),
            &json!(["Normal", "Maintenue ouverte"])
        )
    );
    assert_eq!(
        site["shows_relay_siren"]["value_template"],
        "{{ 'ON' if value_json.active else 'OFF' }}"
    );
    assert_eq!(
        site["relay_network"]["platform"], "binary_sensor",
        "what only showed stays"
    );
    assert_eq!(front["contact"]["device_class"], "door");
}

#[test]
fn the_exact_texts_of_the_options_that_are_off_by_default() {
    let mut params = params(1883);
    let found = all(&params, &view(), |_| Components::new());
    let without = &found[1].1["components"];
    assert!(without.get("tag_street").is_none() && without.get("picture_main").is_none());
    let discovery = params.discovery.as_mut().expect("discovery");
    (discovery.tags, discovery.pictures) = (true, true);
    let found = all(&params, &view(), |_| Components::new());
    let front = &found[1].1["components"];
    let scanner = json!({
        "platform": "tag",
        "topic": "doorline/lilas/reader/street/tag",
        "value_template": "{{ value_json.tag }}",
    });
    assert_eq!(front["tag_street"], scanner);
    let picture = json!({
        "platform": "image",
        "unique_id": "doorline_lilas_door_front_picture_main",
        "object_id": "doorline_lilas_door_front_picture_main",
        "default_entity_id": "image.doorline_lilas_door_front_picture_main",
        "name": "Dernier appel",
        "icon": "mdi:cctv",
        "image_topic": "doorline/lilas/panel/main/picture",
        "content_type": "image/jpeg",
        "availability": up("value_json.alive"),
    });
    assert_eq!(front["picture_main"], picture);
    // older versions get them apart, and without what a tag scanner has not
    params.discovery.as_mut().expect("discovery").format = DiscoveryFormat::Entities;
    let found = all(&params, &view(), |_| Components::new());
    let scanner = found
        .iter()
        .find(|(topic, _)| topic == "homeassistant/tag/doorline_lilas_door_front/tag_street/config");
    let scanner = &scanner.expect("a message of its own").1;
    assert_eq!(keys(scanner), ["value_template", "topic", "device", "origin"]);
}

#[test]
fn the_exact_text_of_the_versions() {
    let found = all(&params(1883), &view(), |_| Components::new());
    let update = json!({
        "platform": "update",
        "unique_id": "doorline_lilas_update",
        "object_id": "doorline_lilas_update",
        "default_entity_id": "update.doorline_lilas_update",
        "name": "Version",
        "device_class": "firmware",
        "entity_category": "diagnostic",
        "title": "Doorline",
        "state_topic": "doorline/lilas/update/state",
        "availability": up("value_json.alive"),
    });
    assert_eq!(found[0].1["components"]["update"], update);
}

#[test]
fn what_goes_from_a_device_that_stays_changes_nothing_else_of_it() {
    let topics = Topics::new("doorline", "lilas");
    let gone = Components::from([("lamp".to_owned(), "switch".to_owned())]);
    let stays = r#"{"device":{"identifiers":["doorline_lilas"],"name":"Lilas"},"components":{"lock":{"platform":"lock","unique_id":"x"},"lamp":{"platform":"switch"},"old":{"platform":"device_automation"}}}"#;
    assert_eq!(removed(stays).keys().collect::<Vec<_>>(), ["lamp", "old"]);
    let whole = "homeassistant/device/doorline_lilas/config";
    let told = ghost(&topics, whole, &gone, Some(stays)).expect("told");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["device"]["name"], "Lilas");
    assert_eq!(told["components"]["lock"]["unique_id"], "x");
    assert_eq!(told["components"]["lamp"]["command_topic"], "doorline/lilas/gone");
    let entity = "homeassistant/switch/doorline_lilas/lamp/config";
    let told = ghost(&topics, entity, &gone, Some(stays)).expect("told");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["device"]["name"], "Lilas");
    assert_eq!(told.get("components"), None);
}

#[test]
fn of_two_panels_with_the_same_button_each_has_a_trigger_of_its_own() {
    let (params, mut view) = (params(1883), view());
    let mut second = view.panels[0].clone();
    second.id = "zz".parse().expect("a name");
    view.panels.push(second);
    let topics = Topics::new(&params.base, &params.site_id);
    let mut words = Vec::new();
    for announcement in announcements(&params, &topics, &view, |_| Components::new()) {
        let told: Value = serde_json::from_str(&announcement.payload).expect("JSON");
        let all = told["components"].as_object().expect("components");
        let rings = all.values().filter(|of| of["type"] == "ring");
        words.extend(rings.map(|of| of["subtype"].to_string()));
    }
    let different: std::collections::BTreeSet<&String> = words.iter().collect();
    assert!(words.len() >= 2 && different.len() == words.len(), "{words:?}");
}

#[test]
fn what_is_gone_is_announced_once_more_with_the_same_ids_and_nothing_that_can_be_used() {
    let mut params = params(1883);
    params.press = true;
    let topics = Topics::new(&params.base, &params.site_id);
    for format in [DiscoveryFormat::Device, DiscoveryFormat::Entities] {
        let options = params.discovery.as_mut().expect("discovery");
        (options.format, options.people, options.pictures, options.tags) = (format, true, true, true);
        for announcement in announcements(&params, &topics, &view(), |_| Components::new()) {
            let was: Value = serde_json::from_str(&announcement.payload).expect("JSON");
            let told = ghost(&topics, &announcement.topic, &announcement.components, None);
            let platform = announcement.components.values().next().expect("one at least");
            let Some(told) = told else {
                let kept_by_no_hub = !parts::is_entity(platform);
                assert!(format == DiscoveryFormat::Entities && kept_by_no_hub, "{was}");
                continue;
            };
            let told: Value = serde_json::from_str(&told).expect("JSON");
            assert_eq!(told["device"]["identifiers"], was["device"]["identifiers"]);
            let is_entity = |entity: &&Value| entity.get("unique_id").is_some();
            let entities = |of: &Value| match of.get("components") {
                Some(Value::Object(all)) => all.values().filter(is_entity).cloned().collect(),
                _ => vec![of.clone()],
            };
            let (before, after): (Vec<Value>, Vec<Value>) = (entities(&was), entities(&told));
            let by_id = |all: &[Value]| -> BTreeMap<String, Vec<Value>> {
                let same = ["platform", "object_id", "default_entity_id", "enabled_by_default"];
                let listens = |entity: &Value| {
                    let topics = ["state_topic", "image_topic"];
                    topics.map(|key| entity.get(key).is_some()).contains(&true)
                };
                all.iter()
                    .map(|entity| {
                        let id = entity["unique_id"].as_str().expect("an id").to_owned();
                        let mut kept = same.map(|key| entity[key].clone()).to_vec();
                        kept.push(listens(entity).into());
                        (id, kept)
                    })
                    .collect()
            };
            assert_eq!(by_id(&before), by_id(&after));
            for entity in &after {
                let used = entity.as_object().expect("an object").iter();
                let mut used = used.filter(|(key, _)| key.ends_with("_topic"));
                assert!(used.all(|(_, topic)| topic == "doorline/lilas/gone"), "{entity}");
                assert_eq!(entity["availability_topic"], "doorline/lilas/gone");
            }
        }
    }
}
