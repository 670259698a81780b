//! Every kind of transfer on memory whose lines are written back, dropped and
//! read in as they like.

use super::*;
use sk_hal::CacheOps;

fn transfer_everything(memory: Memory, name: &str) {
    let mut rig = Rig::on(memory, SILICON, Speed::High);
    rig.plug();
    rig.enumerate();
    let bulk_in = rig.open(PipeKind::BulkIn);
    let bulk_out = rig.open(PipeKind::BulkOut);
    let interrupt = rig.open(PipeKind::InterruptIn { every: 1_000 });
    for round in 0..6 {
        let descriptor: Vec<u8> = (0..18).map(|i| (i * 5 + round * 18) as u8).collect();
        rig.device.borrow_mut().replies.retain(|(request, _)| *request != 6);
        rig.device.borrow_mut().replies.push((6, descriptor.clone()));
        assert_eq!(rig.descriptor(), Ok(descriptor), "{name}: control in");

        let data = pattern(300, round);
        rig.control(7, setup(0x40, 0x11, 0, 300), &data).expect("accepted");
        let request = rig.device.borrow_mut().requests.pop();
        assert_eq!(request.expect("one").1, data, "{name}: control out");

        let frames: Vec<_> = [60, 511, 1514].map(|len| pattern(len, round + len)).into();
        rig.device.borrow_mut().to_send.extend(frames.clone());
        rig.device.borrow_mut().events.push_back(pattern(8, round));
        for frame in &frames {
            assert_eq!(rig.wait_receive(bulk_in).as_ref(), Ok(frame), "{name}: bulk in");
        }
        assert_eq!(rig.wait_receive(interrupt), Ok(pattern(8, round)), "{name}: interrupt");

        for frame in &frames {
            rig.send(bulk_out, frame).expect("a buffer is free");
        }
        rig.run(20_000);
        let sent = std::mem::take(&mut rig.device.borrow_mut().frames);
        assert_eq!(sent, frames, "{name}: bulk out");
    }
}

#[test]
fn transfers_with_caches_that_do_nothing_unasked() {
    transfer_everything(Memory::new(), "new");
}

#[test]
fn transfers_with_caches_that_do_as_they_like() {
    for seed in 0..12 {
        transfer_everything(Memory::seeded(seed), &std::format!("seed {seed}"));
    }
}

fn channel_0(model: &Dwc2Model, dma: u32) {
    model.write(0x500 + 0x08, 0x3FFF);
    model.write(0x500 + 0x0C, 2);
    model.write(0x500 + 0x10, 3 << 29 | 1 << 19 | 8);
    model.write(0x500 + 0x14, dma);
    model.write(0x500, 1 << 31 | 1 << 20 | 64);
}

#[test]
#[should_panic(expected = "before the DSB")]
fn the_model_wants_the_barrier_before_the_doorbell() {
    let memory = Memory::new();
    let mut rig = Rig::on(memory.clone(), SILICON, Speed::High);
    rig.plug();
    rig.enumerate();
    let buffer = memory.buffer(64);
    memory.clean(buffer.bus(), buffer.bytes());
    channel_0(&rig.model, buffer.bus().0);
}

#[test]
#[should_panic(expected = "bus alias or alignment")]
fn the_model_wants_the_bus_alias() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.plug();
    rig.enumerate();
    channel_0(&rig.model, 0x0010_0000);
}

#[test]
#[should_panic(expected = "bus alias or alignment")]
fn the_model_wants_whole_words() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.plug();
    rig.enumerate();
    channel_0(&rig.model, 0x4010_0002);
}

#[test]
#[should_panic(expected = "exceed 4080 words")]
fn the_model_has_so_much_fifo_and_no_more() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.plug();
    rig.enumerate();
    // As large as QEMU has it: 4096 words.
    rig.model.write(0x024, 1024);
    rig.model.write(0x028, 1024 << 16 | 1024);
    rig.model.write(0x100, 2048 << 16 | 2048);
    rig.model.write(0x010, 0x10 << 6 | 1 << 5 | 1 << 4);
    channel_0(&rig.model, 0x4010_0000);
}
