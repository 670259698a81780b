//! Registers of the DWC2 OTG core that host mode needs: byte offsets from the
//! base (0x2098_0000 on BCM2835) and the bits the driver uses.
//!
//! The names are the databook's, as every DWC2 driver uses them.

/// AHB configuration.
pub(super) const GAHBCFG: u32 = 0x008;
/// USB configuration.
pub(super) const GUSBCFG: u32 = 0x00C;
/// Resets and FIFO flushes.
pub(super) const GRSTCTL: u32 = 0x010;
/// Core interrupt status.
pub(super) const GINTSTS: u32 = 0x014;
/// Core interrupt mask.
pub(super) const GINTMSK: u32 = 0x018;
/// Receive FIFO size in words.
pub(super) const GRXFSIZ: u32 = 0x024;
/// Non-periodic transmit FIFO: start 15:0, depth 31:16.
pub(super) const GNPTXFSIZ: u32 = 0x028;
/// Non-periodic transmit FIFO and request queue: what is free.
pub(super) const GNPTXSTS: u32 = 0x02C;
/// Core identification.
pub(super) const GSNPSID: u32 = 0x040;
/// Hardware configuration 3: FIFO RAM depth in 31:16.
pub(super) const GHWCFG3: u32 = 0x04C;
/// Periodic transmit FIFO: start 15:0, depth 31:16.
pub(super) const HPTXFSIZ: u32 = 0x100;
/// Host configuration.
pub(super) const HCFG: u32 = 0x400;
/// Frame interval in PHY clocks.
pub(super) const HFIR: u32 = 0x404;
/// Frame number.
pub(super) const HFNUM: u32 = 0x408;
/// Periodic transmit FIFO and request queue: what is free.
pub(super) const HPTXSTS: u32 = 0x410;
/// Channels with an unmasked interrupt pending.
pub(super) const HAINT: u32 = 0x414;
/// Channel interrupt mask.
pub(super) const HAINTMSK: u32 = 0x418;
/// Root port.
pub(super) const HPRT: u32 = 0x440;
/// Power and clock gating.
pub(super) const PCGCCTL: u32 = 0xE00;

/// Characteristics of channel `n`.
pub(super) const fn hcchar(n: usize) -> u32 {
    0x500 + 0x20 * n as u32
}
/// Split control of channel `n`.
pub(super) const fn hcsplt(n: usize) -> u32 {
    0x504 + 0x20 * n as u32
}
/// Interrupts of channel `n`, write 1 to clear.
pub(super) const fn hcint(n: usize) -> u32 {
    0x508 + 0x20 * n as u32
}
/// Interrupt mask of channel `n`.
pub(super) const fn hcintmsk(n: usize) -> u32 {
    0x50C + 0x20 * n as u32
}
/// Transfer size, packet count and PID of channel `n`.
pub(super) const fn hctsiz(n: usize) -> u32 {
    0x510 + 0x20 * n as u32
}
/// DMA bus address of channel `n`.
pub(super) const fn hcdma(n: usize) -> u32 {
    0x514 + 0x20 * n as u32
}

/// GAHBCFG: interrupts reach the interrupt controller.
pub(super) const GAHBCFG_GLBL_INTR: u32 = 1 << 0;
/// GAHBCFG: wait for AXI writes. On BCM2835 bits 4:1 are not the burst code of
/// the databook, so a generic INCR value must not be written here.
pub(super) const GAHBCFG_WAIT_AXI: u32 = 1 << 4;
/// GAHBCFG: internal DMA.
pub(super) const GAHBCFG_DMA: u32 = 1 << 5;

/// GUSBCFG bits that select the PHY: 16-bit UTMI, ULPI, full-speed PHY. A
/// change of these wants a soft reset after it.
pub(super) const GUSBCFG_PHY_SELECT: u32 = 1 << 3 | 1 << 4 | 1 << 6;
/// GUSBCFG bits to be clear: the PHY selection, SRP, HNP, ULPI full-speed
/// serial and clock suspend, ULPI external VBUS, TermSel, ForceDev.
pub(super) const GUSBCFG_CLEAR: u32 =
    GUSBCFG_PHY_SELECT | 1 << 8 | 1 << 9 | 1 << 17 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 30;
/// GUSBCFG: host mode whatever the ID pin says (needs 25 ms to take effect).
pub(super) const GUSBCFG_FORCE_HOST: u32 = 1 << 29;

/// GRSTCTL: core soft reset, clears itself.
pub(super) const GRSTCTL_SOFT_RESET: u32 = 1 << 0;
/// GRSTCTL: flush the receive FIFO, clears itself.
pub(super) const GRSTCTL_RX_FLUSH: u32 = 1 << 4;
/// GRSTCTL: flush transmit FIFOs, clears itself.
pub(super) const GRSTCTL_TX_FLUSH: u32 = 1 << 5;
/// GRSTCTL: TxFNum = all of them.
pub(super) const GRSTCTL_ALL_TX: u32 = 0x10 << 6;
/// GRSTCTL: the AHB master is idle.
pub(super) const GRSTCTL_AHB_IDLE: u32 = 1 << 31;

/// GINTSTS: host mode.
pub(super) const GINTSTS_HOST_MODE: u32 = 1 << 0;
/// GINTSTS: something in HPRT.
pub(super) const GINTSTS_PORT: u32 = 1 << 24;
/// GINTSTS: something in HAINT.
pub(super) const GINTSTS_CHANNEL: u32 = 1 << 25;
/// GINTSTS: the device went away.
pub(super) const GINTSTS_DISCONNECT: u32 = 1 << 29;

