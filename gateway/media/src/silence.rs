//! Whether somebody speaks, for those who want to hear nothing sent while nobody does: packet by packet, with the level of what
//! is sent in place of speech (RFC 3389 §3.1). Pure; the time is that of the packets.
//!
//! A packet is judged by itself, before it is sent, so that the one in which a word begins is sent whole. What is louder than
//! [`LOUD`] is never silence, whatever the noise around.

/// Over the noise around it is speech, dB.
const OVER: f32 = 6.0;
/// Never silence, dB below overload.
const LOUD: f32 = -30.0;
/// Never speech, likewise: less than the noise of a telephone's codec.
const STILL: f32 = -72.0;
/// How fast the noise around is taken to grow, dB each ms.
const RISE: f32 = 0.005;
/// After speech so long is speech, too: soft ends of words, ms.
const HANGOVER: u32 = 250;
/// So often it is told how loud the silence is, ms: less than any router forgets us in, as Opus does itself (RFC 7587 §3.1.3).
const TELL: u32 = 400;
/// It is told before if it has changed by so much, dB.
const CHANGE: u8 = 3;
/// But no sooner than this, ms.
const SOON: u32 = 100;

/// What is sent of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// That it is silent, so loud: dB below overload, 30 to 127.
    Noise(u8),
    /// Nothing.
    Nothing,
    /// The packet as it is.
    Speech,
}

/// Listens to what is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    /// Noise around, dB below overload.
    floor: f32,
    /// Until then it is speech, ms.
    left: u32,
    /// What was told last in this silence, and how long ago, ms.
    told: Option<(u8, u32)>,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            floor: STILL,
            left: HANGOVER,
            told: None,
        }
    }
}

impl Silence {
    /// The next packet, of `ms`.
    pub(crate) fn next(&mut self, samples: &[i16], ms: u32) -> Say {
        let level = level(samples);
        self.floor = if level < self.floor {
            level.max(STILL)
        } else {
            (self.floor + RISE * ms as f32).min(LOUD)
        };
        let speaks = level > LOUD || (level > STILL && level > self.floor + OVER);
        if speaks {
            self.left = HANGOVER;
        } else {
            self.left = self.left.saturating_sub(ms);
        }
        if speaks || self.left > 0 {
            self.told = None;
            return Say::Speech;
        }
        let now = (-level).clamp(30.0, 127.0) as u8;
        if let Some((told, ago)) = &mut self.told {
            *ago = ago.saturating_add(ms);
            let changed = now.abs_diff(*told) >= CHANGE && *ago >= SOON;
            if *ago < TELL && !changed {
                return Say::Nothing;
            }
        }
        self.told = Some((now, 0));
        Say::Noise(now)
    }
}

/// Mean power, dB below that of the loudest square wave.
fn level(samples: &[i16]) -> f32 {
    let sum: f32 = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
    let mean = sum / (samples.len().max(1) as f32 * 32_768.0 * 32_768.0);
    10.0 * mean.max(1e-13).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 20 ms at 8 kHz of noise with this amplitude.
    fn noise(seed: &mut u32, amplitude: i32) -> [i16; 160] {
        [0; 160].map(|_: i16| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (((seed.cast_signed() >> 16) * amplitude) >> 15) as i16
        })
    }

    fn said(silence: &mut Silence, seed: &mut u32, amplitude: i32, packets: usize) -> Vec<Say> {
        (0..packets)
            .map(|_| silence.next(&noise(seed, amplitude), 20))
            .collect()
    }

    #[test]
    fn a_silence_is_told_by_its_level_and_the_packet_in_which_a_word_begins_is_sent() {
        let (mut silence, mut seed) = (Silence::default(), 7);
        // a quiet street: white noise of amplitude 60 has -59.5 dB
        let quiet = said(&mut silence, &mut seed, 60, 200);
        let first = quiet
            .iter()
            .position(|s| *s != Say::Speech)
            .expect("it is silent");
        assert!((12..100).contains(&first), "{first}");
        assert!(matches!(quiet[first], Say::Noise(57..=62)), "{:?}", quiet[first]);
        let sent = quiet[first..].iter().filter(|s| **s != Say::Nothing).count();
        assert!(
            (5..=(200 - first) / 10).contains(&sent),
            "{sent} of {}",
            200 - first
        );
        // a word of 200 ms, and what follows it
        let word = said(&mut silence, &mut seed, 3_000, 10);
        assert_eq!(word, [Say::Speech; 10]);
        let after = said(&mut silence, &mut seed, 60, 40);
        assert_eq!(after[..12], [Say::Speech; 12], "its soft end");
        assert!(
            matches!(after[12], Say::Noise(_)) && after[13] == Say::Nothing,
            "{after:?}"
        );
        // speech that is soft, but over the noise
        assert_eq!(said(&mut silence, &mut seed, 300, 5), [Say::Speech; 5]);
    }

    #[test]
    fn what_is_loud_is_never_silence_and_what_is_nothing_always_is() {
        let (mut silence, mut seed) = (Silence::default(), 7);
        assert_eq!(said(&mut silence, &mut seed, 12_000, 2_000), [Say::Speech; 2_000]);
        let mut silence = Silence::default();
        let nothing: Vec<Say> = (0..60).map(|_| silence.next(&[0; 160], 20)).collect();
        assert_eq!(nothing[12], Say::Noise(127));
        let told: Vec<usize> = (0..60).filter(|n| matches!(nothing[*n], Say::Noise(_))).collect();
        assert_eq!(told, [12, 32, 52], "every 400 ms");
    }

    proptest! {
        /// Whatever is heard: no level out of its range, and never silent for longer than 400 ms without a word of it.
        #[test]
        fn nobody_is_left_without_a_word_for_longer_than_he_waits(
            packets in proptest::collection::vec((any::<i16>(), 1_u32..61), 1..200),
        ) {
            let (mut silence, mut quiet) = (Silence::default(), 0);
            for (value, ms) in packets {
                match silence.next(&[value; 80], ms) {
                    Say::Noise(level) => {
                        prop_assert!((30..=127).contains(&level));
                        quiet = 0;
                    }
                    Say::Nothing => {
                        quiet += ms;
                        prop_assert!(quiet < TELL);
                    }
                    Say::Speech => quiet = 0,
                }
            }
        }
    }
}
