//! Sounds that somebody else made and that one leg hears, one after the other: no tone cuts them off, and they cut off none.

use std::sync::Arc;

use adapter_api::Frame;

use crate::mixer;

/// Sounds that wait, with the one that plays.
const MOST: usize = 4;

/// One of them.
#[derive(Debug)]
struct Sound {
    /// 16 kHz.
    samples: Arc<[i16]>,
    /// It is heard in place of speech.
    alone: bool,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The one that plays, then those that wait.
    sounds: [Option<Sound>; MOST],
    /// Samples of the first that were played.
    at: usize,
}

impl Said {
    /// Queues a sound; gives back one for which there is no room, or that has nothing to be heard.
    pub(super) fn say(&mut self, samples: Arc<[i16]>, alone: bool) -> Option<Arc<[i16]>> {
        match self.sounds.iter_mut().find(|place| place.is_none()) {
            Some(place) if !samples.is_empty() => {
                *place = Some(Sound { samples, alone });
                None
            }
            Some(_) | None => Some(samples),
        }
    }

    /// Has a sound heard before the others, of which the one that plays begins anew after it. Gives back the last one, if there
    /// is no room for it any more.
    pub(super) fn say_first(&mut self, samples: Arc<[i16]>) -> Option<Arc<[i16]>> {
        if samples.is_empty() {
            return Some(samples);
        }
        self.sounds.rotate_right(1);
        self.at = 0;
        let sound = Sound {
            samples,
            alone: false,
        };
        self.sounds[0].replace(sound).map(|last| last.samples)
    }

    /// Puts the next 10 ms beside the speech in `frame`, or in its place. Gives back what was played to its end.
    pub(super) fn next(&mut self, frame: &mut Frame) -> Option<Arc<[i16]>> {
        let sound = self.sounds[0].as_ref()?;
        let rest = sound.samples.get(self.at..).unwrap_or_default();
        let mut piece = [0; adapter_api::FRAME_SAMPLES];
        let count = rest.len().min(piece.len());
        piece[..count].copy_from_slice(&rest[..count]);
        if sound.alone {
            *frame = piece;
        } else {
            mixer::add(frame, &piece);
        }
        self.at += count;
        if self.at < sound.samples.len() {
            return None;
        }
        self.at = 0;
        let over = self.sounds[0].take();
        self.sounds.rotate_left(1);
        over.map(|sound| sound.samples)
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::FRAME_SAMPLES;

    use super::*;

    fn sound(value: i16, frames: usize) -> Arc<[i16]> {
        vec![value; frames * FRAME_SAMPLES].into()
    }

    #[test]
    fn sounds_are_heard_one_after_the_other_beside_speech_or_in_its_place() {
        let mut said = Said::default();
        assert!(said.say(sound(100, 2), false).is_none());
        assert!(said.say(sound(7, 1), true).is_none());
        let mut heard = Vec::new();
        for _ in 0..4 {
            let mut frame = [1_000; FRAME_SAMPLES];
            let over = said.next(&mut frame);
            heard.push((frame[0], frame[FRAME_SAMPLES - 1], over.is_some()));
        }
        let wanted = [
            (1_100, 1_100, false),
            (1_100, 1_100, true),
            (7, 7, true),
            (1_000, 1_000, false),
        ];
        assert_eq!(heard, wanted);
    }

    #[test]
    fn what_everybody_has_to_know_comes_first_and_what_it_cuts_off_begins_anew() {
        let mut said = Said::default();
        for value in 1..=4 {
            assert!(said.say(sound(value, 2), false).is_none());
        }
        let play = |said: &mut Said| {
            let mut frame = [0; FRAME_SAMPLES];
            drop(said.next(&mut frame));
            frame[0]
        };
        assert_eq!(play(&mut said), 1);
        let unheard = said.say_first(sound(9, 1)).expect("there is no fifth place");
        assert_eq!(unheard[0], 4);
        let order: Vec<i16> = (0..8).map(|_| play(&mut said)).collect();
        assert_eq!(order, [9, 1, 1, 2, 2, 3, 3, 0]);
    }

    #[test]
    fn what_has_no_room_and_what_is_empty_comes_back_and_nothing_is_freed_here() {
        let mut said = Said::default();
        assert!(said.say(sound(1, 0), false).is_some());
        for value in 1..=4 {
            assert!(said.say(sound(value, 1), false).is_none());
        }
        assert!(said.say(sound(5, 1), false).is_some());
        let mut frame = [0; FRAME_SAMPLES];
        let over = said.next(&mut frame).expect("it was one frame");
        assert_eq!(Arc::strong_count(&over), 1);
        assert!(said.say(sound(5, 1), false).is_none());
        let mut order = vec![frame[0]];
        for _ in 0..4 {
            let mut frame = [0; FRAME_SAMPLES];
            assert!(said.next(&mut frame).is_some());
            order.push(frame[0]);
        }
        assert_eq!(order, [1, 2, 3, 4, 5]);
    }
}
