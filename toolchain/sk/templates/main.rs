//! Counts lines, words and bytes of its input.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let input = k.input();
    let lines = input.iter().filter(|&&byte| byte == b'\n').count();
    let words = input.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    writeln!(k.output(), "{lines} lines, {words} words, {} bytes", input.len())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn counts() {
        let report = Fake::new().input("to be\nor not\n").run(run);
        assert_eq!(report.text(), "2 lines, 4 words, 13 bytes\n");
        assert_eq!(report.end, End::Exit(0));
    }

    #[test]
    fn no_input() {
        assert_eq!(Fake::new().run(run).text(), "0 lines, 0 words, 0 bytes\n");
    }
}
