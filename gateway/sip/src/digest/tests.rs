//! Vectors of RFC 7616 §3.9 and RFC 2617 §3.5, and challenges as servers write them.

use gateway_core::Secret;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn mufasa<'a>(algorithm: &str, qop: Option<Qop>) -> ResponseInput<'a> {
    ResponseInput {
        algorithm: Algorithm::parse(algorithm).expect("known"),
        user: "Mufasa",
        realm: b"testrealm@host.com",
        password: "Circle Of Life",
        nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        cnonce: "0a4f113b",
        count: 1,
        qop,
        method: "GET",
        uri: "/dir/index.html",
        body: b"v=0\r\n",
    }
}

#[test]
fn responses_match_rfc_2617_and_its_variants() {
    // RFC 2617 §3.5. The other three were computed with Python's hashlib from the formulas of RFC 7616 §3.4.
    assert_eq!(
        mufasa("MD5", Some(Qop::Auth)).response(),
        "6629fae49393a05397450978507c4ef1"
    );
    assert_eq!(mufasa("MD5", None).response(), "670fd8c2df070c60b045671b8b24ff02");
    let second = ResponseInput {
        count: 2,
        ..mufasa("MD5-sess", Some(Qop::Auth))
    };
    assert_eq!(second.response(), "d16df0df0d92cef8935129145e21b5e1");
    assert_eq!(
        mufasa("MD5", Some(Qop::AuthInt)).response(),
        "151b6cabb7e59e0ac757207a039ff3d0"
    );
}

#[test]
fn responses_match_rfc_7616() {
    // RFC 7616 §3.9.1.
    let check = |algorithm: &str, expected: &str| {
        let input = ResponseInput {
            realm: b"http-auth@example.org",
            password: "Circle of Life",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            ..mufasa(algorithm, Some(Qop::Auth))
        };
        assert_eq!(input.response(), expected, "{algorithm}");
    };
    check("MD5", "8ca523f5e9506fed4657c9700eebdbec");
    check(
        "SHA-256",
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    );
    // RFC 7616 §3.9.2 with its erratum 4897: the printed digest was made with a truncated SHA-512.
    let input = ResponseInput {
        user: "J\u{e4}s\u{f8}n Doe",
        realm: b"api@example.org",
        password: "Secret, or not?",
        nonce: b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        uri: "/doe.json",
        ..mufasa("SHA-512-256", Some(Qop::Auth))
    };
    assert_eq!(
        input.response(),
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    );
}

fn challenge_401(values: &[&str]) -> Response {
    let uri = crate::Uri::parse("sip:pbx.example").expect("uri");
    let mut response = Response::to(&crate::Request::new(Method::REGISTER, uri), 401);
    for value in values {
        response.headers.push(HeaderName::WwwAuthenticate, *value);
    }
    response
}

#[test]
fn the_strongest_known_challenge_is_taken_and_the_first_of_equals() {
    let check = |values: &[&str], expected: Option<(&str, &str)>| {
        let session = DigestSession::from_response(&challenge_401(values)).ok();
        let found = session
            .as_ref()
            .map(|s| (s.algorithm.to_string(), s.challenge.realm.clone()));
        assert_eq!(
            found.as_ref().map(|(a, r)| (a.as_str(), r.as_str())),
            expected,
            "{values:?}"
        );
    };
    check(&["Digest realm=\"a\", nonce=\"1\""], Some(("MD5", "a")));
    check(
        &[
            "Digest realm=\"a\",nonce=\"1\",algorithm=MD5",
            "Digest realm=\"b\",nonce=\"2\",algorithm=SHA-256,qop=\"auth\"",
        ],
        Some(("SHA-256", "b")),
    );
    check(
        &["Basic realm=\"x, y\", Digest realm=\"a\",nonce=\"1\",algorithm=MD5 ,Digest realm=\"b\", nonce=2"],
        Some(("MD5", "a")),
    );
    check(
        &["DIGEST realm=a , nonce = n1,  algorithm=\"sha-512-256\", qop=auth,auth-int"],
        Some(("SHA-512-256", "a")),
    );
    check(&["Digest realm=\"a\",nonce=\"1\",algorithm=AKAv1-MD5"], None);
    check(&["Digest realm=\"a\",nonce=\"1\",qop=\"token\""], None);
    check(&["Digest realm=\"a\""], None);
    check(&["Negotiate, Basic realm=\"a\""], None);
    check(&[], None);
}

