//! Controllers of somebody else, before which the gateway stands as a reader: what is handed on to them, and what they
//! answer. Nothing of it opens a door of ours.

use std::time::Duration;

use gateway_core::{
    CardFrame, ControllerEvent, ControllerId, ControllerSaid, Event, Instant, LightColour, ReaderCommand,
    ReaderId, Refusal, Subject,
};

use super::{Now, Site};
use crate::io::Output;

/// A card that is older is not handed on: whoever showed it has gone, and the controller opens a door by it.
const FRESH: Duration = Duration::from_millis(500);
/// A green light without an end is shown for so long.
const SHOWN: Duration = Duration::from_secs(3);

impl Site {
    /// Hands a card on to the controllers of its reader; true if there are any. What is simulated or old goes to none.
    pub(super) fn forward(
        &mut self,
        now: Now,
        (at, late): (Instant, bool),
        frame: &CardFrame,
        reader: &ReaderId,
        simulated: bool,
    ) -> bool {
        let named = self.params.controllers.iter();
        let named = named.filter(|(_, of)| of.readers.contains(reader));
        let controllers: Vec<ControllerId> = named.map(|(id, _)| id.clone()).collect();
        let fresh = !late && now.mono.since(at) <= FRESH;
        for controller in controllers.iter().filter(|_| !simulated) {
            let (event, reader) = if fresh {
                let event = ControllerEvent::Sent {
                    bits: frame.bits,
                    reader: Some(reader.clone()),
                    subject: None,
                };
                (event, Some(reader.clone()))
            } else {
                let event = ControllerEvent::Missed {
                    reader: Some(reader.clone()),
                    text: "the card is too old to be handed on".to_owned(),
                };
                (event, None)
            };
            self.record(now, Event::Controller(controller.clone(), event), None, false);
            if let Some(reader) = reader {
                self.out.push_back(Output::Forward {
                    controller: controller.clone(),
                    frame: frame.clone(),
                    reader: Some(reader),
                });
            }
        }
        !controllers.is_empty()
    }

    /// Hands a key on to the controllers of its reader that get keys; true if there are any. What is simulated or old
    /// goes to none, and which key it was stands nowhere.
    pub(super) fn forward_key(
        &mut self,
        now: Now,
        at: Instant,
        key: char,
        reader: &ReaderId,
        simulated: bool,
    ) -> bool {
        let named = self.params.controllers.iter();
        let named = named.filter(|(_, of)| of.keys && of.readers.contains(reader));
        let controllers: Vec<ControllerId> = named.map(|(id, _)| id.clone()).collect();
        let any = !controllers.is_empty();
        let fresh = !simulated && now.mono.since(at) <= FRESH;
        for controller in controllers.into_iter().filter(|_| fresh) {
            self.out.push_back(Output::ForwardKey {
                controller,
                key,
                reader: reader.clone(),
            });
        }
        any
    }

    /// Sends a card that nobody read: whoever may do so opens a door of the controller's.
    pub(super) fn send_card(
        &mut self,
        now: Now,
        controller: ControllerId,
        card: CardFrame,
        by: Subject,
    ) -> Result<(), (Refusal, String)> {
        let Some(params) = self.params.controllers.get(&controller) else {
            return Err((Refusal::Unknown, format!("there is no controller {controller:?}")));
        };
        if !params.by_command {
            let text =
                format!("{controller} gets the cards of its readers only (by-command of the site file)");
            return Err((Refusal::Forbidden, text));
        }
        let event = ControllerEvent::Sent {
            bits: card.bits,
            reader: None,
            subject: Some(by),
        };
        self.record(now, Event::Controller(controller.clone(), event), None, false);
        self.out.push_back(Output::Forward {
            controller,
            frame: card,
            reader: None,
        });
        Ok(())
    }

    /// What a controller says is on record; its light is shown where the card was read, unless that reader has a door of
    /// ours, whose own light means that door.
    pub(super) fn controller_said(
        &mut self,
        now: Now,
        controller: ControllerId,
        reader: Option<ReaderId>,
        said: ControllerSaid,
    ) {
        let Some(params) = self.params.controllers.get(&controller) else {
            return;
        };
        let reader = reader.filter(|reader| params.readers.contains(reader));
        let shows = reader.clone().filter(|reader| self.doors_at(reader).is_empty());
        let event = match said {
            ControllerSaid::Beep(times) => ControllerEvent::Beeped {
                reader,
                times: times.into(),
            },
            ControllerSaid::KeySet => ControllerEvent::KeySet {},
            ControllerSaid::Light { colour, time } => {
                let command = match (colour, time) {
                    (LightColour::Green, time) => Some(ReaderCommand::Granted {
                        time: time.unwrap_or(SHOWN),
                    }),
                    // a steady red light is how many controllers show a door that is shut
                    (LightColour::Red, Some(_)) => Some(ReaderCommand::Denied),
                    (LightColour::Amber, Some(_)) => Some(ReaderCommand::WaitPin),
                    (
                        LightColour::Amber
                        | LightColour::Blue
                        | LightColour::Off
                        | LightColour::Other
                        | LightColour::Red,
                        _,
                    ) => None,
                };
                if let (Some(reader), Some(command)) = (shows, command) {
                    self.out.push_back(Output::Reader(reader, command));
                }
                ControllerEvent::Showed {
                    colour,
                    reader,
                    time_ms: time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                }
            }
            ControllerSaid::Missed(text) => {
                if let Some(reader) = shows {
                    self.out.push_back(Output::Reader(reader, ReaderCommand::Denied));
                }
                ControllerEvent::Missed { reader, text }
            }
            ControllerSaid::Taken => ControllerEvent::Taken { reader },
            ControllerSaid::Text(text) => ControllerEvent::Told { text },
        };
        self.record(now, Event::Controller(controller, event), None, false);
    }
}
