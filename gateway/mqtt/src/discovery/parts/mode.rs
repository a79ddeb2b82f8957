//! The mode of a door: normal, held open, or locked down by a group of its own.
//!
//! Home Assistant shows the options of a select as they are, so that they are words of the site's language; automations have
//! to use these. An option is there if the door has that mode. A lockdown that is not the door's own cannot be chosen away
//! here: without a group of its own the select is not available meanwhile.

use gateway_core::{DoorGroupId, DoorView};
use serde_json::json;

use super::{Part, Parts, STAMP, part};

impl Parts<'_> {
    pub(super) fn mode(&self, door: &DoorView) -> Option<Part> {
        let (normal, held, locked) = (self.words.mode_normal, self.words.mode_held, self.words.lockdown);
        let may_be_held = door.hold_scheduled || door.hold_limit.is_some() && !self.code;
        let group = self.own_group(door);
        if !may_be_held && group.is_none() {
            return None;
        }
        let state = self.topics.of("door", &door.id, "state");
        let mut options = vec![normal];
        if may_be_held {
            options.push(held);
        }
        // a command that a door's schedule does not allow is refused and told so
        let minutes = door.hold_limit.map_or(1, |limit| limit.as_secs() / 60);
        let availability;
        let topic;
        let template;
        let is_locked;
        if let Some(group) = group {
            options.push(locked);
            topic = self.topics.command();
            // a lockdown with a number of minutes is refused: it does not end by itself
            template = format!(
                "{{\"command\":\"{{{{ {{'{held}':'hold','{locked}':'lockdown'}}.get(value, \
                 'end-lockdown' if this.state == '{locked}' else 'end-hold') }}}}\",\
                 \"door\":\"{}\",\"group\":\"{group}\",\
                 {{% if value == '{held}' %}}\"minutes\":{minutes},{{% endif %}}{STAMP}",
                door.id
            );
            is_locked = format!("'{locked}' if value_json.lockdown else ");
            availability = self.site_up();
        } else {
            topic = self.topics.of("door", &door.id, "command");
            template = format!(
                "{{\"command\":\"{{{{ 'hold' if value == '{held}' else 'end-hold' }}}}\",\
                 \"minutes\":{minutes},{STAMP}"
            );
            is_locked = String::new();
            let is_open = format!("value_json.alive and '{}' not in value_json.lockdown", door.id);
            availability = self.up(&is_open);
        }
        let is_held = if may_be_held {
            format!("'{held}' if value_json.hold else ")
        } else {
            String::new()
        };
        let mode = json!({
            "name": self.words.mode,
            "icon": "mdi:door-closed-lock",
            "options": options,
            "command_topic": topic,
            "command_template": template,
            "qos": 1,
            "state_topic": state,
            "value_template": format!("{{{{ {is_locked}{is_held}'{normal}' }}}}"),
            "availability": availability,
        });
        Some(part("mode", "select", mode))
    }

    /// A group of this door and no other.
    fn own_group(&self, door: &DoorView) -> Option<&DoorGroupId> {
        let mut groups = self
            .view
            .lockdowns
            .iter()
            .filter(|l| l.doors == [door.id.clone()]);
        groups.find_map(|l| l.group.as_ref())
    }
}
