//! The whole stack on the host: the DWC2 driver over its register model, a
//! CDC-ECM adapter on the port, `UsbNet`, `Net`, the session engine; beyond
//! the adapter a network with a DHCP server and a client.
//!
//! Driven by deadlines and interrupts alone, as the kernel is: a deadline that
//! a part forgets to tell shows as something that comes late or never.
#![allow(clippy::unwrap_used)]

mod kernel;
mod machine;
mod network;
mod world;

use sk_models::dwc2::Fault;
use world::*;

#[test]
fn from_power_on_to_a_task() {
    for kind in KINDS {
        for dhcp in [true, false] {
            let mut world = World::running(kind, dhcp, 1);
            let (_, ip, beacon) = world.client().beacons[0];
            assert_eq!((ip, beacon.sequence), (BOARD_IP, 1));
            world.client().hello([7; 16]);
            assert!(world.until(SECOND, |w| !w.client().replies.is_empty()), "{}", world.report());
            assert_eq!(world.client().replies[0].client_nonce, [7; 16]);
            assert_eq!(world.client().replies[0].boot_id, beacon.boot_id);

            world.settle();
            let before = world.resources();
            let input = world.submit(64 << 10);
            world.complete(input, 20 * SECOND);
            world.idle(SECOND);
            world.settle();
            assert_eq!(world.resources(), before, "{}", world.report());
            assert_eq!(world.network.dropped, 0);
        }
    }
}
