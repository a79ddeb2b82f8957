//! Makes and checks manifests, for the release step. See `README.md`.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::process::ExitCode;

use firmware_images::{Description, Manifest, PublicKey, SigningKey, make, verify};

const USAGE: &str = "\
usage: manifest make DESCRIPTION IMAGE KEY-FILE      writes the manifest to standard output
       manifest verify MANIFEST IMAGE PUBLIC-KEY...  checks both; keys as 64 hexadecimal digits
       manifest public-key KEY-FILE                  writes the public key";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(text) => {
            let written = std::io::stdout().write_all(text.as_bytes());
            if written.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<String, Box<dyn Error>> {
    match words {
        ["make", description, image, key] => {
            let about = Description::parse(&fs::read(description)?)?;
            let key = SigningKey::parse(&fs::read_to_string(key)?)?;
            Ok(make(&about, File::open(image)?, &key)?.to_text())
        }
        ["verify", manifest, image, keys @ ..] if !keys.is_empty() => {
            let keys: Result<Vec<PublicKey>, _> = keys.iter().map(|key| PublicKey::parse(key)).collect();
            let manifest = Manifest::parse(&fs::read(manifest)?)?;
            let verified = verify(manifest, &keys?, File::open(image)?)?;
            let manifest = verified.manifest();
            Ok(format!(
                "{} {}: right, {} bytes\n",
                manifest.device(),
                manifest.version(),
                manifest.size()
            ))
        }
        ["public-key", key] => Ok(format!(
            "{}\n",
            SigningKey::parse(&fs::read_to_string(key)?)?.public()
        )),
        _ => Err(USAGE.into()),
    }
}
