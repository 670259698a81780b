//! The fake kernel, and payloads' ways to end.

use payload_sdk::fake::{End, Fake};
use payload_sdk::{Error, Kernel};
use std::fmt::Write;

#[test]
fn input_comes_as_a_slice_and_as_a_stream() {
    let report = Fake::new().input(*b"abcdefg").run(|k: &Kernel| {
        let mut buf = [0; 4];
        let mut reader = k.reader();
        while let n @ 1.. = reader.read(&mut buf) {
            writeln!(k.output(), "{}", String::from_utf8_lossy(&buf[..n]))?;
        }
        k.output().write_all(k.input())
    });
    assert_eq!((report.end.clone(), report.text()), (End::Exit(0), "abcd\nefg\nabcdefg"));
}

#[test]
fn arguments_are_as_given() {
    let args = |given: &[&'static str]| {
        let mut seen = Vec::new();
        Fake::new().args(given.iter().copied()).run(|k: &Kernel| {
            seen = k.args().map(str::to_owned).collect();
        });
        seen
    };
    assert_eq!(args(&[]), [""; 0]);
    assert_eq!(args(&["a", "", "b c"]), ["a", "", "b c"]);
}

#[test]
fn an_error_becomes_a_code_and_a_line() {
    fn parse(k: &Kernel) -> Result<i32, Error> {
        let text = std::str::from_utf8(k.input())?;
        if text.is_empty() {
            return Err(Error::new("nothing to do").with_code(7));
        }
        Ok(text.parse()?)
    }
    let run = |input: &[u8]| {
        let report = Fake::new().input(input).run(parse);
        (report.end, String::from_utf8(report.error).unwrap())
    };
    assert_eq!(run(b"42"), (End::Exit(42), String::new()));
    assert_eq!(run(b"x"), (End::Exit(1), "error: not a number\n".into()));
    assert_eq!(run(b"\xFF"), (End::Exit(1), "error: the input is not UTF-8\n".into()));
    assert_eq!(run(b""), (End::Exit(7), "error: nothing to do\n".into()));
    assert_eq!(Error::new("").with_code(0).code(), 1, "a failure is not success");
}

#[test]
fn every_way_to_end_is_told_apart() {
    let end = |run: fn(&Kernel)| Fake::new().output_limit(4).deadline(100).tick(1).run(run);
    assert_eq!(end(|k| k.exit(3)).end, End::Exit(3));
    assert_eq!(end(|k| k.abort("no")).end, End::Aborted("no".into()));
    assert_eq!(end(|_| panic!("at {}", 5)).end, End::Panicked("at 5".into()));
    let full = end(|k| k.output().write_all(b"12345").unwrap());
    assert_eq!((full.end, &full.output[..]), (End::OutputLimit, &b"1234"[..]));
    let late = end(|k| while k.remaining() > 0 {});
    assert_eq!((late.end, late.elapsed_us), (End::Exit(0), 100));
    let slept = end(|k| k.sleep(1_000_000));
    assert_eq!((slept.end, slept.elapsed_us), (End::Deadline, 100));
}

#[test]
fn a_request_to_stop_is_seen() {
    let report = Fake::new().tick(10).stop_after(95).run(|k: &Kernel| {
        while !k.should_stop() {
            k.beat();
        }
    });
    assert_eq!((report.end, report.beats), (End::Exit(0), 9));
}

#[test]
fn writers_work_with_write_macros_and_the_trait() {
    fn through(mut w: impl Write) -> Result<(), std::fmt::Error> {
        write!(w, "{:04x}", 0xAB)
    }
    let report = Fake::new().run(|k: &Kernel| -> Result<(), Error> {
        through(k.error())?;
        k.log(&"x".repeat(500));
        Ok(())
    });
    assert_eq!((&report.error[..], report.log[0].len()), (&b"00ab"[..], 120));
}
