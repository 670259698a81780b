//! The test is the board's adapter.

use super::frame::{arp_reply, dhcp_reply, parse};
use super::*;

const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x57];

struct Adapter {
    socket: UnixDatagram,
    lan: Lan,
    _dir: tempfile::TempDir,
}

impl Adapter {
    fn plug(faults: Faults) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lan = Lan::start(dir.path(), [0; 6], 0, 24139, faults).unwrap();
        let (ours, adapter) = ends(dir.path());
        let socket = UnixDatagram::bind(adapter).unwrap();
        socket.connect(ours).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Self { socket, lan, _dir: dir }
    }

    fn send(&self, from: u16, to: SocketAddrV4, payload: &[u8]) {
        let datagram =
            Datagram { from: SocketAddrV4::new(BOARD, from), to, payload: payload.to_vec() };
        self.socket.send(&datagram.frame(MAC, GATEWAY_MAC)).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn receive_datagram(&self) -> Datagram {
        match parse(&self.receive()) {
            Some(Seen::Udp { datagram, .. }) => datagram,
            other => panic!("{other:?}"),
        }
    }
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

#[test]
fn the_gateway_answers_for_itself_only() {
    let adapter = Adapter::plug(Faults::default());
    let ask = |wanted: Ipv4Addr| {
        let mut frame = arp_reply(MAC, BOARD, [0; 6], wanted);
        frame[21] = 1;
        adapter.socket.send(&frame).unwrap();
    };
    // A probe for the board's own address must stay unanswered.
    ask(BOARD);
    ask(GATEWAY);
    let reply = adapter.receive();
    assert_eq!(reply, arp_reply(GATEWAY_MAC, GATEWAY, MAC, BOARD));
    assert_eq!(reply.len(), 60);
}

#[test]
fn datagrams_go_both_ways_and_the_sender_does_not_change() {
    let adapter = Adapter::plug(Faults::default());
    let client = client();
    let listener = self::client();
    let gateway = |socket: &UdpSocket| SocketAddrV4::new(GATEWAY, port(socket));
    // The board is known by what it sends.
    adapter.send(24139, gateway(&client), b"first");
    let mut buffer = [0; 2000];
    for round in 0..3 {
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from, adapter.lan.address());
        assert_eq!(&buffer[..length], [&b"first"[..], b"next", b"next"][round]);
        client.send_to(b"hello", from).unwrap();
        let datagram = adapter.receive_datagram();
        assert_eq!(datagram.from, gateway(&client));
        assert_eq!(datagram.to, SocketAddrV4::new(BOARD, 24139));
        assert_eq!(datagram.payload, b"hello");
        // A broadcast in between changes nothing.
        for to in [Ipv4Addr::BROADCAST, BROADCAST] {
            adapter.send(24139, SocketAddrV4::new(to, port(&listener)), b"beacon");
            let (length, from) = listener.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&b"beacon"[..], adapter.lan.address()));
        }
        adapter.send(24139, gateway(&client), b"next");
    }
    assert_eq!(adapter.lan.traffic().malformed, 0);
    assert_eq!(adapter.lan.traffic().to_board, 3);
}

#[test]
fn another_port_of_the_board_gets_a_socket_of_its_own() {
    let adapter = Adapter::plug(Faults::default());
    let client = client();
    let mut buffer = [0; 16];
    adapter.send(7, SocketAddrV4::new(GATEWAY, port(&client)), b"echo");
    let (_, from) = client.recv_from(&mut buffer).unwrap();
    assert_ne!(from, adapter.lan.address());
    assert_eq!(adapter.lan.forward(0, 7).unwrap(), from);
    client.send_to(b"back", from).unwrap();
    assert_eq!(adapter.receive_datagram().to.port(), 7);
}

#[test]
fn a_wrong_checksum_is_counted_and_goes_nowhere() {
    let adapter = Adapter::plug(Faults::default());
    let client = client();
    let datagram = Datagram {
        from: SocketAddrV4::new(BOARD, 24139),
        to: SocketAddrV4::new(GATEWAY, port(&client)),
        payload: b"abc".to_vec(),
    };
    let good = datagram.frame(MAC, GATEWAY_MAC);
    for at in [16, 24, 30, 36, 38, 40, 42] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        adapter.socket.send(&bad).unwrap();
    }
    adapter.socket.send(&good[..30]).unwrap();
    adapter.socket.send(&good).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(client.recv(&mut buffer).unwrap(), 3);
    assert_eq!(adapter.lan.traffic().malformed, 8);
    assert_eq!(adapter.lan.traffic().from_board, 1);
}

#[test]
fn dhcp_offers_confirms_and_refuses() {
    let message = |kind: u8, wanted: Option<Ipv4Addr>| {
        let mut message = vec![0; 236];
        message[..4].copy_from_slice(&[1, 1, 6, 0]);
        message[4..8].copy_from_slice(b"xid!");
        message[28..34].copy_from_slice(&MAC);
        message.extend([99, 130, 83, 99, 53, 1, kind]);
        if let Some(ip) = wanted {
            message.extend([50, 4]);
            message.extend(ip.octets());
        }
        message.push(255);
        message
    };
    let reply = |message: &[u8]| dhcp_reply(message, BOARD, GATEWAY, MASK);
    for (kind, wanted, answer, given) in [
        (1, None, 2, BOARD),
        (3, Some(BOARD), 5, BOARD),
        (3, Some(GATEWAY), 6, Ipv4Addr::UNSPECIFIED),
    ] {
        let reply = reply(&message(kind, wanted)).unwrap();
        assert_eq!(reply.to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));
        let bytes = reply.payload;
        assert_eq!(&bytes[4..8], b"xid!");
        assert_eq!(&bytes[16..20], given.octets());
        assert_eq!(&bytes[28..34], MAC);
        assert_eq!(&bytes[240..243], [53, 1, answer]);
    }
    assert_eq!(reply(&message(8, None)), None);
    let whole = message(3, Some(BOARD));
    for length in 0..whole.len() - 1 {
        // Nothing that is cut short may stop the thread.
        let _ = reply(&whole[..length]);
    }
}

#[test]
fn a_bad_cable_loses_and_doubles_the_same_frames_each_time() {
    let faults = Faults { lost: 300, doubled: 200, seed: 7, ..Faults::default() };
    let run = |faults| {
        let mut dice = Dice::new(faults);
        (0..1000).map(|_| dice.copies()).collect::<Vec<_>>()
    };
    let copies = run(faults);
    assert_eq!(copies, run(faults));
    assert_ne!(copies, run(Faults { seed: 8, ..faults }));
    let count = |n| copies.iter().filter(|&&copies| copies == n).count();
    assert!((250..350).contains(&count(0)), "{}", count(0));
    assert!((100..180).contains(&count(2)), "{}", count(2));
    assert_eq!(run(Faults::default()), [1; 1000]);
}

#[test]
fn a_late_frame_is_overtaken_by_as_many_as_was_said() {
    let mut late = super::Late::default();
    assert!(late.pass(vec![0], 2).is_empty());
    assert_eq!(late.pass(vec![1], 0), [[1]]);
    assert!(late.pass(vec![2], 8).is_empty());
    assert_eq!(late.pass(vec![3], 0), [[3], [0]]);
    assert_eq!(late.pass(vec![4], 0), [[4]]);
    assert_eq!(late.flush(), [[2]]);
    assert!(late.flush().is_empty());
}
