//! The loop of a line: what is said at its loudspeaker's side and comes back at its microphone's, how late and how strong.

use adapter_api::SAMPLE_RATE;

/// Length of the sound, 0.5 s.
const CHIRP: usize = SAMPLE_RATE as usize / 2;
/// From where to where it glides, in Hz: the band of a telephone.
const BAND: (f64, f64) = (300.0, 3400.0);
/// Its amplitude, 12 dB below full scale.
const LOUD: f64 = 8192.0;
/// What comes back stands out from chance by so much, else it is none.
const CLEAR: f64 = 5.0;

/// The sound that is said: it glides through the band of a telephone, and fades in and out in 10 ms.
#[must_use]
pub fn chirp() -> Vec<i16> {
    let seconds = CHIRP as f64 / f64::from(SAMPLE_RATE);
    let grows = (BAND.1 / BAND.0).ln();
    let fade = f64::from(SAMPLE_RATE) / 100.0;
    (0..CHIRP)
        .map(|n| {
            let at = n as f64 / f64::from(SAMPLE_RATE);
            let turns = BAND.0 * seconds / grows * ((at / seconds * grows).exp() - 1.0);
            let edge = n.min(CHIRP - 1 - n) as f64 / fade;
            (LOUD * edge.min(1.0) * (std::f64::consts::TAU * turns).sin()).round() as i16
        })
        .collect()
}

/// What a line is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// What came back of what was said; `None` if nothing did.
    pub looped: Option<Looped>,
    /// Level of what was there before anything was said, in dB below full scale, as root mean square.
    pub noise_db: f64,
    /// Samples at full scale while it was heard: the microphone's level is too high if there are any.
    pub clipped: usize,
}

/// A loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looped {
    /// From the sample that was said to the same sample heard, in milliseconds, queues and card included.
    pub delay_ms: f64,
    /// How much weaker it came back, in dB (ITU-T G.122 calls it echo loss, here over the band of the sound).
    pub loss_db: f64,
}

/// Why nothing can be said of a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(&'static str);

fn decibels(mean_square: f64) -> f64 {
    10.0 * (mean_square / (32768.0_f64 * 32768.0)).max(1e-12).log10()
}

fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    sum / samples.len().max(1) as f64
}

/// Looks for [`chirp`] in `heard`, which was recorded from `said_at` samples before the chirp was said; at 16 kHz.
///
/// # Errors
/// [`ProbeError`] if the recording is too short to say anything.
pub fn looped(heard: &[i16], said_at: usize) -> Result<Probe, ProbeError> {
    let said: Vec<f64> = chirp().into_iter().map(f64::from).collect();
    if said_at < SAMPLE_RATE as usize / 10 || heard.len() < said_at + said.len() {
        return Err(ProbeError(
            "the recording is too short: it needs 0.1 s before the sound and the sound itself",
        ));
    }
    let energy: f64 = said.iter().map(|s| s * s).sum();
    let latest = heard.len() - said_at - said.len();
    let gains: Vec<f64> = (0..=latest)
        .map(|late| {
            let heard = heard[said_at + late..].iter();
            let sum: f64 = said.iter().zip(heard).map(|(s, h)| s * f64::from(*h)).sum();
            sum / energy
        })
        .collect();
    let (late, gain) = gains.iter().enumerate().fold((0, 0.0_f64), |best, (late, gain)| {
        if gain.abs() > best.1.abs() {
            (late, *gain)
        } else {
            best
        }
    });
    let chance = (gains.iter().map(|g| g * g).sum::<f64>() / gains.len() as f64).sqrt();
    let looped = (gain.abs() > CLEAR * chance && gain.abs() > 1e-4).then(|| Looped {
        delay_ms: late as f64 * 1000.0 / f64::from(SAMPLE_RATE),
        loss_db: -20.0 * gain.abs().log10(),
    });
    let clipped = heard.iter().filter(|s| s.unsigned_abs() >= 32_700).count();
    Ok(Probe {
        looped,
        noise_db: decibels(mean_square(&heard[..said_at])),
        clipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: usize = SAMPLE_RATE as usize / 2;

    /// Noise that is the same in each run.
    fn noise(samples: usize, amplitude: f64) -> Vec<f64> {
        let mut state = 1_u32;
        (0..samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) * amplitude
            })
            .collect()
    }

    fn line(late: usize, gain: f64, amplitude: f64) -> Vec<i16> {
        let mut heard = noise(BEFORE + CHIRP + SAMPLE_RATE as usize, amplitude);
        for (n, sample) in chirp().into_iter().enumerate() {
            heard[BEFORE + late + n] += f64::from(sample) * gain;
        }
        heard
            .into_iter()
            .map(|s| s.clamp(-32768.0, 32767.0) as i16)
            .collect()
    }

    #[test]
    fn a_loop_is_measured_in_the_noise_of_a_line() {
        for (late, gain, amplitude) in [(480, 0.5, 30.0), (1200, 0.1, 300.0), (5000, -0.03, 300.0)] {
            let probe = looped(&line(late, gain, amplitude), BEFORE).expect("long enough");
            let found = probe.looped.expect("a loop");
            assert!((found.delay_ms - late as f64 / 16.0).abs() < 0.2, "{found:?}");
            assert!(
                (found.loss_db + 20.0 * f64::from(gain.abs() as f32).log10()).abs() < 1.0,
                "{found:?}"
            );
            let expected = decibels(amplitude * amplitude / 3.0);
            assert!((probe.noise_db - expected).abs() < 0.5, "{probe:?}, {expected}");
            assert_eq!(probe.clipped, 0);
        }
    }

    #[test]
    fn noise_alone_is_no_loop_and_silence_is_none_either() {
        for amplitude in [0.0, 300.0, 3000.0] {
            let probe = looped(&line(0, 0.0, amplitude), BEFORE).expect("long enough");
            assert_eq!(probe.looped, None, "{amplitude}");
        }
        assert!(looped(&[0; 100], 10).is_err());
        let loud = looped(&line(100, 6.0, 0.0), BEFORE).expect("long enough");
        assert!(loud.clipped > 0 && loud.looped.is_some());
    }
}
