//! Messages shared by the tests of this crate.

/// Puts CRLF at every line end of a text written with LF.
pub(crate) fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// The fields every message needs, for a method.
pub(crate) fn fields(method: &str) -> String {
    format!(
        "Via: SIP/2.0/UDP 192.0.2.4:5062;rport;branch=z9hG4bK7f3a\nFrom: \"Night, guard\" <sip:1002@pbx.example>;tag=u1\n\
         To: <sip:503@pbx.example>\nCall-ID: f81d4fae@192.0.2.4\nCSeq: 7 {method}\nMax-Forwards: 70\n"
    )
}

/// A request with the usual fields, some more, and no body.
pub(crate) fn request(method: &str, more: &str) -> Vec<u8> {
    crlf(&format!(
        "{method} sip:503@192.0.2.9 SIP/2.0\n{}{more}\n",
        fields(method)
    ))
}

/// An INVITE as a PBX sends it, with fields of every shape.
pub(crate) fn invite() -> Vec<u8> {
    let body =
        "v=0\no=- 1 1 IN IP4 192.0.2.4\ns=-\nc=IN IP4 192.0.2.4\nt=0 0\nm=audio 12000 RTP/AVP 8 0 101\n";
    let body = body.replace('\n', "\r\n");
    let mut bytes = crlf(&format!(
        "INVITE sip:503@192.0.2.9:5060;transport=udp SIP/2.0\n{}\
         Via: SIP/2.0/TLS [2001:db8::5]:5061;branch=z9hG4bKaa, SIP/2.0/UDP proxy.example\n\
         Record-Route: <sip:192.0.2.4;lr;ftag=u1>, <sip:proxy.example;lr>\n\
         m: \"A, \\\"B\\\"\" <sip:1002@192.0.2.4:5062;ob>;+sip.instance=\"<urn:uuid:0;1>\";expires=60\n\
         k: timer, replaces, 100rel\nSession-Expires: 1800;refresher=uac\nSubject:\n folded\n\tsubject\n\
         Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth,auth-int\", algorithm=SHA-256\n\
         P-Asserted-Identity: <sip:1002@pbx.example>, <tel:+33123>\nc: application/sdp\nl: {}\n\n",
        fields("INVITE"),
        body.len(),
    ));
    bytes.extend_from_slice(body.as_bytes());
    bytes
}
