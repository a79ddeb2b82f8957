//! The file of a backup: what was written comes back, and nothing else does.

use gateway_backup::{BackupError, Content, Cost, File, Head, MAX_BYTES, Place, Record, read, write};
use gateway_core::Secret;
use proptest::prelude::*;
use serde_json::json;

/// Cheap, so that many cases can be tried; what a new backup costs is [`Cost::NEW`].
const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn passphrase() -> Secret {
    Secret::new("correct horse battery")
}

fn content(records: usize) -> Content {
    let record = |n: usize| Record {
        expires: n
            .is_multiple_of(7)
            .then(|| "2027-01-01T00:00:00Z".parse().expect("a time")),
        key: format!("c-{n}"),
        kind: "credential".to_owned(),
        value: json!({ "kind": "card", "value": format!("1,{n}"), "person": "alice" }),
    };
    Content {
        files: vec![
            File {
                bytes: b"[site]\nid = \"house\"\n".to_vec().into(),
                mode: 0o640,
                path: "/etc/doorline/site.toml".to_owned(),
                place: Place::SiteFile,
            },
            File {
                bytes: vec![0, 255, 10].into(),
                mode: 0o600,
                path: "people.key".to_owned(),
                place: Place::State,
            },
        ],
        head: Head {
            in_doubt: false,
            made: "2026-03-01T12:00:00Z".parse().expect("a time"),
            program: "0.1.0".to_owned(),
            site: "house".to_owned(),
            site_name: "House".to_owned(),
        },
        records: (0..records).map(record).collect(),
    }
}

fn sealed(content: &Content) -> Vec<u8> {
    write(Vec::new(), content, &passphrase(), CHEAP).expect("written")
}

#[test]
fn what_was_written_comes_back_and_shows_nothing_before() {
    // none, less than a chunk, several chunks
    for records in [0, 3, 5000] {
        let content = content(records);
        let file = sealed(&content);
        assert_eq!(read(file.as_slice(), &passphrase()).expect("read"), content);
        let shown = String::from_utf8_lossy(&file);
        for word in ["house", "people.key", "credential", "alice"] {
            assert!(!shown.contains(word), "{word} can be read without the passphrase");
        }
        assert_ne!(
            file,
            sealed(&content),
            "the same content is encrypted anew each time"
        );
    }
}

#[test]
fn a_new_backup_costs_a_guess_what_rfc_9106_wants() {
    let file = write(Vec::new(), &content(1), &passphrase(), Cost::NEW).expect("written");
    assert_eq!(
        &file[20..32],
        [0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4],
        "64 MiB, 3 passes, 4 lanes"
    );
    assert!(read(file.as_slice(), &passphrase()).is_ok());
}

#[test]
fn another_passphrase_is_told_from_damage() {
    let file = sealed(&content(3));
    let other = read(file.as_slice(), &Secret::new("correct horse batterz"));
    assert!(matches!(other, Err(BackupError::Passphrase)), "{other:?}");
    for (short, found) in [("", 0), ("eleven char", 11)] {
        let made = write(Vec::new(), &content(1), &Secret::new(short), CHEAP);
        assert!(matches!(made, Err(BackupError::PassphraseLength { found: f }) if f == found));
    }
}

#[test]
fn whatever_ends_a_file_early_is_seen() {
    let file = sealed(&content(2000));
    let chunk = 64 * 1024 + 16;
    assert!(file.len() > 76 + 2 * chunk, "there are several chunks");
    // within a chunk, and just between two
    for length in [file.len() - 1, 76 + chunk, 76 + chunk + 1, 76, 77] {
        let cut = read(&file[..length], &passphrase());
        assert!(
            matches!(cut, Err(BackupError::Damaged { .. })),
            "{length}: {cut:?}"
        );
    }
    // two chunks that changed places, and one of them twice
    let (first, second) = (76..76 + chunk, 76 + chunk..76 + 2 * chunk);
    let mut swapped = file.clone();
    swapped[first.clone()].copy_from_slice(&file[second.clone()]);
    swapped[second.clone()].copy_from_slice(&file[first.clone()]);
    assert!(matches!(
        read(swapped.as_slice(), &passphrase()),
        Err(BackupError::Damaged { after: 0 })
    ));
    let twice = [&file[..76 + chunk], &file[first], &file[76 + chunk..]].concat();
    assert!(matches!(
        read(twice.as_slice(), &passphrase()),
        Err(BackupError::Damaged { .. })
    ));
    let more = [file.as_slice(), b"x"].concat();
    assert!(matches!(
        read(more.as_slice(), &passphrase()),
        Err(BackupError::Damaged { .. })
    ));
}

