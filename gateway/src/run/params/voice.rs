//! How voices of lines are treated, as the voice path is told.

use gateway_config::{Echo, Line, Noise};
use gateway_voice::{NoiseReduction, Params};

/// Of one line; a line without a table passes voices as they are.
pub(crate) fn params(line: &Line) -> Params {
    let Some(voice) = &line.voice else {
        return Params::default();
    };
    Params {
        echo: match voice.echo {
            Echo::Hybrid => gateway_voice::Echo::Hybrid,
            Echo::Off => gateway_voice::Echo::Off,
            Echo::Speaker => gateway_voice::Echo::Speaker,
        },
        echo_tail_ms: voice
            .echo_tail
            .map(|tail| u16::try_from(tail.as_millis()).unwrap_or(u16::MAX)),
        noise: match voice.noise {
            Noise::High => NoiseReduction::High,
            Noise::Low => NoiseReduction::Low,
            Noise::Off => NoiseReduction::Off,
        },
        gain: voice.gain,
        hum: voice.hum,
        half_duplex: voice.half_duplex,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(table: &str) -> Params {
        let minimal = include_str!("../../../../config/examples/minimal.toml");
        let text = minimal.replace(
            "[lines.riser.virtual]",
            &format!("{table}\n[lines.riser.virtual]"),
        );
        let dir = tempfile::tempdir().expect("a folder");
        let files = gateway_config::SecretFiles::WhereFound;
        let loaded = gateway_config::parse("site.toml", dir.path(), &text, files);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        let mut lines = config.lines.values();
        params(lines.find(|line| line.driver.is_virtual()).expect("a line"))
    }

    #[test]
    fn without_a_table_voices_pass_and_an_empty_one_is_for_two_wires() {
        assert!(of("").is_off());
        let wires = of("[lines.riser.voice]");
        assert_eq!((wires.echo, wires.tail_ms()), (gateway_voice::Echo::Hybrid, 48));
        assert!(wires.gain && wires.hum && !wires.half_duplex);
        let speaker =
            of("[lines.riser.voice]\necho = \"speaker\"\necho-tail-ms = 200\nnoise = \"off\"\ngain = false");
        let wanted = Params {
            echo: gateway_voice::Echo::Speaker,
            echo_tail_ms: Some(200),
            noise: NoiseReduction::Off,
            gain: false,
            hum: true,
            half_duplex: false,
        };
        assert_eq!(speaker, wanted);
    }
}