/// HPRT: a device is attached.
pub(super) const HPRT_CONNECTED: u32 = 1 << 0;
/// HPRT: a device was attached; write 1 to clear.
pub(super) const HPRT_CONNECT_DETECTED: u32 = 1 << 1;
/// HPRT: enabled; **writing 1 disables the port**.
pub(super) const HPRT_ENABLED: u32 = 1 << 2;
/// HPRT: ENABLED changed; write 1 to clear.
pub(super) const HPRT_ENABLE_CHANGED: u32 = 1 << 3;
/// HPRT: over-current now.
pub(super) const HPRT_OVER_CURRENT: u32 = 1 << 4;
/// HPRT: OVER_CURRENT changed; write 1 to clear.
pub(super) const HPRT_OVER_CURRENT_CHANGED: u32 = 1 << 5;
/// HPRT: drive reset.
pub(super) const HPRT_RESET: u32 = 1 << 8;
/// HPRT: port power (as far as the core knows; VBUS is always on).
pub(super) const HPRT_POWER: u32 = 1 << 12;
/// HPRT: the bits a read-modify-write must not write back as ones.
pub(super) const HPRT_W1C: u32 =
    HPRT_CONNECT_DETECTED | HPRT_ENABLED | HPRT_ENABLE_CHANGED | HPRT_OVER_CURRENT_CHANGED;

/// HCCHAR: IN.
pub(super) const HCCHAR_IN: u32 = 1 << 15;
/// HCCHAR: low-speed device.
pub(super) const HCCHAR_LOW_SPEED: u32 = 1 << 17;
/// HCCHAR: one packet per (micro)frame.
pub(super) const HCCHAR_MC_1: u32 = 1 << 20;
/// HCCHAR: run in an odd (micro)frame.
pub(super) const HCCHAR_ODD_FRAME: u32 = 1 << 29;
/// HCCHAR: disable.
pub(super) const HCCHAR_DISABLE: u32 = 1 << 30;
/// HCCHAR: enable.
pub(super) const HCCHAR_ENABLE: u32 = 1 << 31;
/// HCCHAR EPType: control.
pub(super) const EP_CONTROL: u32 = 0;
/// HCCHAR EPType: bulk.
pub(super) const EP_BULK: u32 = 2;
/// HCCHAR EPType: interrupt.
pub(super) const EP_INTERRUPT: u32 = 3;

/// HCSPLT: split transactions.
pub(super) const HCSPLT_ENABLE: u32 = 1 << 31;
/// HCSPLT: complete split, else start split.
pub(super) const HCSPLT_COMPLETE: u32 = 1 << 16;
/// HCSPLT XactPos: the whole payload in one start split.
pub(super) const HCSPLT_ALL: u32 = 3 << 14;

/// HCINT: transfer complete.
pub(super) const HCINT_COMPLETE: u32 = 1 << 0;
/// HCINT: the channel halted.
pub(super) const HCINT_HALTED: u32 = 1 << 1;
/// HCINT: AHB error.
pub(super) const HCINT_AHB_ERROR: u32 = 1 << 2;
/// HCINT: STALL.
pub(super) const HCINT_STALL: u32 = 1 << 3;
/// HCINT: NAK.
pub(super) const HCINT_NAK: u32 = 1 << 4;
/// HCINT: ACK.
pub(super) const HCINT_ACK: u32 = 1 << 5;
/// HCINT: NYET.
pub(super) const HCINT_NYET: u32 = 1 << 6;
/// HCINT: transaction error (CRC, timeout, PID).
pub(super) const HCINT_XACT_ERROR: u32 = 1 << 7;
/// HCINT: babble.
pub(super) const HCINT_BABBLE: u32 = 1 << 8;
/// HCINT: a periodic transfer missed its (micro)frame.
pub(super) const HCINT_FRAME_OVERRUN: u32 = 1 << 9;
/// HCINT: data toggle error.
pub(super) const HCINT_TOGGLE_ERROR: u32 = 1 << 10;
/// HCINT: all of it, for clearing.
pub(super) const HCINT_ALL: u32 = 0x3FFF;
/// HCINT: the bits that say how a transfer ended.
pub(super) const HCINT_RESULT: u32 = HCINT_COMPLETE
    | HCINT_AHB_ERROR
    | HCINT_STALL
    | HCINT_XACT_ERROR
    | HCINT_BABBLE
    | HCINT_FRAME_OVERRUN
    | HCINT_TOGGLE_ERROR;

/// HCTSIZ: start an OUT with PING.
pub(super) const HCTSIZ_PING: u32 = 1 << 31;
/// HCTSIZ: transfer size field.
pub(super) const HCTSIZ_SIZE: u32 = 0x7_FFFF;
/// HCTSIZ: packet count field, shifted down.
pub(super) const HCTSIZ_PACKETS: u32 = 0x3FF;
/// HCTSIZ: shift of the packet count.
pub(super) const HCTSIZ_PACKETS_SHIFT: u32 = 19;
/// HCTSIZ: shift of the PID.
pub(super) const HCTSIZ_PID_SHIFT: u32 = 29;

/// Most bytes one programming of a channel may move (safe value; the field has
/// 19 bits).
pub(super) const MAX_SIZE: u32 = 65_535;
/// Most packets one programming of a channel may move (the field has 10 bits).
pub(super) const MAX_PACKETS: u32 = 511;

/// Receive FIFO, words.
pub(super) const FIFO_RX: u32 = 1024;
/// Non-periodic transmit FIFO, words.
pub(super) const FIFO_NP_TX: u32 = 1024;
/// Periodic transmit FIFO, words.
pub(super) const FIFO_P_TX: u32 = 1024;
/// FIFO RAM of BCM2835, words. The power-on values of the size registers claim
/// more than that.
pub(super) const FIFO_BUDGET: u32 = 4080;
const _: () = assert!(FIFO_RX + FIFO_NP_TX + FIFO_P_TX <= FIFO_BUDGET);
