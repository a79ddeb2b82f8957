//! A release from its description to its installation, over a real file.

use std::fs::{self, File};
use std::path::Path;

use firmware_images::{
    AdmitError, Description, Device, Manifest, SigningKey, Verified, VerifyError, Version, make, verify,
};
use proptest::prelude::*;

/// A key for tests: RFC 8032 §7.1, test 2. Known to everybody.
const SECRET: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
/// Another one: §7.1, test 3.
const OTHER: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";

fn own_release() -> Description {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doorline/release.json");
    Description::parse(&fs::read(path).expect("readable")).expect("a description")
}

fn key(secret: &str) -> SigningKey {
    SigningKey::parse(secret).expect("a key")
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

/// This test's own program: a real executable of some megabytes.
fn program() -> std::path::PathBuf {
    std::env::current_exe().expect("a path")
}

fn signed(image: &[u8]) -> Manifest {
    make(&own_release(), image, &key(SECRET)).expect("made")
}

fn verified(manifest: Manifest, image: &[u8]) -> Result<Verified, VerifyError> {
    verify(manifest, &[key(OTHER).public(), key(SECRET).public()], image)
}

#[test]
fn our_own_release_is_described_for_this_version() {
    assert_eq!(own_release().version().to_string(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_manifest_of_a_real_program_is_made_read_back_verified_and_admitted() {
    let path = program();
    let made = make(&own_release(), File::open(&path).expect("readable"), &key(SECRET)).expect("made");
    let read = Manifest::parse(made.to_text().as_bytes()).expect("a manifest");
    assert_eq!(read, made);
    assert_eq!(read.size(), fs::metadata(&path).expect("readable").len());
    let verified = verify(
        read,
        &[key(SECRET).public()],
        File::open(&path).expect("readable"),
    )
    .expect("right");
    let device = Device {
        device: "doorline".to_owned(),
        floor: version("0.0.1"),
        hardware: "x86_64-linux-gnu".to_owned(),
    };
    assert_eq!(verified.admitted_on(&device), Ok(version("0.1.0")));
}

#[test]
fn an_image_changed_in_any_byte_or_length_is_refused() {
    let image = b"a small image".to_vec();
    for at in 0..image.len() {
        let mut changed = image.clone();
        changed[at] ^= 0x20;
        assert!(
            matches!(
                verified(signed(&image), &changed),
                Err(VerifyError::Digest { .. })
            ),
            "byte {at}"
        );
    }
    let error = verified(signed(&image), &image[1..]).expect_err("short");
    assert_eq!(error.to_string(), "the image has 12 bytes, the manifest says 13");
    let longer = [image.as_slice(), b"!"].concat();
    let error = verified(signed(&image), &longer).expect_err("long");
    assert_eq!(
        error.to_string(),
        "the image has more than 13 bytes, the manifest says 13"
    );
    verified(signed(&image), &image).expect("the image itself is right");
}

#[test]
fn a_manifest_changed_in_any_field_is_refused() {
    let image = b"image";
    let text = signed(image).to_text();
    for (old, new) in [
        ("\"device\": \"doorline\"", "\"device\": \"doorlime\""),
        ("x86_64-linux-gnu\"\n", "aarch64-linux-gnu\"\n"),
        ("\"version\": \"0.1.0\"", "\"version\": \"0.2.0\""),
        ("\"version\": \"0.1.0\"", "\"version\": \"0.1\""),
        ("\"minimum-version\": \"0.1.0\"", "\"minimum-version\": \"0.0.9\""),
        ("\"image\": \"doorline-", "\"image\": \"other-"),
        ("\"size\": 5", "\"size\": 6"),
        ("\"sha256\": \"", "\"sha256\": \"0"),
    ] {
        assert!(text.contains(old), "{old:?} is not in {text}");
        let mut changed = text.replacen(old, new, 1);
        if old.contains("sha256") {
            // One digit more in front, one less at the end.
            let end = changed.find("\",\n  \"key\"").expect("there");
            changed.remove(end - 1);
        }
        let manifest = Manifest::parse(changed.as_bytes()).expect("still well-formed");
        let error = verified(manifest, image).expect_err("changed");
        assert!(matches!(error, VerifyError::Signature { .. }), "{new}: {error}");
    }
}

#[test]
fn only_trusted_keys_count() {
    let image = b"image".as_slice();
    let error = verify(signed(image), &[key(OTHER).public()], image).expect_err("another key");
    assert!(matches!(error, VerifyError::Key { .. }), "{error}");
    let error = verify(signed(image), &[], image).expect_err("no key");
    assert!(matches!(error, VerifyError::Key { .. }), "{error}");
    // Signed by the other key, but named as if by the trusted one.
    let (ours, theirs) = (key(SECRET).public().id(), key(OTHER).public().id());
    let forged = make(&own_release(), image, &key(OTHER))
        .expect("made")
        .to_text()
        .replace(&theirs, &ours);
    let manifest = Manifest::parse(forged.as_bytes()).expect("well-formed");
    let error = verify(manifest, &[key(SECRET).public()], image).expect_err("forged");
    assert!(matches!(error, VerifyError::Signature { .. }), "{error}");
}

#[test]
fn an_image_that_was_changed_is_not_read_to_its_end_without_need() {
    struct Endless(u64);
    impl std::io::Read for &mut Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let mut endless = Endless(0);
    let error = verify(signed(b"image"), &[key(SECRET).public()], &mut endless).expect_err("endless");
    assert!(matches!(error, VerifyError::Size { more: true, .. }), "{error}");
    assert!(endless.0 < 1 << 20, "read {} bytes", endless.0);
}

#[test]
fn other_devices_other_hardware_and_older_versions_are_not_admitted() {
    let verified = verified(signed(b"image"), b"image").expect("right");
    let device = Device {
        device: "doorline".to_owned(),
        floor: version("0.1"),
        hardware: "x86_64-linux-gnu".to_owned(),
    };
    assert_eq!(verified.admitted_on(&device), Ok(version("0.1")));
    let panel = Device {
        device: "panel".to_owned(),
        ..device.clone()
    };
    assert!(matches!(
        verified.admitted_on(&panel),
        Err(AdmitError::Device { .. })
    ));
    let board = Device {
        hardware: "aarch64".to_owned(),
        ..device.clone()
    };
    assert!(matches!(
        verified.admitted_on(&board),
        Err(AdmitError::Hardware { .. })
    ));
    let newer = Device {
        floor: version("0.1.1"),
        ..device
    };
    let error = verified.admitted_on(&newer).expect_err("older");
    assert_eq!(
        error.to_string(),
        "version 0.1.0 is older than 0.1.1, the oldest this device takes"
    );
}

#[test]
fn what_is_not_a_manifest_says_why() {
    let text = signed(b"image").to_text();
    let refused = |old: &str, new: &str| {
        assert!(text.contains(old), "{old:?}");
        let error = Manifest::parse(text.replacen(old, new, 1).as_bytes()).expect_err("not a manifest");
        let source = std::error::Error::source(&error)
            .map(|s| format!(": {s}"))
            .unwrap_or_default();
        format!("{error}{source}")
    };
    assert_eq!(
        refused("\"format\": 1", "\"format\": 2"),
        "format 2 is not known, wanted 1: update this program"
    );
    assert_eq!(
        refused("\"image\": \"", "\"image\": \"../"),
        "image: found \"../doorline-0.1.0-x86_64-linux-gnu\", allowed: a path below the manifest's folder, or \
         https://HOST/PATH, at most 300 characters"
    );
    assert!(refused("\"size\": 5", "\"size\": 0").starts_with("size: found \"0\""));
    assert!(refused("\"size\": 5", "\"size\": 5, \"size\": 6").contains("duplicate field `size`"));
    assert!(refused("\"size\": 5", "\"size\": 5, \"extra\": 6").contains("unknown field `extra`"));
    let large = [text.as_bytes(), &[b' '; 20_000]].concat();
    assert!(
        Manifest::parse(&large)
            .expect_err("large")
            .to_string()
            .contains("at most 16384 are read")
    );
}

/// Whatever is read: it comes back when it is written, and can be looked at as an image.
fn survived(data: &[u8]) {
    firmware_images::fuzz::manifest(data);
    if let Ok(manifest) = Manifest::parse(data) {
        let _ = verified(manifest, data);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        survived(&data);
    }

    #[test]
    fn a_changed_manifest_is_never_verified_as_another(
        at in 0..700_usize,
        length in 0..8_usize,
        new in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let original = signed(b"image");
        let mut bytes = original.to_text().into_bytes();
        let at = at.min(bytes.len());
        let to = (at + length).min(bytes.len());
        bytes.splice(at..to, new);
        survived(&bytes);
        if let Ok(manifest) = Manifest::parse(&bytes) {
            // White space may change; what is verified is what was signed.
            if let Ok(verified) = verified(manifest, b"image") {
                prop_assert_eq!(verified.manifest(), &original);
            }
        }
    }
}
