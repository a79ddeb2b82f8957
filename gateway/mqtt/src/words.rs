//! Names of entities in the site's language.

/// The words of one language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) account: &'static str,
    pub(crate) activity: &'static str,
    pub(crate) announce: &'static str,
    pub(crate) call: &'static str,
    pub(crate) call_for: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) connection: &'static str,
    pub(crate) contact: &'static str,
    pub(crate) fire: &'static str,
    pub(crate) hang_up: &'static str,
    pub(crate) lock: &'static str,
    pub(crate) lockdown: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) mode_held: &'static str,
    pub(crate) mode_normal: &'static str,
    pub(crate) open: &'static str,
    pub(crate) person: &'static str,
    pub(crate) picture: &'static str,
    pub(crate) press: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) quiet: &'static str,
    pub(crate) relay: &'static str,
    pub(crate) reset_fire: &'static str,
    pub(crate) ring: &'static str,
    pub(crate) ring_to_open: &'static str,
    pub(crate) tamper: &'static str,
    pub(crate) update: &'static str,
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
    announce: "Announce:",
    call: "Call",
    call_for: "Call",
    confirm: "Confirm",
    connection: "Connection",
    contact: "Contact",
    fire: "Fire alarm",
    hang_up: "Hang up",
    lock: "Lock",
    lockdown: "Lockdown",
    mode: "Door mode",
    mode_held: "Held open",
    mode_normal: "Normal",
    open: "Open",
    person: "Last person",
    picture: "Last ring",
    press: "Press",
    problem: "Problem",
    quiet: "Do not disturb",
    relay: "Relay",
    reset_fire: "Reset fire alarm",
    ring: "Ring",
    ring_to_open: "Ring to open",
    tamper: "Tamper",
    update: "Version",
};

const FRENCH: Words = Words {
    account: "Enregistrement",
    activity: "Activité",
    announce: "Annoncer :",
    call: "Appel",
    call_for: "Appeler :",
    confirm: "Acquitter",
    connection: "Connexion",
    contact: "Contact",
    fire: "Alarme incendie",
    hang_up: "Raccrocher",
    lock: "Serrure",
    lockdown: "Confinement",
    mode: "Mode de la porte",
    mode_held: "Maintenue ouverte",
    mode_normal: "Normal",
    open: "Ouvrir",
    person: "Dernière personne",
    picture: "Dernier appel",
    press: "Appuyer",
    problem: "Problème",
    quiet: "Ne pas déranger",
    relay: "Relais",
    reset_fire: "Réarmer l’alarme incendie",
    ring: "Sonnerie",
    ring_to_open: "Ouvrir à qui sonne",
    tamper: "Sabotage",
    update: "Version",
};

const GERMAN: Words = Words {
    account: "Anmeldung",
    activity: "Aktivität",
    announce: "Durchsagen:",
    call: "Anruf",
    call_for: "Anrufen:",
    confirm: "Quittieren:",
    connection: "Verbindung",
    contact: "Kontakt",
    fire: "Brandalarm",
    hang_up: "Auflegen",
    lock: "Schloss",
    lockdown: "Abriegelung",
    mode: "Betriebsart",
    mode_held: "Offen gehalten",
    mode_normal: "Normal",
    open: "Öffnen",
    person: "Letzte Person",
    picture: "Letztes Klingeln",
    press: "Drücken",
    problem: "Problem",
    quiet: "Bitte nicht stören",
    relay: "Relais",
    reset_fire: "Brandalarm zurücksetzen",
    ring: "Klingel",
    ring_to_open: "Wer klingelt, kommt herein",
    tamper: "Sabotage",
    update: "Version",
};

const PORTUGUESE: Words = Words {
    account: "Registo",
    activity: "Atividade",
    announce: "Anunciar:",
    call: "Chamada",
    call_for: "Chamar:",
    confirm: "Confirmar",
    connection: "Ligação",
    contact: "Contacto",
    fire: "Alarme de incêndio",
    hang_up: "Desligar",
    lock: "Fechadura",
    lockdown: "Confinamento",
    mode: "Modo da porta",
    mode_held: "Mantida aberta",
    mode_normal: "Normal",
    open: "Abrir",
    person: "Última pessoa",
    picture: "Último toque",
    press: "Premir",
    problem: "Problema",
    quiet: "Não incomodar",
    relay: "Relé",
    reset_fire: "Rearmar o alarme de incêndio",
    ring: "Campainha",
    ring_to_open: "Abrir a quem toca",
    tamper: "Sabotagem",
    update: "Versão",
};

const RUSSIAN: Words = Words {
    account: "Регистрация",
    activity: "Активность",
    announce: "Объявить:",
    call: "Вызов",
    call_for: "Вызвать:",
    confirm: "Подтвердить:",
    connection: "Связь",
    contact: "Контакт",
    fire: "Пожарная тревога",
    hang_up: "Завершить вызов",
    lock: "Замок",
    lockdown: "Блокировка",
    mode: "Режим двери",
    mode_held: "Удерживается открытой",
    mode_normal: "Обычный",
    open: "Открыть",
    person: "Последний человек",
    picture: "Последний звонок",
    press: "Нажать",
    problem: "Проблема",
    quiet: "Не беспокоить",
    relay: "Реле",
    reset_fire: "Сбросить пожарную тревогу",
    ring: "Звонок",
    ring_to_open: "Открывать по звонку",
    tamper: "Вскрытие",
    update: "Версия",
};

const SPANISH: Words = Words {
    account: "Registro",
    activity: "Actividad",
    announce: "Anunciar:",
    call: "Llamada",
    call_for: "Llamar:",
    confirm: "Confirmar",
    connection: "Conexión",
    contact: "Contacto",
    fire: "Alarma de incendio",
    hang_up: "Colgar",
    lock: "Cerradura",
    lockdown: "Confinamiento",
    mode: "Modo de la puerta",
    mode_held: "Mantenida abierta",
    mode_normal: "Normal",
    open: "Abrir",
    person: "Última persona",
    picture: "Última llamada",
    press: "Pulsar",
    problem: "Problema",
    quiet: "No molestar",
    relay: "Relé",
    reset_fire: "Rearmar la alarma de incendio",
    ring: "Timbre",
    ring_to_open: "Abrir a quien llama",
    tamper: "Sabotaje",
    update: "Versión",
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

    #[test]
    fn options_can_stand_in_a_template_and_differ() {
        for language in ["de", "en", "es", "fr", "pt", "ru"] {
            let words = words(language);
            let options = [words.lockdown, words.mode_held, words.mode_normal];
            for option in options {
                assert!(!option.contains(['\'', '"', '\\', '{', '}']), "{option}");
                // this word means that nobody knows
                assert_ne!(option.to_lowercase(), "none");
            }
            let different: std::collections::BTreeSet<_> = options.into();
            assert_eq!(different.len(), options.len(), "{language}");
        }
    }
}
