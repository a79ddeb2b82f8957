//! An address for the ear: by sounds of the operator, by a voice, or beeped.

pub(crate) mod beeps;
pub(crate) mod voice;
mod words;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapter_api::SAMPLE_RATE;
use adapter_virtual::{Source, SourceError};
use gateway_config::Config;

/// What is played, and how it came to be.
#[derive(Debug)]
pub(crate) struct Sound {
    /// Why it is not as it should be.
    pub(crate) fault: Option<String>,
    /// In a word.
    pub(crate) how: &'static str,
    /// At 16 kHz.
    pub(crate) samples: Arc<[i16]>,
}

/// The sounds that a folder has to have.
pub(crate) fn sounds(folder: &Path) -> Vec<PathBuf> {
    let names = "0123456789.".chars();
    names.map(|sign| sound(folder, sign)).collect()
}

fn sound(folder: &Path, sign: char) -> PathBuf {
    match sign {
        '.' => folder.join("dot.wav"),
        ':' => folder.join("colon.wav"),
        sign => folder.join(format!("{sign}.wav")),
    }
}

/// What a machine without a voice does, and what to do about it; `None` if the address is told in words, or by nobody.
pub(crate) fn voiceless(config: &Config) -> Option<(String, String)> {
    let asked = config.start.tell_input.is_some() && config.start.tell_folder.is_none();
    (asked && voice::program().is_none()).then(|| {
        (
            format!("{} is not on this machine: the address is beeped", voice::PROGRAM),
            format!(
                "apt-get install {}, or add tell-folder with sounds of your own",
                voice::PROGRAM
            ),
        )
    })
}

/// The address as it is told: by the sounds of the operator if there are such, else by a voice, else beeped.
///
/// # Errors
/// Why it cannot be told at all: nobody understands an IPv6 address in beeps.
pub(crate) async fn told(config: &Config, address: IpAddr) -> Result<Sound, String> {
    let mut why = None;
    if let Some(folder) = config.start.tell_folder.clone() {
        let read = tokio::task::spawn_blocking(move || recorded(address, &folder)).await;
        match read.map_err(|error| error.to_string())? {
            Ok(samples) => {
                return Ok(Sound {
                    fault: None,
                    how: "by the sounds of tell-folder",
                    samples,
                });
            }
            Err(error) => why = Some(error.to_string()),
        }
    }
    let language = config.site.language;
    let text = words::spoken(address, language);
    let spoken = match voice::program() {
        Some(program) => voice::speak(&program, language, &text, voice::LIMIT).await,
        None => Err(voice::missing()),
    };
    match spoken {
        Ok(samples) => {
            return Ok(Sound {
                fault: why,
                how: "spoken",
                samples,
            });
        }
        Err(error) => {
            let error = format!("{error:#}");
            why = Some(why.map_or_else(|| error.clone(), |why| format!("{why}; {error}")));
        }
    }
    match address {
        IpAddr::V4(address) => Ok(Sound {
            fault: why,
            how: "beeped",
            samples: beeps::beeped(address),
        }),
        IpAddr::V6(_) => Err(why.unwrap_or_default()),
    }
}

/// The address as 16 kHz samples, by the sounds of a folder.
fn recorded(address: IpAddr, folder: &Path) -> Result<Arc<[i16]>, SourceError> {
    let mut samples = Vec::new();
    for sign in address.to_string().chars() {
        if let Source::Samples(found, _) = Source::parse(&sound(folder, sign).to_string_lossy())? {
            samples.extend_from_slice(&found);
        }
    }
    Ok(samples.into())
}

/// How long samples sound.
pub(crate) fn length(samples: &[i16]) -> Duration {
    Duration::from_millis(samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample of 16 bit at 16 kHz, mono (RIFF WAVE, PCM).
    fn wav(sample: i16) -> Vec<u8> {
        let format = [1u16.to_le_bytes(), 1u16.to_le_bytes()].concat();
        let rates = [16_000u32.to_le_bytes(), 32_000u32.to_le_bytes()].concat();
        let widths = [2u16.to_le_bytes(), 16u16.to_le_bytes()].concat();
        let head = [&b"WAVEfmt "[..], &16u32.to_le_bytes(), &format, &rates, &widths].concat();
        let data = [&b"data"[..], &2u32.to_le_bytes(), &sample.to_le_bytes()].concat();
        let length = u32::try_from(head.len() + data.len()).expect("short");
        [&b"RIFF"[..], &length.to_le_bytes(), &head, &data].concat()
    }

    #[test]
    fn a_folder_of_sounds_is_played_in_order_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        for (n, path) in (1i16..).zip(sounds(dir.path())) {
            std::fs::write(path, wav(n)).expect("a file");
        }
        let address = "192.0.2.10".parse().expect("an address");
        let samples = recorded(address, dir.path()).expect("all are there");
        assert_eq!(samples.to_vec(), [2, 10, 3, 11, 1, 11, 3, 11, 2, 1]);
        std::fs::remove_file(dir.path().join("dot.wav")).expect("removed");
        let error = recorded(address, dir.path())
            .expect_err("one is missing")
            .to_string();
        assert!(error.contains("dot.wav"), "{error}");
        let address = "::1".parse().expect("an address");
        let error = recorded(address, dir.path()).expect_err("no colon").to_string();
        assert!(error.contains("colon.wav"), "{error}");
    }
}
