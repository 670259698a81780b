//! Writes until the room the client asked for is used up.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    loop {
        k.output().write_all(b"a line of sixteen")?;
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn it_ends_at_the_limit() {
        let report = Fake::new().output_limit(1000).run(run);
        assert_eq!((report.end, report.output.len()), (End::OutputLimit, 1000));
    }
}
