//! Names of entities in the site's language.

/// The words of one language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) account: &'static str,
    pub(crate) activity: &'static str,
    pub(crate) call: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) contact: &'static str,
    pub(crate) hang_up: &'static str,
    pub(crate) lock: &'static str,
    pub(crate) open: &'static str,
    pub(crate) person: &'static str,
    pub(crate) press: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) quiet: &'static str,
    pub(crate) relay: &'static str,
    pub(crate) ring: &'static str,
    pub(crate) tamper: &'static str,
}

/// The words of a language; English for an unknown one.
pub(crate) const fn words(language: &str) -> Words {
    match language.as_bytes() {
        b"de" => GERMAN,
        b"es" => SPANISH,
        b"fr" => FRENCH,
        b"pt" => PORTUGUESE,
        b"ru" => RUSSIAN,
        _ => ENGLISH,
    }
}

const ENGLISH: Words = Words {
    account: "Registration",
    activity: "Activity",
    call: "Call",
    confirm: "Confirm",
    connection: "Connection",
    contact: "Contact",
    hang_up: "Hang up",
    lock: "Lock",
    open: "Open",
    person: "Last person",
    press: "Press",
    problem: "Problem",
    quiet: "Do not disturb",
    relay: "Relay",
    ring: "Ring",
    tamper: "Tamper",
};

const FRENCH: Words = Words {
    account: "Enregistrement",
    activity: "Activité",
    call: "Appel",
    confirm: "Acquitter",
    connection: "Connexion",
    contact: "Contact",
    hang_up: "Raccrocher",
    lock: "Serrure",
    open: "Ouvrir",
    person: "Dernière personne",
    press: "Appuyer",
    problem: "Problème",
    quiet: "Ne pas déranger",
    relay: "Relais",
    ring: "Sonnerie",
    tamper: "Sabotage",
};

const GERMAN: Words = Words {
    account: "Anmeldung",
    activity: "Aktivität",
    call: "Anruf",
    confirm: "Quittieren:",
    connection: "Verbindung",
    contact: "Kontakt",
    hang_up: "Auflegen",
    lock: "Schloss",
    open: "Öffnen",
    person: "Letzte Person",
    press: "Drücken",
    problem: "Problem",
    quiet: "Bitte nicht stören",
    relay: "Relais",
    ring: "Klingel",
    tamper: "Sabotage",
};

const PORTUGUESE: Words = Words {
    account: "Registo",
    activity: "Atividade",
    call: "Chamada",
    confirm: "Confirmar",
    connection: "Ligação",
    contact: "Contacto",
    hang_up: "Desligar",
    lock: "Fechadura",
    open: "Abrir",
    person: "Última pessoa",
    press: "Premir",
    problem: "Problema",
    quiet: "Não incomodar",
    relay: "Relé",
    ring: "Campainha",
    tamper: "Sabotagem",
};

const RUSSIAN: Words = Words {
    account: "Регистрация",
    activity: "Активность",
    call: "Вызов",
    confirm: "Подтвердить:",
    connection: "Связь",
    contact: "Контакт",
    hang_up: "Завершить вызов",
    lock: "Замок",
    open: "Открыть",
    person: "Последний человек",
    press: "Нажать",
    problem: "Проблема",
    quiet: "Не беспокоить",
    relay: "Реле",
    ring: "Звонок",
    tamper: "Вскрытие",
};

const SPANISH: Words = Words {
    account: "Registro",
    activity: "Actividad",
    call: "Llamada",
    confirm: "Confirmar",
    connection: "Conexión",
    contact: "Contacto",
    hang_up: "Colgar",
    lock: "Cerradura",
    open: "Abrir",
    person: "Última persona",
    press: "Pulsar",
    problem: "Problema",
    quiet: "No molestar",
    relay: "Relé",
    ring: "Timbre",
    tamper: "Sabotaje",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_words_and_an_unknown_one_is_english() {
        assert_eq!(words("fr").open, "Ouvrir");
        assert_eq!(words("de").ring, "Klingel");
        assert_eq!(words("es").lock, "Cerradura");
        assert_eq!(words("pt").ring, "Campainha");
        assert_eq!(words("ru").tamper, "Вскрытие");
        assert_eq!(words("xx"), words("en"));
    }
}
