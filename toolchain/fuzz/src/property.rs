//! Firmware that leaves anything in the message's buffer, and anything in the
//! mailbox.

use std::cell::{Cell, RefCell};

use rpi_mbox::framebuffer::{AllocateFramebuffer, EdidBlock, GetPhysicalSize, GetPitch};
use rpi_mbox::tags::{
    BoardRevision, BoardSerial, ClockId, CommandLine, GetPower, GetThrottled, MacAddress,
    PowerDevice, SetClockRate, SetPower, Temperature,
};
use rpi_mbox::{Mailbox, MessageError, Request, Response, Slot, Tag};
use sk_hal::Bus32;
use sk_models::memory::Memory;
use sk_models::systimer::SimClock;

use crate::bytes::Bytes;

const LINE: usize = 64;
/// The longest a call may take: what came too late for the call before, room in
/// the mailbox, the answer; and a look at the clock for each.
const LIMIT: u64 = 100_000 + 1_000 + rpi_mbox::TIMEOUT + 10_000;

/// What is asked in one message.
struct Slots {
    revision: Slot<BoardRevision>,
    serial: Slot<BoardSerial>,
    mac: Slot<MacAddress>,
    power: (Slot<GetPower>, Slot<SetPower>),
    clock: Slot<SetClockRate>,
    throttled: Slot<GetThrottled>,
    temperature: Slot<Temperature>,
    line: Slot<CommandLine>,
    size: Slot<GetPhysicalSize>,
    framebuffer: Slot<AllocateFramebuffer>,
    pitch: Slot<GetPitch>,
    edid: Slot<EdidBlock>,
}

fn ask(request: &mut Request<'_>) -> Result<Slots, MessageError> {
    let device = PowerDevice::Usb;
    Ok(Slots {
        revision: request.add(&BoardRevision)?,
        serial: request.add(&BoardSerial)?,
        mac: request.add(&MacAddress)?,
        power: (request.add(&GetPower(device))?, request.add(&SetPower { device, on: true })?),
        clock: request.add(&SetClockRate { clock: ClockId::Arm, hz: 1, skip_turbo: false })?,
        throttled: request.add(&GetThrottled)?,
        temperature: request.add(&Temperature)?,
        line: request.add(&CommandLine { room: LINE })?,
        size: request.add(&GetPhysicalSize)?,
        framebuffer: request.add(&AllocateFramebuffer(16))?,
        pitch: request.add(&GetPitch)?,
        edid: request.add(&EdidBlock(0))?,
    })
}

/// A value comes only out of a tag that is whole and answered.
fn one<T: Tag>(response: &Response<'_>, slot: Slot<T>, bytes: Option<&[u8]>) {
    let Ok(_) = response.get(slot) else { return };
    let Some(bytes) = bytes else { return };
    let whole = bytes.chunks_exact(4).any(|word| word == T::ID.to_le_bytes());
    assert!(whole, "a value of tag {:#x}, which is not there", T::ID);
}

fn read(response: &Response<'_>, slots: &Slots, bytes: Option<&[u8]>) {
    one(response, slots.revision, bytes);
    one(response, slots.serial, bytes);
    one(response, slots.mac, bytes);
    one(response, slots.power.0, bytes);
    one(response, slots.power.1, bytes);
    one(response, slots.clock, bytes);
    one(response, slots.throttled, bytes);
    one(response, slots.temperature, bytes);
    one(response, slots.size, bytes);
    one(response, slots.framebuffer, bytes);
    one(response, slots.pitch, bytes);
    one(response, slots.edid, bytes);
    if let Ok(line) = response.get(slots.line) {
        assert!(line.len() <= LINE);
    }
}

/// Words of the message are overwritten: how many further on, and with what.
fn bend(memory: &mut [u8], bytes: &mut Bytes<'_>, pieces: usize) {
    let mut at = 0;
    for _ in 0..pieces {
        if bytes.is_empty() {
            return;
        }
        at += usize::from(bytes.byte() % 64) * 4;
        let piece = bytes.take(4);
        if let Some(place) = memory.get_mut(at..at + piece.len()) {
            place.copy_from_slice(piece);
        }
    }
}

/// The firmware's registers: full, empty and words as the data says.
struct Firmware<'a> {
    memory: Memory,
    bytes: RefCell<Bytes<'a>>,
    posted: Cell<Option<u32>>,
    length: usize,
}

impl Bus32 for Firmware<'_> {
    fn read(&self, off: u32) -> u32 {
        let mut bytes = self.bytes.borrow_mut();
        match off {
            0x18 if bytes.is_empty() => 1 << 30,
            0x18 => u32::from(bytes.byte() & 1 == 0) << 30,
            0x38 => u32::from(bytes.byte() == 0xFF) << 31,
            _ => match (bytes.byte(), self.posted.get()) {
                (0..=127, Some(word)) => {
                    self.posted.set(None);
                    let at = word & !0xF;
                    let mut message = self.memory.device_read(at, self.length);
                    message[7] = 0x80;
                    let pieces = usize::from(bytes.byte());
                    bend(&mut message, &mut bytes, pieces);
                    self.memory.device_write(at, &message);
                    word
                }
                (_, posted) => {
                    let word = u32::from(bytes.word()) | u32::from(bytes.word()) << 16;
                    // By chance the answer, and nothing was written.
                    if posted.is_some_and(|posted| (posted ^ word) & 0x3FFF_FFFF == 0) {
                        self.posted.set(None);
                    }
                    word
                }
            },
        }
    }

    fn write(&self, off: u32, value: u32) {
        assert_eq!((off, value & 0xF), (0x20, 8));
        assert!(self.posted.replace(Some(value)).is_none(), "posted twice");
    }
}

/// See the module.
pub(crate) fn property(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut memory = [0; 640];
    let mut request = Request::new(&mut memory).expect("room");
    let slots = ask(&mut request).expect("room");
    let length = request.finish();
    if bytes.byte() & 1 == 0 {
        memory[7] = 0x80;
        bend(&mut memory, &mut bytes, usize::MAX);
        if let Ok(response) = Response::new(&memory, length) {
            read(&response, &slots, Some(&memory));
        }
        return;
    }
    let (memory, clock) = (Memory::new(), SimClock::new());
    // A look takes a millisecond: the limits are reached soon.
    clock.set_step(1_000);
    let buffer = memory.buffer(1024);
    let bytes = RefCell::new(bytes);
    let firmware = Firmware { memory: memory.clone(), bytes, posted: Cell::new(None), length };
    let mut mailbox = Mailbox::new(firmware, memory, buffer);
    for _ in 0..4 {
        let before = clock.peek();
        if let Ok((slots, response)) = mailbox.call(&clock, ask) {
            read(&response, &slots, None);
        }
        assert!(clock.peek() - before <= LIMIT, "{} us", clock.peek() - before);
    }
}
