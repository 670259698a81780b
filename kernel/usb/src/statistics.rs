//! What the stack counts. Numbers wrap; they are for people and tests.

/// Counters since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Enumerations begun.
    pub enumerations: u32,
    /// Port resets asked for.
    pub port_resets: u32,
    /// Devices that went away.
    pub detaches: u32,
    /// Control requests tried again after a transfer error.
    pub control_retries: u32,
    /// Control requests the device refused (STALL).
    pub control_stalls: u32,
    /// Control requests given up after all tries.
    pub control_failures: u32,
    /// Malformed descriptors.
    pub bad_descriptors: u32,
    /// Pipes that stopped with an error.
    pub pipe_stops: u32,
    /// Pipes brought back by CLEAR_FEATURE(ENDPOINT_HALT).
    pub pipe_recoveries: u32,
    /// Frames received and handed up.
    pub frames_in: u32,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames handed to the controller.
    pub frames_out: u32,
    /// Their bytes.
    pub bytes_out: u64,
    /// IN transfers without a byte (harmless).
    pub empty_in: u32,
    /// IN transfers shorter than an Ethernet header, dropped.
    pub runts_in: u32,
    /// IN transfers longer than a frame may be, dropped, with their tails.
    pub oversize_in: u32,
    /// Frames the adapter received with errors, dropped.
    pub errors_in: u32,
    /// IN transfers whose rest was dropped, for a length in it cannot be.
    pub bad_transfers_in: u32,
    /// Frames not sent because of their length.
    pub bad_length_out: u32,
    /// Notifications understood.
    pub notifications: u32,
    /// Notifications not understood.
    pub bad_notifications: u32,
    /// Events lost because nobody asked for them.
    pub events_lost: u32,
}

impl Statistics {
    /// Nothing happened yet.
    pub const ZERO: Self = Self {
        enumerations: 0,
        port_resets: 0,
        detaches: 0,
        control_retries: 0,
        control_stalls: 0,
        control_failures: 0,
        bad_descriptors: 0,
        pipe_stops: 0,
        pipe_recoveries: 0,
        frames_in: 0,
        bytes_in: 0,
        frames_out: 0,
        bytes_out: 0,
        empty_in: 0,
        runts_in: 0,
        oversize_in: 0,
        errors_in: 0,
        bad_transfers_in: 0,
        bad_length_out: 0,
        notifications: 0,
        bad_notifications: 0,
        events_lost: 0,
    };
}

/// Adds one.
pub(crate) const fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