#[test]
fn qop_lists_are_read_in_and_out_of_quotes() {
    let check = |value: &str, expected: Option<Qop>| {
        let session = DigestSession::from_response(&challenge_401(&[value])).expect("usable");
        assert_eq!(session.qop, expected, "{value}");
    };
    check(
        "Digest realm=\"a\",nonce=\"1\",qop=\"auth-int, auth\"",
        Some(Qop::Auth),
    );
    check(
        "Digest realm=\"a\",nonce=\"1\",qop=auth-int,auth,opaque=\"o\"",
        Some(Qop::Auth),
    );
    check(
        "Digest realm=\"a\",nonce=\"1\",qop=\"auth-int\"",
        Some(Qop::AuthInt),
    );
    check("Digest realm=\"a\",nonce=\"1\",qop=\"\"", None);
}

#[test]
fn an_answer_counts_its_nonce_and_keeps_its_cnonce() {
    let challenge =
        "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", opaque=\"o\", qop=\"auth\", algorithm=MD5, stale=TRUE";
    let mut session = DigestSession::from_response(&challenge_401(&[challenge])).expect("usable");
    assert!(session.challenge().stale);
    assert_eq!(session.header(), HeaderName::Authorization);
    let who = Credentials {
        user: "503".into(),
        password: Secret::new("secret"),
    };
    let mut rng = StdRng::seed_from_u64(1);
    let mut answer = || {
        let value = session.authorize(&who, &Method::REGISTER, "sip:pbx.example", b"", &mut rng);
        value.text().into_owned()
    };
    let (first, second) = (answer(), answer());
    assert!(first.starts_with(
        "Digest username=\"503\", realm=\"a \\\"b\\\"\", nonce=\"n\", uri=\"sip:pbx.example\","
    ));
    assert!(
        first.ends_with("opaque=\"o\", algorithm=MD5, qop=auth, nc=00000001"),
        "{first}"
    );
    assert!(second.ends_with("nc=00000002"), "{second}");
    assert!(!first.contains("secret"));
    let cnonce = |s: &str| s.split_once("cnonce=").map(|(_, c)| c[..26].to_owned());
    assert_eq!(cnonce(&first), cnonce(&second));
    let response = |s: &str| s.split_once("response=").map(|(_, c)| c[..34].to_owned());
    assert_ne!(response(&first), response(&second));
}

#[test]
fn a_second_challenge_means_refused_unless_it_is_stale() {
    let session = |value: &str| DigestSession::from_response(&challenge_401(&[value])).expect("usable");
    let mut first = session("Digest realm=\"a\",nonce=\"1\"");
    let again = session("Digest realm=\"a\",nonce=\"2\"");
    assert!(!first.is_refused_by(&again), "nothing was tried");
    let who = Credentials {
        user: "503".into(),
        password: Secret::new("x"),
    };
    first.authorize(&who, &Method::INVITE, "sip:h", b"", &mut StdRng::seed_from_u64(1));
    assert!(first.is_refused_by(&again));
    assert!(!first.is_refused_by(&session("Digest realm=\"a\",nonce=\"2\",stale=true")));
    assert!(!first.is_refused_by(&session("Digest realm=\"other\",nonce=\"2\"")));
}

#[test]
fn a_realm_that_is_no_utf_8_is_hashed_and_given_back_as_it_came() {
    let mut response = challenge_401(&[]);
    let line = b"Digest realm=\"B\xfcro\",nonce=\"n\",algorithm=MD5".as_slice();
    response.headers.push(HeaderName::WwwAuthenticate, line);
    let mut session = DigestSession::from_response(&response).expect("usable");
    let who = Credentials {
        user: "200".into(),
        password: Secret::new("geheim"),
    };
    let mut rng = StdRng::seed_from_u64(1);
    let answer = session.authorize(&who, &Method::REGISTER, "sip:h", b"", &mut rng);
    let realm = b"realm=\"B\xfcro\"".as_slice();
    assert!(answer.as_bytes().windows(realm.len()).any(|part| part == realm));
    let ha1 = Hash::Md5.hex(b"200:B\xfcro:geheim");
    let ha2 = Hash::Md5.hex(b"REGISTER:sip:h");
    let expected = Hash::Md5.hex(format!("{ha1}:n:{ha2}").as_bytes());
    assert!(answer.text().contains(&format!("response=\"{expected}\"")));
}
