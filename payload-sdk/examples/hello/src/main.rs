//! Says hello to each argument, and what it runs on.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let out = k.output();
    for name in k.args() {
        writeln!(out, "hello, {name}")?;
    }
    let board = k.board();
    writeln!(out, "board {:06x} at up to {} MHz", board.revision, board.cpu_mhz_max)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn greets_everybody() {
        let report = Fake::new().args(["Ada", "Grace"]).run(run);
        let text = "hello, Ada\nhello, Grace\nboard 900092 at up to 1000 MHz\n";
        assert_eq!((report.text(), report.end.clone()), (text, End::Exit(0)));
    }
}
