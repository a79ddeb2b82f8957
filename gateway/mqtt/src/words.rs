//! Names of entities in the site's language.

/// The words of one language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) activity: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) contact: &'static str,
    pub(crate) lock: &'static str,
    pub(crate) open: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) ring: &'static str,
}

/// The words of a language; English for an unknown one.
pub(crate) fn words(language: &str) -> Words {
    let row = match language {
        "de" => [
            "Aktivität",
            "Verbindung",
            "Kontakt",
            "Schloss",
            "Öffnen",
            "Problem",
            "Klingel",
        ],
        "es" => [
            "Actividad",
            "Conexión",
            "Contacto",
            "Cerradura",
            "Abrir",
            "Problema",
            "Timbre",
        ],
        "fr" => [
            "Activité",
            "Connexion",
            "Contact",
            "Serrure",
            "Ouvrir",
            "Problème",
            "Sonnerie",
        ],
        "pt" => [
            "Atividade",
            "Ligação",
            "Contacto",
            "Fechadura",
            "Abrir",
            "Problema",
            "Campainha",
        ],
        _ => [
            "Activity",
            "Connection",
            "Contact",
            "Lock",
            "Open",
            "Problem",
            "Ring",
        ],
    };
    let [activity, connection, contact, lock, open, problem, ring] = row;
    Words {
        activity,
        connection,
        contact,
        lock,
        open,
        problem,
        ring,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_words_and_an_unknown_one_is_english() {
        assert_eq!(words("fr").open, "Ouvrir");
        assert_eq!(words("de").ring, "Klingel");
        assert_eq!(words("es").lock, "Cerradura");
        assert_eq!(words("pt").ring, "Campainha");
        assert_eq!(words("xx"), words("en"));
    }
}
