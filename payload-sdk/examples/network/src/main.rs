//! Shows the board's addresses and neighbours, and what comes to any of its
//! ports within some milliseconds (the argument; 100).
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, Neighbour, NetError, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let (net, out) = (k.net(), k.output());
    net.bind_any()?;
    let ours = net.addresses()?;
    writeln!(out, "address {:?}/{}, router {:?}", ours.ip, ours.prefix, ours.gateway)?;
    let mut table = [Neighbour::default(); 16];
    let known = net.neighbours(&mut table);
    for entry in table.iter().take(known) {
        writeln!(out, "neighbour {:?} is {:02x?}, {} ms ago", entry.ip, entry.mac, entry.age_ms)?;
    }
    let until = k.now() + 1_000 * k.args().next().map_or(Ok(100), str::parse::<u64>)?;
    let mut start = [0; 16];
    loop {
        match net.recv_until(&mut start, until) {
            Ok(got) => {
                let (ip, to) = (got.peer.ip, got.peer.local_port);
                writeln!(out, "{} bytes from {ip:?} to port {to}: {:?}", got.len, got.bytes)?;
            }
            Err(NetError::Timeout) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::Fake;

    #[test]
    fn shows_what_comes_in_time() {
        let from = "192.168.7.9:4000".parse().unwrap();
        let report = Fake::new().datagram(5_000, from, 99, [7; 20]).run(run);
        let expected = "address [192, 168, 7, 2]/24, router [192, 168, 7, 1]\n\
                        20 bytes from [192, 168, 7, 9] to port 99: [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, \
                        7, 7, 7, 7, 7, 7]\n";
        assert_eq!(report.text(), expected);
        assert_eq!(report.elapsed_us, 100_000);
    }
}
