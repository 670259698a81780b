//! Every example of the SDK does what it says, in both languages: what is there
//! under one name writes the same bytes for the same input and ends alike.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::bench::{Desk, noise, payload};
use sk_emulator::Machine;

/// Options and arguments, input, exit code, output (`None`: not looked at here,
/// but still the same in both languages), a word of what `sk` says.
type Case = (&'static [&'static str], Vec<u8>, i32, Option<&'static str>, &'static str);

/// What is run of each example; none may be missing.
fn cases() -> Vec<(&'static str, Vec<Case>)> {
    let hello = match e2e::zero().machine {
        Machine::Raspi0 => "board 920092 at up to 700 MHz\n",
        Machine::Raspi1ap => "board 900021 at up to 700 MHz\n",
    };
    let text = || b" to be or\tnot\r\nto be\x0c\xff that \x0b be".to_vec();
    vec![
        (
            "hello",
            vec![
                (&[], vec![], 0, Some(hello), ""),
                (&["--", "Ada", "", "Grace Hopper"], vec![], 0, None, ""),
            ],
        ),
        (
            "md5",
            vec![
                (&[], vec![], 0, Some("d41d8cd98f00b204e9800998ecf8427e\n"), ""),
                (&[], b"abc".to_vec(), 0, Some("900150983cd24fb0d6963f7d28e17f72\n"), ""),
                (&[], noise(55, 1), 0, None, ""),
                (&[], noise(56, 2), 0, None, ""),
                (&[], noise(64, 3), 0, None, ""),
                (&[], noise(100_000, 4), 0, None, ""),
            ],
        ),
        (
            "words",
            vec![
                (&[], vec![], 0, Some(""), ""),
                (&[], b"to be or not to be".to_vec(), 0, Some("2 be\n2 to\n1 not\n1 or\n"), ""),
                (&[], text(), 0, None, ""),
                (&[], noise(20_000, 5), 0, None, ""),
            ],
        ),
        (
            "primes",
            vec![
                (&[], vec![], 0, Some("9592 primes up to 100000, the largest 99991\n"), ""),
                (&["--", "2"], vec![], 0, Some("1 primes up to 2, the largest 2\n"), ""),
                (&["--", "1"], vec![], 0, Some("0 primes up to 1, the largest 0\n"), ""),
                (&["--", "x"], vec![], 1, Some(""), "error: "),
            ],
        ),
        ("nbody", vec![(&[], vec![], 0, Some("-0.000000032138891 -0.000000032141015\n"), "")]),
        (
            "exit-code",
            vec![
                (&["--", "42"], vec![], 42, Some(""), "exit 42"),
                (&["--", "-2147483648"], vec![], 123, Some(""), "exit -2147483648"),
                (&["--", "2147483648"], vec![], 1, Some(""), "error: "),
                (&[], vec![], 1, Some(""), "error: an exit code, please"),
            ],
        ),
        ("panics", vec![(&[], b"1234567".to_vec(), 134, Some(""), "panicked")]),
        ("recursion", vec![(&[], vec![], 139, Some(""), "stack overflow")]),
        ("flood", vec![(&["--max-output", "8K"], vec![], 139, None, "more output than")]),
        ("spin", vec![(&["--timeout", "500ms"], vec![], 124, Some(""), "still running")]),
    ]
}

#[test]
fn none_is_forgotten() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../payload-sdk/examples");
    let mut there = BTreeSet::new();
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        there.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    let mut tested: BTreeSet<_> = cases().into_iter().map(|(name, _)| name.to_owned()).collect();
    // Those that talk to peers are tested in udp.rs.
    tested.extend(["network", "udp-echo"].map(str::to_owned));
    assert_eq!(there, tested);
}

#[test]
fn both_languages_do_the_same() {
    let desk = Desk::new();
    let _board = desk.emu("examples", &[]);
    for (name, cases) in cases() {
        for (options, input, code, output, sentence) in cases {
            let [rust, c] = [name.to_owned(), format!("{name}-c")].map(|name| {
                let ran = desk.run_payload("examples", &payload(&name), options, &input);
                assert_eq!(ran.code, code, "{name} {options:?}: {}", ran.err);
                assert!(ran.err.contains(sentence), "{name} {options:?}: {}", ran.err);
                ran.out
            });
            let shown = String::from_utf8_lossy(&c);
            assert!(rust == c, "{name} {options:?}: C wrote {shown}");
            assert!(output.is_none_or(|output| output == shown), "{name} {options:?}: {shown}");
        }
    }
}
