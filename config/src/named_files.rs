//! Which files a site file names, as it names them.

use toml::de::DeTable;

use crate::veil::leaves;

/// The values of all keys that name a file to be read (`file`, `…-file`), each once. Not ports, folders and programs, which
/// belong to a machine. What can be read of a text with faults counts as well.
#[must_use]
pub fn named_files(text: &str) -> Vec<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    let mut found: Vec<String> = Vec::new();
    leaves("", document.get_ref(), &mut |path, node| {
        let key = path.rsplit('.').next().unwrap_or_default();
        let names = key == "file" || key.ends_with("-file");
        let file = node.get_ref().as_str().unwrap_or_default();
        let fits = !file.is_empty() && !file.contains('\0');
        if names && fits && !found.iter().any(|known| known == file) {
            found.push(file.to_owned());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_wherever_they_stand_and_ports_are_none() {
        let text = r#"
            [accounts.pbx]
            password-file = "secrets/pbx"
            tls-ca-file = "/etc/ssl/pbx.pem"
            [outputs.strike.numato]
            port = "/dev/ttyACM0"
            [rules.hello]
            do = [{ prompt = { line = "street", file = "hello.wav" } }]
            [mqtt]
            password-file = "secrets/pbx"
            key-file = ""
            [site]
            state-dir = "/var/lib/doorline"
        "#;
        let mut found = named_files(text);
        found.sort_unstable();
        assert_eq!(found, ["/etc/ssl/pbx.pem", "hello.wav", "secrets/pbx"]);
        // what stands before a fault counts
        assert_eq!(named_files("a-file = \"x\"\nb = = 1\n"), ["x"]);
    }
}
