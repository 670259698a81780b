//! What is below `main` of a payload in C, on a board: arguments, the functions
//! that the compiler calls unasked, every service through the header.

use std::path::Path;

use e2e::bench::Desk;

#[test]
fn what_is_below_main() {
    let desk = Desk::new();
    let _board = desk.emu("c-below", &[]);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads/below_main.c");
    for (arguments, code, output, sentence) in [
        (&["memory"][..], 0, "", ""),
        (
            &["numbers"],
            0,
            "0 18446744073709551615 -9223372036854775808 0000beef -0.500 1235.000 3\n",
            "",
        ),
        (&["services"], 77, "", ""),
        (&["int / 0"], 136, "", "division by zero"),
        (&["long long % 0"], 136, "", "division by zero"),
        (&[], 1, "<>", ""),
        (&["-x", "", "\u{e9}t\u{e9}"], 4, "<><*x><><*\u{a9}t\u{e9}>", ""),
        (&["-", ""], 3, "<><*><>", ""),
    ] {
        let more = [&["--"], arguments].concat();
        let ran = desk.run_payload("c-below", &source, &more, b"12345");
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(sentence), "{arguments:?}: {}", ran.err);
        // The first byte of an argument was overwritten, so this is no UTF-8.
        let expected = output.as_bytes().iter().filter(|b| **b != 0xC2);
        assert!(ran.out.iter().eq(expected), "{arguments:?}: {:?}", ran.out);
    }
}
