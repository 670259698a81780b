//! What a frame costs in `sk-usb`, in instructions, between the controller and
//! the IP stack, against `kernel/usb/budgets.toml`. The guest is
//! `kernel/usb/guest`.

use e2e::costs::{count, within_budget};

#[test]
fn costs_are_within_budget() {
    within_budget(&count("usb-guest"), "kernel/usb/budgets.toml");
}
