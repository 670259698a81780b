//! The MD5 of the whole input, in hexadecimal.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use md5::{Digest, Md5};
use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let digest = Md5::digest(k.input());
    let mut line = [b'\n'; 33];
    for (pair, byte) in line.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [byte >> 4, byte & 0xF].map(|d| d + if d < 10 { b'0' } else { b'a' - 10 });
    }
    k.output().write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::{End, Fake};

    #[test]
    fn the_vectors_of_rfc_1321() {
        for (input, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e\n"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72\n"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0\n"),
        ] {
            let report = Fake::new().input(input).run(run);
            assert_eq!((report.text(), &report.end), (digest, &End::Exit(0)));
        }
    }
}
