//! From "configured" to a chip that carries frames once there is a link: the
//! operations, in order.
//!
//! Where the chip is in doubt later (its transmitter does not know any more
//! where a frame begins), the same is done again but for the PHY, which the
//! chip's reset leaves alone: the link stays.
//!
//! The pipes are opened after the receiver was switched on, last of all; what
//! is received in between waits in the chip's FIFO.

pub use super::access::Op;
use super::registers::*;
use crate::event::Stage;
use sk_hal::usb::Speed;

/// Room for one transfer IN: the longest burst.
pub const IN_TRANSFER: usize = 4096;
/// A burst is held open so long, in units of 1/60 us: 4.3 us, less than the
/// shortest frame takes on the cable (6.7 us at 100 Mbit/s). So no frame waits
/// for one that has not begun to come in, while those that pile up as the host
/// is busy share a transfer. The driver known best waits 136 us, for half the
/// transfers at a full cable and that much more on every answer.
const HOLD: u32 = 0x100;

/// MAC_CR before transmitter and receiver are switched on: perfect filter for
/// our address, all multicast and broadcast. Groups are joined above, by whoever
/// runs on the board, and the frame trait does not carry them down; what nobody
/// joined costs a look at its header.
const FILTER: u32 = MAC_RCVOWN | MAC_MCPAS;
/// MAC_CR with both on, before anything is known of the link.
pub(super) const MAC_ON: u32 = FILTER | MAC_TXEN | MAC_RXEN;

/// Is a stage of the script about the PHY?
pub(super) const fn is_phy(stage: Stage) -> bool {
    matches!(stage, Stage::PhyReset | Stage::Phy)
}

/// The operations, and what they are part of.
#[must_use]
pub fn script(mac: [u8; 6], speed: Speed) -> [(Stage, Op); 31] {
    use Op::{Await, Expect, Modify, PhyAwait, PhyModify, PhyRead, PhyWrite, Write};
    use Stage::{LiteReset, Phy, PhyReset, Registers};
    let [a, b, c, d, e, f] = mac;
    let address = u32::from_le_bytes([a, b, c, d]);
    let packet = if speed == Speed::High { 512 } else { 64 };
    [
        (LiteReset, Write(HW_CFG, HW_LRST)),
        (LiteReset, Await(HW_CFG, HW_LRST)),
        (PhyReset, Write(PM_CTRL, PM_PHY_RST)),
        (PhyReset, Await(PM_CTRL, PM_PHY_RST)),
        // Without an EEPROM the chip comes out of its reset without an address.
        (Registers, Write(ADDRL, address)),
        (Registers, Write(ADDRH, u32::from_le_bytes([e, f, 0, 0]))),
        // NAK costs a controller with DMA nothing; an empty packet, a transfer.
        (Registers, Modify { register: HW_CFG, clear: 0, set: HW_BIR }),
        (Registers, Write(BURST_CAP, IN_TRANSFER as u32 / packet)),
        (Registers, Write(BULK_IN_DLY, HOLD)),
        (Registers, Modify { register: HW_CFG, clear: HW_RXDOFF | HW_SBP, set: HW_MEF | HW_BCE }),
        (Registers, Write(INT_STS, u32::MAX)),
        (Registers, Write(LED_GPIO_CFG, LED_ALL)),
        (Registers, Write(FLOW, 0)),
        (Registers, Write(AFC_CFG, AFC_DEFAULT)),
        (Registers, Write(VLAN1, VLAN_8021Q)),
        (Registers, Write(COE_CR, 0)),
        (Registers, Write(HASHH, 0)),
        (Registers, Write(HASHL, 0)),
        (Registers, Write(MAC_CR, FILTER)),
        (Phy, PhyWrite(BMCR, BMCR_RESET)),
        (PhyReset, PhyAwait(BMCR, BMCR_RESET)),
        (Phy, PhyWrite(ANAR, ANAR_ALL)),
        (Phy, PhyRead(PHY_CAUSE)),
        (Phy, PhyWrite(PHY_MASK, PHY_EVENTS)),
        (
            Phy,
            PhyModify {
                register: BMCR,
                clear: BMCR_LOOPBACK | BMCR_PDOWN | BMCR_ISOLATE,
                set: BMCR_ANEN | BMCR_ANRST,
            },
        ),
        (Registers, Modify { register: INT_EP_CTL, clear: 0, set: INT_PHY | INT_TX_ERROR }),
        (Registers, Write(MAC_CR, FILTER | MAC_TXEN)),
        (Registers, Write(TX_CFG, TX_ON)),
        (Registers, Write(MAC_CR, MAC_ON)),
        // A chip that was still in its reset has kept nothing of all this.
        (Registers, Expect { register: ADDRL, mask: u32::MAX, value: address }),
        (Registers, Expect { register: MAC_CR, mask: MAC_ON, value: MAC_ON }),
    ]
}
