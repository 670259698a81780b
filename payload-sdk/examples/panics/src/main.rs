//! Panics: the client is told where and why.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Kernel, entry};

entry!(run);

fn run(k: &Kernel) {
    let input = k.input();
    let at = input.len() * 2 + 7;
    k.exit(i32::from(input[at]));
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn it_does() {
        let end = Fake::new().run(run).end;
        let why = "index out of bounds: the len is 0 but the index is 7";
        assert_eq!(end, End::Panicked(why.into()));
    }
}
