//! The adapter behind hubs: QEMU's, at full speed, so without a translator.

use e2e::bench::{Desk, noise, payload};
use md5::{Digest, Md5};

fn works_behind(hubs: &str) {
    let desk = Desk::new();
    let text = desk.folder().join("uart");
    let uart = text.to_str().expect("UTF-8");
    let arguments = ["--hubs", hubs, "--adapter", "usb-net", "--uart", uart];
    let _board = desk.start("behind", &arguments.map(str::to_owned));
    let input = noise(50_000, 7);
    let ran = desk.run_payload("behind", &payload("md5"), &[], &input);
    let sum = Md5::digest(&input).iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    assert_eq!((ran.code, ran.out), (0, sum.into_bytes()), "{}", ran.err);
    let said = std::fs::read_to_string(text).expect("the serial port's text");
    let seen = said.matches("usb: Hub { ports: 8 }").count();
    assert_eq!(seen.to_string(), hubs, "{said}");
    assert!(!said.contains("usb: Error"), "{said}");
}

#[test]
fn an_adapter_on_a_hub() {
    works_behind("1");
}

#[test]
fn an_adapter_two_hubs_away() {
    works_behind("2");
}
