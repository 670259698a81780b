//! Sends every datagram back, until one says "stop" or N (the second argument)
//! have come; the first argument is the port, 7 unless said otherwise.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let mut args = k.args();
    let port = args.next().map_or(Ok(7), str::parse)?;
    let mut left: u32 = args.next().map_or(Ok(u32::MAX), str::parse)?;
    let net = k.net();
    writeln!(k.error(), "port {}", net.bind(port)?)?;
    let mut buf = [0; 1472];
    while left > 0 {
        let got = net.recv(&mut buf)?;
        if got.bytes == b"stop" {
            break;
        }
        net.send(&got.peer, got.bytes)?;
        left -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn echoes_until_it_is_stopped() {
        let from = "192.168.7.9:4000".parse().unwrap();
        let script = Fake::new().datagram(1, from, 7, *b"one").datagram(2, from, 7, *b"two");
        let report = script.datagram(3, from, 7, *b"stop").datagram(4, from, 7, *b"x").run(run);
        assert_eq!(report.end, End::Exit(0));
        let sent: Vec<_> = report.sent.iter().map(|(to, b)| (to.port, &b[..])).collect();
        assert_eq!(sent, [(4000, &b"one"[..]), (4000, b"two")]);
    }

    #[test]
    fn the_kernels_ports_are_refused() {
        let report = Fake::new().args(["24139"]).run(run);
        assert_eq!(report.end, End::Exit(1));
        assert_eq!(report.error, b"error: the port belongs to the kernel\n");
    }
}
