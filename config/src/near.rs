//! Files that a site file names: a relative path starts at the folder of the site file, wherever the program was started.
//! Secret files are read that way when they are read; folders of the gateway and devices are not files beside the site file.

use std::path::{Path, PathBuf};

use crate::model::{Config, LineDriver, NotifyTarget, RuleDo};
use crate::value::{Capture, Playback};

/// Gives every such path its folder.
pub(crate) fn place_files(config: &mut Config, folder: &Path) {
    // the working directory
    if folder == Path::new("") || folder == Path::new(".") {
        return;
    }
    let place = |path: &mut PathBuf| *path = folder.join(&*path);
    files(config).into_iter().flatten().for_each(place);
    for action in config.rules.values_mut().flat_map(|rule| &mut rule.actions) {
        if let RuleDo::Prompt(prompt) = &mut action.what {
            prompt.file.as_mut().into_iter().for_each(place);
        }
    }
    for line in config.lines.values_mut() {
        if let LineDriver::Virtual(line) = &mut line.driver {
            if let Capture::File(path) = &mut line.capture {
                place(path);
            }
            if let Playback::File(path) = &mut line.playback {
                place(path);
            }
        }
    }
}

fn files(config: &mut Config) -> Vec<Option<&mut PathBuf>> {
    let mut files = vec![
        config.sip.tls_cert_file.as_mut(),
        config.sip.tls_key_file.as_mut(),
        config.start.tell_folder.as_mut(),
    ];
    files.extend(
        config
            .accounts
            .values_mut()
            .map(|account| account.tls_ca_file.as_mut()),
    );
    files.extend(
        config
            .panels
            .values_mut()
            .map(|panel| panel.greeting_file.as_mut()),
    );
    files.extend(
        config
            .announcements
            .values_mut()
            .map(|announcement| Some(&mut announcement.file)),
    );
    if let Some(recordings) = &mut config.recordings {
        files.push(Some(&mut recordings.announcement_file));
    }
    if let Some(directory) = &mut config.directory {
        files.push(directory.ca_file.as_mut());
    }
    if let Some(port) = &mut config.dot1x {
        files.extend([
            port.ca_file.as_mut(),
            port.client_cert_file.as_mut(),
            port.client_key_file.as_mut(),
            port.client_p12_file.as_mut(),
        ]);
    }
    if let Some(http) = &mut config.http {
        files.extend([http.cert_file.as_mut(), http.key_file.as_mut()]);
    }
    if let Some(mqtt) = &mut config.mqtt {
        files.extend([
            mqtt.ca_file.as_mut(),
            mqtt.cert_file.as_mut(),
            mqtt.key_file.as_mut(),
        ]);
    }
    files.extend(
        config
            .notify
            .values_mut()
            .map(|channel| match &mut channel.target {
                NotifyTarget::Mail(mail) => mail.ca_file.as_mut(),
                NotifyTarget::Syslog(syslog) => syslog.ca_file.as_mut(),
                NotifyTarget::Telegram(bot) => bot.ca_file.as_mut(),
                NotifyTarget::Webhook(hook) => hook.ca_file.as_mut(),
            }),
    );
    files
}

#[cfg(test)]
mod tests {
    use crate::load::{SecretFiles, parse};
    use crate::model::Config;

    use super::*;

    fn full(folder: &str, change: impl Fn(&str) -> String) -> Config {
        let text = change(include_str!("../examples/full.toml"));
        let loaded = parse("site.toml", Path::new(folder), &text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn every_file_of_the_full_site_starts_at_its_folder_and_none_that_is_absolute_moves() {
        // those that the relay guard reads, too, have to be absolute
        // every file that is no secret, wherever it is
        let relative = |text: &str| {
            let text = text.replace("-file = \"/etc/doorline/", "-file = \"");
            let text = text.replace("-file = \"mqtt", "-file = \"/etc/doorline/mqtt");
            text.replace("-file = \"lodge", "-file = \"/etc/doorline/lodge")
        };
        let mut config = full("/srv/door", relative);
        let found: Vec<PathBuf> = files(&mut config)
            .into_iter()
            .flatten()
            .map(|path| path.clone())
            .collect();
        assert!(found.len() > 5, "{found:?}");
        let mut there = full("/srv/door", str::to_owned);
        let absolute: Vec<PathBuf> = files(&mut there)
            .into_iter()
            .flatten()
            .map(|path| path.clone())
            .collect();
        assert_eq!(found.len(), absolute.len());
        for (found, absolute) in found.iter().zip(&absolute) {
            assert!(absolute.is_absolute(), "{absolute:?}");
            let moved = absolute
                .strip_prefix("/etc/doorline")
                .map_or(absolute.clone(), |rest| Path::new("/srv/door").join(rest));
            assert!(*found == moved || found == absolute, "{found:?} of {absolute:?}");
        }
        assert_eq!(there.site.state_dir, config.site.state_dir);
    }

    #[test]
    fn a_site_file_of_the_working_directory_has_its_files_there() {
        for (folder, wanted) in [
            ("", "sounds"),
            (".", "sounds"),
            ("/srv", "/srv/sounds"),
            ("site", "site/sounds"),
        ] {
            let mut config = full("", str::to_owned);
            config.start.tell_folder = Some("sounds".into());
            place_files(&mut config, Path::new(folder));
            assert_eq!(config.start.tell_folder, Some(wanted.into()), "{folder}");
        }
    }
}
