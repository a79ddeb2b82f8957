//! Doors do not wait for page or SIP: a port that is taken or a certificate that is not there costs that part alone, and
//! it comes up by itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use crate::house::{House, free_port};

const DOWN: &str = "page and API do not run, doors do";
const WELL: &str = "page and API are well again";

/// The first line that a page answers with; one that speaks TLS says so to whoever does not.
fn first_line(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
    stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).expect("a free port")
}

fn opens(house: &mut House) {
    house.open_by_exit();
    house.rest();
}

#[test]
fn a_taken_port_costs_the_page_alone_and_it_comes_up_once_the_port_is_free() {
    let (port, other) = (free_port(), free_port());
    let taken = listen(port);
    let mut house = House::start_with(|_| format!("\n[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    house.wait_for(DOWN, 1);
    house.wait_for("the port is taken by another program", 1);
    opens(&mut house);
    drop(taken);
    house.wait_for(WELL, 1);
    assert!(first_line(port).expect("an answer").starts_with("HTTP/1.1"));

    // the same by a reload
    let taken = listen(other);
    house.rewrite(
        &format!("\"127.0.0.1:{port}\""),
        &format!("\"127.0.0.1:{other}\""),
    );
    house.reload("the new site file is in force");
    house.wait_for(DOWN, 2);
    opens(&mut house);
    drop(taken);
    house.wait_for(WELL, 2);
    assert!(first_line(other).expect("an answer").starts_with("HTTP/1.1"));
    assert!(house.stop().success(), "{}", house.story());
}

fn certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
}

#[test]
fn a_missing_certificate_costs_the_page_alone_and_a_reload_takes_none_that_is_bad() {
    let port = free_port();
    let mut house = House::start_with(|dir| {
        let dir = dir.display();
        format!(
            "\n[http]\nlisten = \"127.0.0.1:{port}\"\ntls = true\ncert-file = \"{dir}/cert.pem\"\nkey-file = \
             \"{dir}/key.pem\"\n"
        )
    });
    house.wait_for(&format!("{DOWN}: http.cert-file: "), 1);
    opens(&mut house);
    certificate(house.folder());
    house.wait_for(WELL, 1);
    let speaks_tls = "HTTP/1.1 400 Bad Request";
    assert_eq!(first_line(port).expect("an answer"), speaks_tls);

    // a key of another certificate, and then none
    std::fs::rename(house.path("key.pem"), house.path("right.pem")).expect("renamed");
    let other = tempfile::tempdir().expect("a folder");
    certificate(other.path());
    std::fs::copy(other.path().join("key.pem"), house.path("key.pem")).expect("copied");
    let refused = "the site file was not taken, the old one stays in force";
    house.reload(refused);
    house.wait_for("http.key-file", 1);
    std::fs::remove_file(house.path("key.pem")).expect("removed");
    house.reload(refused);
    assert_eq!(first_line(port).expect("an answer"), speaks_tls);
    std::fs::rename(house.path("right.pem"), house.path("key.pem")).expect("renamed");
    house.reload("the new site file is in force");
    assert_eq!(first_line(port).expect("an answer"), speaks_tls);
    opens(&mut house);
}

#[test]
fn what_sip_cannot_listen_on_costs_no_door_and_is_got_over() {
    const BACK: &str = "SIP listens as configured again";
    let port = free_port();
    let mut house = House::start_with(|dir| {
        let dir = dir.display();
        format!("tls-port = {port}\ntls-cert-file = \"{dir}/cert.pem\"\ntls-key-file = \"{dir}/key.pem\"\n")
    });
    house.wait_for("sip.tls-cert-file: cannot use", 1);
    opens(&mut house);
    certificate(house.folder());
    house.wait_for(BACK, 1);
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert!(house.stop().success(), "{}", house.story());

    let at = ("127.0.0.1", house.sip_port());
    let taken = UdpSocket::bind(at).expect("free again");
    house.start_again();
    house.wait_for("or set another sip.udp-port", 1);
    house.open_by_exit();
    drop(taken);
    house.wait_for(BACK, 2);
    UdpSocket::bind(at).expect_err("it listens");
}

#[test]
fn a_missing_authority_of_a_pbx_costs_its_account_alone_and_is_got_over() {
    let mut house = House::start_with(|dir| {
        format!(
            "[accounts.pbx]\ndomain = \"127.0.0.1\"\nuser = \"door\"\npassword = \"correct horse\"\ntransport = \"tls\"\n\
             tls-ca-file = \"{}/cert.pem\"\n",
            dir.display()
        )
    });
    house.wait_for("tls-ca-file: cannot use", 1);
    opens(&mut house);
    certificate(house.folder());
    house.wait_for("SIP listens as configured again", 1);
    assert!(house.stop().success(), "{}", house.story());
}
