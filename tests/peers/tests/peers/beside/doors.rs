//! The site with many doors, and what is said to each of them.

use std::fmt::Write as _;

use peers::{Account, Rig, Use};

/// A site of doors that are called and speak a tone: door `dN` at panel `pN` with line `lN`, everything virtual.
pub(super) struct Doors<'a> {
    /// Whose calls they take; `None`: direct calls.
    pub(super) account: Option<Account<'a>>,
    /// How many.
    pub(super) count: usize,
    /// Ports of speech.
    pub(super) rtp: (u16, u16),
}

impl Doors<'_> {
    /// The site with every codec, whose lines say nothing and write down what is heard there: `door-N.wav`.
    pub(super) fn recording(&self, rig: &Rig) -> String {
        let mut text = self
            .text(rig)
            .replace("codecs = [\"pcma\"]", "codecs = [\"opus\", \"g722\", \"pcma\"]");
        for n in 0..self.count {
            let virtual_line = format!("[lines.l{n}.virtual]\n");
            let file = rig.path(&format!("door-{n}.wav"));
            text = text.replace(&virtual_line, &format!("{virtual_line}playback = {file:?}\n"));
        }
        text
    }

    pub(super) fn text(&self, rig: &Rig) -> String {
        let (state, run) = (rig.path("state"), rig.path("run"));
        let (low, high) = self.rtp;
        let sip = rig.port(Use::Sip);
        let mut text = format!(
            "[site]\nid = \"beside\"\nname = \"Beside\"\nnumber = \"000000001\"\naddress = \"1 Test Street\"\n\
             state-dir = {state:?}\nrun-dir = {run:?}\n[guard]\nmode = \"spawn\"\n\
             [sip]\nbind = \"127.0.0.1\"\nudp-port = {sip}\ntcp-port = 0\nrtp-ports = [{low}, {high}]\n\
             codecs = [\"pcma\"]\ndirect-peers = [\"127.0.0.1\"]\n\
             [lists.people]\nring-s = 20\ntargets = [\"sip:nobody@127.0.0.1:9\"]\n"
        );
        let account = if self.account.is_some() {
            "account = \"pbx\"\n"
        } else {
            ""
        };
        for n in 0..self.count {
            let _ = write!(
                text,
                "[outputs.o{n}]\n[outputs.o{n}.virtual]\n[inputs.b{n}.virtual]\n\
                 [lines.l{n}]\ncall-in = \"self-start\"\n[lines.l{n}.virtual]\ncapture = \"tone:440\"\n\
                 [doors.d{n}]\nname = \"Door {n}\"\noutput = \"o{n}\"\nstrike-ms = 1000\n\
                 [panels.p{n}]\nname = \"Panel {n}\"\nline = \"l{n}\"\ndoors = [\"d{n}\"]\n{account}\
                 [panels.p{n}.buttons.bell]\nname = \"Bell\"\ninput = \"b{n}\"\ncall = \"people\"\n"
            );
        }
        if let Some(account) = self.account {
            text += &account.text(rig);
        }
        text
    }
}

fn request(method: &str, to: &str, number: u32) -> String {
    let whom = if number == 1 && method == "INVITE" {
        "sip:[field0]@[remote_ip]:[remote_port]"
    } else {
        "[next_url]"
    };
    format!(
        "{method} {whom} SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
         From: <sip:peer@[local_ip]:[local_port]>;tag=peer[call_number]\n{to}\nCall-ID: [call_id]\n\
         CSeq: {number} {method}\n"
    )
}

/// Speech in G.711 at the port of the scenario.
const PLAIN: &str = "m=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n";
/// Speech at another port, in another codec: fields 1 to 4 of the call.
const OWN: &str = "m=audio [field1] RTP/AVP [field2]\na=rtpmap:[field2] [field3]\n[field4]\na=ptime:20\n";

/// Calls, is answered, and hangs up after `pause`.
fn scenario(speech: &str, pause: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"calls\">\n\
         <send retrans=\"500\"><![CDATA[\n\n{invite}Contact: <sip:peer@[local_ip]:[local_port]>\n\
         Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=peer 1 1 IN IP4 [media_ip]\ns=-\n\
         c=IN IP4 [media_ip]\nt=0 0\n{speech}\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n\
         <recv response=\"183\" optional=\"true\"/>\n<recv response=\"200\" rrs=\"true\"/>\n\
         <send><![CDATA[\n\n{ack}Content-Length: 0\n\n]]></send>\n{pause}\
         <send retrans=\"500\"><![CDATA[\n\n{bye}Content-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n</scenario>\n",
        invite = request("INVITE", "To: <sip:[field0]@[remote_ip]>", 1),
        ack = request("ACK", "[last_To:]", 1),
        bye = request("BYE", "[last_To:]", 2),
    )
}

/// A call that is ended as soon as it is answered.
pub(super) fn dials() -> String {
    scenario(PLAIN, "")
}

/// A call that is kept for so many seconds; what is heard is sent back.
pub(super) fn holds(seconds: u64) -> String {
    scenario(PLAIN, &pause(seconds))
}

/// The same with speech of its own.
pub(super) fn keeps(seconds: u64) -> String {
    scenario(OWN, &pause(seconds))
}

fn pause(seconds: u64) -> String {
    format!("<pause milliseconds=\"{}\"/>\n", seconds * 1000)
}
