//! Prints the figures of the voice path: `cargo run --release -p voice-figures`. With `--seconds` the echo in every second, too.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use gateway_voice::NoiseReduction;
use voice_figures::{hum, scene, speech};

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().any(|word| word == "--seconds");
    println!("Echo return loss enhancement and loss of the visitor's voice, dB\n");
    println!(
        "| rate | path | delay ms | far dB | voices | from 2 s | 2 s after change | after double talk | loss in double talk (worst s) | alone | adds ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for scene in scene::all() {
        let f = scene.play()?;
        println!(
            "| {} | {:?} | {} | {} | {}/{} | {:.1} | {:.1} | {:.1} | {:.2} ({:.2}) | {:.2} | {:.1} |",
            scene.rate,
            scene.kind,
            scene.delay,
            scene.level,
            scene.far,
            scene.near,
            f.first,
            f.changed,
            f.after,
            f.both.0,
            f.both.1,
            f.alone,
            f.delay
        );
        if seconds {
            let each: Vec<String> = f.each.iter().map(|db| format!("{db:.0}")).collect();
            println!("  each second: {}", each.join(" "));
        }
    }
    println!(
        "\nHum below a voice, dB\n\n| hum | mains Hz | voice | found Hz | weaker by | voice loses |\n|---|---|---|---|---|---|"
    );
    for (shape, of) in hum::Shape::ALL {
        for (hz, name) in [
            (50.0, "en"),
            (49.9, "de"),
            (50.15, "fr"),
            (50.2, "ru"),
            (60.0, "us"),
            (59.95, "es"),
        ] {
            let f = hum::hum(hz, of, name)?;
            let found = f.found.map_or("-".to_owned(), |hz| format!("{hz:.2}"));
            println!(
                "| {shape} | {hz} | {name} | {found} | {:.1} | {:.2} |",
                f.reduction, f.loss
            );
        }
    }
    println!(
        "\nNoise 20 dB below a voice, dB\n\n| setting | voice | weaker by | voice loses |\n|---|---|---|---|"
    );
    for setting in [NoiseReduction::Low, NoiseReduction::High] {
        for name in &speech::VOICES[..3] {
            let (weaker, loss) = hum::noise(setting, name)?;
            println!("| {setting:?} | {name} | {weaker:.1} | {loss:.2} |");
        }
    }
    Ok(())
}
