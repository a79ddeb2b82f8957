//! The port as an operator meets it: by site files, by the two acts, by the faults that stand. Its interface is not there,
//! so no supplicant runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use gateway_config::SecretFiles;
use gateway_core::Instant;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use serde_json::json;

use super::*;

const SITE: &str = "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"here\"\n";
/// 2027-01-15; certificates of the rig are good from 2024 to 2030.
const GOOD: i64 = 1_800_000_000;
/// 2020, as a machine without a battery may show after its start, and later than the end of them.
const EARLY: i64 = 1_577_836_800;
const LATE: i64 = 1_956_528_000;

/// Shows what it is told to.
struct Shown(AtomicI64);

impl Clock for Shown {
    fn now(&self) -> Instant {
        crate::clock::SystemClock.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).expect("a date")
    }
}

struct Rig {
    clock: Arc<Shown>,
    dir: tempfile::TempDir,
    faults: Faults,
    port: SwitchPort,
    trust: watch::Sender<Option<bool>>,
}

impl Rig {
    fn new(shown: i64, trusted: bool) -> Self {
        Self::again(tempfile::tempdir().expect("a folder"), shown, trusted)
    }

    /// A start with the state of another one.
    fn again(dir: tempfile::TempDir, shown: i64, trusted: bool) -> Self {
        let clock = Arc::new(Shown(AtomicI64::new(shown)));
        let (trust, known) = watch::channel(Some(trusted));
        let (faults, file) = (Faults::default(), dir.path().join("site.toml"));
        let (signals, mut told) = mpsc::channel(64);
        tokio::spawn(async move { while told.recv().await.is_some() {} });
        let as_clock: Arc<dyn Clock> = clock.clone();
        let port = SwitchPort::new(&as_clock, signals, &faults, known, (dir.path(), &file));
        Self {
            clock,
            dir,
            faults,
            port,
            trust,
        }
    }

    /// A start anew, with the clock at this time.
    async fn restart(self, shown: i64, trusted: bool) -> Self {
        self.port.stop().await;
        Self::again(self.dir, shown, trusted)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        path
    }