/// With the right check sum over it, as a stranger would make it.
fn with_header(file: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut file = file.to_vec();
    change(&mut file[..72]);
    let crc = crc32c(&file[..72]);
    file[72..76].copy_from_slice(&crc.to_be_bytes());
    file
}

/// CRC-32C, bit by bit (RFC 3720 §B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0x82F6_3B78
        } else {
            crc >> 1
        }
    };
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
    })
}

#[test]
fn a_hostile_header_costs_nothing() {
    let file = sealed(&content(1));
    let costs = [
        (20, [0xFF; 4]),
        (24, [0, 0, 0, 17]),
        (28, [0, 0, 0, 5]),
        (20, [0; 4]),
        (24, [0; 4]),
        (28, [0; 4]),
    ];
    for (at, number) in costs {
        let bad = with_header(&file, |header| header[at..at + 4].copy_from_slice(&number));
        let read = read(bad.as_slice(), &passphrase());
        assert!(matches!(read, Err(BackupError::Cost { .. })), "{at}: {read:?}");
    }
    let newer = with_header(&file, |header| header[16] = 2);
    let newer = read(newer.as_slice(), &passphrase());
    assert!(
        matches!(newer, Err(BackupError::Version { found: 2, known: 1 })),
        "{newer:?}"
    );
    // the header is part of what each chunk is sealed with: bytes that mean nothing count, too
    let other = with_header(&file, |header| header[17] = 1);
    let other = read(other.as_slice(), &passphrase());
    assert!(
        matches!(other, Err(BackupError::Damaged { after: 0 })),
        "{other:?}"
    );
    let fell_over = read(
        [&file[..30], &[file[30] ^ 1], &file[31..]].concat().as_slice(),
        &passphrase(),
    );
    assert!(matches!(fell_over, Err(BackupError::Header)), "{fell_over:?}");
    for none in [
        &b""[..],
        b"x",
        b"doorline backup",
        b"PK\x03\x04 an archive of something else, longer than a header would be.....",
    ] {
        assert!(
            matches!(read(none, &passphrase()), Err(BackupError::NotOne)),
            "{none:?}"
        );
    }
}

#[test]
fn what_would_lie_outside_of_the_state_folder_is_refused() {
    for path in ["../people.key", "/etc/passwd", "http/../../x", ""] {
        let mut content = content(0);
        content.files[1].path = path.to_owned();
        let read = read(sealed(&content).as_slice(), &passphrase());
        assert!(
            matches!(read, Err(BackupError::Content { line: 3, .. })),
            "{path:?}: {read:?}"
        );
    }
}

#[test]
fn a_backup_that_is_too_large_is_not_made() {
    let mut large = content(0);
    large.files[1].bytes = vec![0; 9 << 20].into();
    let made = write(Vec::new(), &large, &passphrase(), CHEAP);
    assert!(matches!(made, Err(BackupError::TooLarge { .. })), "{made:?}");
    const { assert!(MAX_BYTES > 500 << 20) };
}

proptest! {
    #[test]
    fn any_bytes_are_refused_in_words(bytes in prop::collection::vec(any::<u8>(), 0..400), head in any::<bool>()) {
        let bytes = if head { [b"doorline backup\n\x01\0\0\0".as_slice(), &bytes].concat() } else { bytes };
        let error = read(bytes.as_slice(), &passphrase()).expect_err("it is no backup");
        prop_assert!(!error.to_string().is_empty());
    }

    #[test]
    fn no_byte_can_be_changed(records in 0_usize..40, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut file = sealed(&content(records));
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(read(file.as_slice(), &passphrase()).is_err(), "byte {}", at);
    }

    #[test]
    fn whatever_stands_in_a_file_or_a_record_comes_back(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        key in "\\PC{0,40}",
        text in "(?s).{0,200}",
        cut in 0_usize..70_000,
    ) {
        let mut content = content(2);
        content.files[1].bytes = bytes.into();
        content.records[0].key = key;
        content.records[1].value = json!({ "text": text, "long": "x".repeat(cut), "list": [1, null, true] });
        let file = sealed(&content);
        prop_assert_eq!(read(file.as_slice(), &passphrase()).expect("read"), content);
    }
}
