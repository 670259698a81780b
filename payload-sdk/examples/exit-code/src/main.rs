//! Ends with the exit code its argument names; without one, with an error.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<i32, Error> {
    let code = k.args().next().ok_or("an exit code, please")?;
    Ok(code.parse()?)
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn the_code_comes_through() {
        assert_eq!(Fake::new().args(["-5"]).run(run).end, End::Exit(-5));
        assert_eq!(Fake::new().args(["five"]).run(run).end, End::Exit(1));
        assert_eq!(Fake::new().run(run).error, b"error: an exit code, please\n");
    }
}