    /// Certificate and key of the gateway, and the CA, 2024 to 2030.
    fn certificates(&self) {
        let dated = |name: &str| {
            let mut params = CertificateParams::new(vec![]).expect("fits");
            (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2030, 1, 1));
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut params = dated("CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().expect("a key");
        self.write("ca.pem", &params.self_signed(&ca_key).expect("signed").pem());
        let issuer = Issuer::new(params, ca_key);
        let mut params = dated("gateway");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        self.write(
            "port.pem",
            &params.signed_by(&key, &issuer).expect("signed").pem(),
        );
        self.write("port.key", &key.serialize_pem());
    }

    /// Takes a site with a port of this identity, and gives its text.
    async fn take(&self, identity: &str, how: Taken) -> String {
        let dir = self.dir.path().display();
        let text = format!(
            "{SITE}run-dir = \"{dir}/run\"\n[dot1x]\ninterface = \"doorline-none\"\nmethod = \"tls\"\nidentity = \"{identity}\"\n\
             ca-file = \"{dir}/ca.pem\"\nserver-names = [\"radius.example.org\"]\nclient-cert-file = \"{dir}/port.pem\"\n\
             client-key-file = \"{dir}/port.key\"\nconfirm-s = 600\n"
        );
        let loaded = gateway_config::parse("site.toml", self.dir.path(), &text, SecretFiles::Needed);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        self.port.apply(&config, &text, how).await.expect("taken");
        text
    }

    async fn act(&self, act: &str) -> Result<(), String> {
        self.port.act(&json!({ "act": act })).await.map(|_| ())
    }

    async fn identity(&self) -> Option<String> {
        let inner = self.port.0.lock().await;
        let running = inner.running.as_ref();
        running.map(|running| running.wanted.params.identity.clone())
    }

    fn fault(&self, part: &str) -> Option<String> {
        let faults = self.faults.list().into_iter();
        faults.filter(|fault| fault.part == part).map(|f| f.text).next()
    }

    /// Waits until a fault of the dates stands, or does not.
    async fn dates(&self, wanted: bool) -> Option<String> {
        for _ in 0..500 {
            let found = self.fault(DATES);
            if found.is_some() == wanted {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a fault of the dates: {:?}", self.fault(DATES));
    }
}

#[tokio::test]
async fn a_roll_back_needs_no_confirmation_of_its_own() {
    let rig = Rig::new(GOOD, true);
    rig.certificates();
    rig.take("first", Taken::Confirmed).await;
    // tried over the API, and kept for the port alone
    rig.take("second", Taken::OnTrial).await;
    assert!(rig.fault(TRIAL).is_some());
    rig.act("dot1x-confirm").await.expect("it waits");
    rig.take("first", Taken::Back).await;
    assert_eq!(rig.identity().await.as_deref(), Some("first"));
    assert_eq!(rig.fault(TRIAL), None);
    let error = rig.act("dot1x-confirm").await.expect_err("nothing waits");
    assert!(error.contains("no change of [dot1x] waits"), "{error}");
    // it is also what the next start falls back to
    let rig = rig.restart(GOOD, true).await;
    rig.take("second", Taken::Confirmed).await;
    rig.act("dot1x-rollback").await.expect("it waits");
    assert_eq!(rig.identity().await.as_deref(), Some("first"));
}

#[tokio::test]
async fn who_confirms_a_site_file_over_the_network_confirms_its_port_once_that_is_open() {
    let rig = Rig::new(GOOD, true);
    rig.certificates();
    let first = rig.take("first", Taken::Confirmed).await;
    assert_eq!(rig.port.confirm_with(&first, true).await, None, "nothing waits");
    let second = rig.take("second", Taken::OnTrial).await;
    assert_eq!(rig.port.confirm_with(&first, true).await, None, "another file");
    let told = rig.port.confirm_with(&second, false).await.unwrap_or_default();
    assert!(told.contains("not authorized: doorline dot1x confirm"), "{told}");
    assert!(rig.fault(TRIAL).is_some());
    let told = rig.port.confirm_with(&second, true).await;
    assert_eq!(told.as_deref(), Some("[dot1x] is confirmed with it"));
    assert_eq!(rig.fault(TRIAL), None);
    // the next start has nothing to take back
    let rig = rig.restart(GOOD, true).await;
    rig.take("second", Taken::Confirmed).await;
    assert_eq!(rig.fault(TRIAL), None);
}

#[tokio::test]
async fn what_nobody_had_confirmed_before_a_roll_back_still_has_to_be() {
    let rig = Rig::new(GOOD, true);
    rig.certificates();
    rig.take("first", Taken::Confirmed).await;
    rig.take("second", Taken::Confirmed).await;
    rig.take("third", Taken::OnTrial).await;
    rig.take("second", Taken::Back).await;
    assert!(rig.fault(TRIAL).is_some(), "second was never confirmed");
    rig.act("dot1x-rollback").await.expect("it waits");
    assert_eq!(rig.identity().await.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_start_with_a_wrong_clock_in_a_trial_keeps_the_way_back() {
    for shown in [EARLY, LATE] {
        let before = Rig::new(GOOD, true);
        before.certificates();
        before.take("first", Taken::Confirmed).await;
        let rig = before.restart(shown, false).await;
        rig.take("second", Taken::Confirmed).await;
        // nothing is said of dates that nobody can judge
        assert_eq!((rig.fault(FILES), rig.fault(DATES)), (None, None));
        assert!(rig.fault(TRIAL).is_some());
        rig.act("dot1x-rollback").await.expect("there is a way back");
        assert_eq!(rig.identity().await.as_deref(), Some("first"));
    }
}

#[tokio::test]
async fn dates_are_judged_once_the_clock_can_be_believed_and_a_fault_goes_that_does_not_hold() {
    let rig = Rig::new(EARLY, false);
    rig.certificates();
    rig.take("first", Taken::Confirmed).await;
    assert_eq!((rig.fault(FILES), rig.fault(DATES)), (None, None));
    rig.clock.0.store(LATE, Ordering::Relaxed);
    rig.trust.send_replace(Some(true));
    let text = rig.dates(true).await.unwrap_or_default();
    assert!(
        text.contains("dot1x.ca-file") && text.contains("ended at 2030"),
        "{text}"
    );
    // while nobody knows, what was found stands
    rig.trust.send_replace(Some(false));
    rig.clock.0.store(GOOD, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(rig.fault(DATES).is_some());
    rig.trust.send_replace(Some(true));
    rig.dates(false).await;
    // whatever the clock said at the start, the watch has its certificates
    let inner = rig.port.0.lock().await;
    let watched = inner
        .running
        .as_ref()
        .map(|running| running.wanted.certificates.len());
    assert_eq!(watched, Some(2));
}

#[tokio::test]
async fn a_trusted_clock_judges_at_once_and_what_has_ended_is_no_way_back() {
    let rig = Rig::new(LATE, true);
    rig.certificates();
    rig.take("first", Taken::Confirmed).await;
    assert!(rig.fault(DATES).is_some());
    let rig = rig.restart(GOOD, true).await;
    rig.take("second", Taken::Confirmed).await;
    let error = rig.act("dot1x-rollback").await.expect_err("first was not kept");
    assert!(error.contains("no change"), "{error}");
}
