//! The content as lines of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::content::{File, Head, Place, Record};

/// Longest line: the largest file as base64, and its name.
pub(crate) const LONGEST: usize = crate::content::MAX_FILE / 3 * 4 + 16 * 1024;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Line {
    Head(HeadLine),
    File(FileLine),
    Record(RecordLine),
    End(EndLine),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct HeadLine {
    site: String,
    site_name: String,
    made: String,
    program: String,
    in_doubt: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FileLine {
    place: PlaceWord,
    path: String,
    mode: u32,
    base64: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RecordLine {
    kind: String,
    key: String,
    value: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndLine {
    pub(crate) files: u64,
    pub(crate) records: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaceWord {
    Confirmed,
    Named,
    SiteFile,
    State,
}

impl From<&Head> for HeadLine {
    fn from(head: &Head) -> Self {
        Self {
            site: head.site.clone(),
            site_name: head.site_name.clone(),
            made: head.made.to_string(),
            program: head.program.clone(),
            in_doubt: head.in_doubt,
        }
    }
}

impl HeadLine {
    pub(crate) fn head(self) -> Result<Head, String> {
        Ok(Head {
            made: self
                .made
                .parse()
                .map_err(|_| format!("{:?} is no time", self.made))?,
            in_doubt: self.in_doubt,
            program: self.program,
            site: self.site,
            site_name: self.site_name,
        })
    }
}

impl From<&File> for FileLine {
    fn from(file: &File) -> Self {
        Self {
            place: match file.place {
                Place::Confirmed => PlaceWord::Confirmed,
                Place::Named => PlaceWord::Named,
                Place::SiteFile => PlaceWord::SiteFile,
                Place::State => PlaceWord::State,
            },
            path: file.path.clone(),
            mode: file.mode,
            base64: STANDARD.encode(&*file.bytes),
        }
    }
}

impl FileLine {
    pub(crate) fn file(self) -> Result<File, String> {
        let place = match self.place {
            PlaceWord::Confirmed => Place::Confirmed,
            PlaceWord::Named => Place::Named,
            PlaceWord::SiteFile => Place::SiteFile,
            PlaceWord::State => Place::State,
        };
        let path = self.path;
        if path.is_empty() || path.len() > 4096 || path.contains('\0') {
            return Err("a file has no name, or one that no system takes".to_owned());
        }
        // what lies in the state folder lies in it, and nowhere else
        let parts = std::path::Path::new(&path).components();
        if place == Place::State
            && !parts
                .into_iter()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
        {
            return Err(format!("{path:?} is not within the state folder"));
        }
        let bytes = STANDARD
            .decode(self.base64)
            .map_err(|error| format!("the file {path:?}: {error}"))?;
        Ok(File {
            bytes: bytes.into(),
            mode: self.mode & 0o777,
            path,
            place,
        })
    }
}

impl From<&Record> for RecordLine {
    fn from(record: &Record) -> Self {
        Self {
            kind: record.kind.clone(),
            key: record.key.clone(),
            value: record.value.clone(),
            expires: record.expires.map(|time| time.to_string()),
        }
    }
}

impl RecordLine {
    pub(crate) fn record(self) -> Result<Record, String> {
        let expires = match self.expires {
            None => None,
            // an end that cannot be read must not become none
            Some(text) => Some(text.parse().map_err(|_| format!("{text:?} is no time"))?),
        };
        Ok(Record {
            expires,
            key: self.key,
            kind: self.kind,
            value: self.value,
        })
    }
}
