//! A USB hub that says anything of itself and of its ports.

use sk_hal::usb::Speed;
use sk_models::hub::Hub;
use sk_models::lowspeed::Mouse;
use sk_models::mockhost::MockHost;
use sk_usb::UsbNet;
use sk_usb::descriptor::{Configuration, DeviceDescriptor};
use sk_usb::hub::descriptor::{C_ALL, HubDescriptor, HubLayout, PortStatus, changes};

use crate::bytes::Bytes;

/// Its descriptors, the status of its ports and what its status change endpoint
/// tells are any bytes, and change. The stack neither spins nor leaves a pipe.
pub(crate) fn hub(data: &[u8]) {
    if let Ok(descriptor) = HubDescriptor::parse(data) {
        assert!(descriptor.ports > 0 && descriptor.power_good <= 510);
    }
    if let Ok(status) = PortStatus::parse(data) {
        assert_eq!(status.change & !C_ALL, 0);
        assert_ne!(status.speed(Speed::Full), Speed::High);
    }
    let _ = changes(data);
    let device = [18, 1, 0, 2, 9, 0, 1, 64, 0x24, 0x04, 0x12, 0x95, 0, 2, 0, 0, 0, 1];
    let device = DeviceDescriptor::parse(&device).expect("ordinary");
    if let Ok(configuration) = Configuration::parse(data)
        && let Some(layout) = HubLayout::find(&device, &configuration, Speed::High)
    {
        assert!(layout.endpoint < 16 && layout.max_packet <= 32);
    }

    let mut bytes = Bytes(data);
    let mode = bytes.byte();
    let hub = if mode & 1 == 0 { Hub::high_speed(4) } else { Hub::full_speed(8) };
    hub.plug(2, Box::new(Mouse::default()));
    hub.faults(|faults| {
        faults.descriptor = (mode & 2 != 0).then(|| bytes.piece().to_vec());
        faults.endless_reset = mode & 4 != 0;
        faults.noise = u64::from(mode >> 3);
    });
    let mut net = UsbNet::new(MockHost::new(hub.clone()), [2, 0, 0, 0, 0, 1]);
    let (mut now, mut polls) = (0_u64, 0_u64);
    while now < 3_000_000 {
        net.poll(now);
        polls += 1;
        while net.event().is_some() {}
        let next = net.next_deadline().unwrap_or(now + 10_000);
        now = next.clamp(now + 100, now + 100_000);
        if polls.is_multiple_of(16) && !bytes.is_empty() {
            hub.faults(|faults| {
                let (status, bitmap) = (bytes.take(4), bytes.take(2));
                faults.status = (mode & 64 != 0).then(|| status.to_vec());
                faults.bitmap = (mode & 128 != 0).then(|| bitmap.to_vec());
            });
        }
    }
    assert!(polls < 12_000, "{polls} polls in three seconds");
    net.host_mut().detach();
    net.poll(now);
    assert_eq!(net.host().open_pipes(), 0);
}
